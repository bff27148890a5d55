use std::time::{Duration, SystemTime};

use super::*;
use crate::model::{Abort, Breaker, Fault, Retry, RetryBudget, SuccessRate};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

struct Get;

impl RequestView for Get {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn query(&self) -> Option<&str> {
        None
    }
    fn header<'a>(&'a self, _: &'a str) -> impl Iterator<Item = &'a [u8]> {
        std::iter::empty()
    }
}

fn retry() -> Retry {
    Retry {
        limit: 3,
        statuses: vec![500..=599],
        grpc_codes: Vec::new(),
        on_connection_error: true,
        on_timeout: false,
        methods: Vec::new(),
        max_body: 0,
        budget: RetryBudget::default(),
        backoff: Duration::from_millis(20),
        backoff_max: Duration::from_millis(100),
        max_retry_after: Duration::from_secs(1),
    }
}

#[test]
fn a_window_forgets_a_tenth_of_its_length_at_a_time() {
    let window = Window::default();
    let length = Duration::from_secs(10);
    for second in 0..10 {
        window.record(second % 2 == 0, length, second * SECOND);
    }
    assert_eq!(window.counts(length, 9 * SECOND), (5, 5));
    assert_eq!(window.counts(length, 10 * SECOND), (5, 4), "the first second is gone");
    assert_eq!(window.counts(length, 14 * SECOND), (3, 2));
    assert_eq!(window.counts(length, 100 * SECOND), (0, 0));
}

#[test]
fn a_window_says_nothing_before_it_has_seen_enough() {
    let window = Window::default();
    let length = Duration::from_secs(1);
    (0..9).for_each(|_| window.record(true, length, 0));
    assert!(!window.below(500, 10, length, 0));
    window.record(true, length, 0);
    assert!(window.below(500, 10, length, 0));
    (0..10).for_each(|_| window.record(false, length, 0));
    assert!(!window.below(500, 10, length, 0), "half is not below half");
}

#[test]
fn a_budget_gives_a_share_of_the_requests_and_a_few_a_second_beside() {
    let budget = RetryBudget { percent: 20, min_per_second: 1, ttl: Duration::from_secs(10) };
    let state = BudgetState::default();
    (0..100).for_each(|_| state.request(&budget, SECOND));
    let given = (0..100).filter(|_| state.withdraw(&budget, SECOND)).count();
    assert_eq!(given, 20 + 10);
    assert!(!state.withdraw(&budget, 5 * SECOND), "it is used up");
    assert_eq!((0..100).filter(|_| state.withdraw(&budget, 30 * SECOND)).count(), 10, "and back once forgotten");
}

#[test]
fn a_budget_of_nothing_gives_nothing() {
    let budget = RetryBudget { percent: 0, min_per_second: 0, ttl: Duration::from_secs(10) };
    let state = BudgetState::default();
    (0..1_000).for_each(|_| state.request(&budget, 0));
    assert!(!state.withdraw(&budget, 0));
}

const BREAKER: Breaker = Breaker {
    consecutive_failures: Some(3),
    success_rate: None,
    pause: Duration::from_secs(1),
    pause_max: Duration::from_secs(4),
};

#[test]
fn a_breaker_opens_after_a_run_lets_one_probe_through_and_doubles_its_pause() {
    let state = BreakerState::default();
    assert!(!state.record(&BREAKER, true, 0) && !state.record(&BREAKER, true, 0));
    assert!(!state.record(&BREAKER, false, 0), "a success ends the run");
    assert!(!state.record(&BREAKER, true, 0) && !state.record(&BREAKER, true, 0));
    assert_eq!(state.admit(&BREAKER, 0), Admission::Pass);
    assert!(state.record(&BREAKER, true, 0), "the third in a row opens it");
    let mut at = 0;
    for pause in [1, 2, 4, 4] {
        assert_eq!(state.admit(&BREAKER, at + pause * SECOND - 1), Admission::Refuse, "before {pause} s");
        at += pause * SECOND;
        assert_eq!(state.admit(&BREAKER, at), Admission::Pass, "the probe");
        assert_eq!(state.admit(&BREAKER, at), Admission::Refuse, "only one");
        assert!(state.record(&BREAKER, true, at));
    }
    at += 4 * SECOND;
    assert_eq!(state.admit(&BREAKER, at), Admission::Pass);
    state.record(&BREAKER, false, at);
    assert!(!state.is_open());
    assert_eq!(state.admit(&BREAKER, at), Admission::Pass);
}

#[test]
fn a_probe_that_its_client_gave_up_makes_the_next_request_the_probe() {
    let state = BreakerState::default();
    (0..3).for_each(|_| {
        state.record(&BREAKER, true, 0);
    });
    assert_eq!(state.admit(&BREAKER, SECOND), Admission::Pass);
    state.forget(SECOND);
    assert_eq!(state.admit(&BREAKER, SECOND), Admission::Pass);
}

#[test]
fn a_breaker_opens_below_a_success_rate_once_it_has_seen_enough() {
    let rate = SuccessRate { threshold_permille: 800, window: Duration::from_secs(10), min_requests: 10 };
    let breaker = Breaker { consecutive_failures: None, success_rate: Some(rate), ..BREAKER };
    let state = BreakerState::default();
    let opened = (0..20).position(|n| state.record(&breaker, n % 3 == 0, n * 100 * MS));
    assert_eq!(opened, Some(9));
    let healthy = BreakerState::default();
    assert!((0..1_000_u64).all(|n| !healthy.record(&breaker, n % 10 == 0, n * 10 * MS)));
}

#[test]
fn pauses_double_up_to_their_bound_and_leave_out_a_random_half() {
    let millis = |tries, random| backoff(&retry(), tries, random).as_millis();
    assert_eq!((millis(1, 0), millis(1, u64::MAX)), (10, 19));
    assert_eq!((millis(2, 0), millis(3, 0)), (20, 40));
    assert_eq!((millis(4, 0), millis(99, u64::MAX)), (50, 99));
}

#[test]
fn a_pause_that_was_asked_for_is_kept_and_lengthened_by_up_to_a_quarter() {
    let millis = |asked, random| patience(Duration::from_millis(asked), random).as_millis();
    assert_eq!([0, 1 << 63, u64::MAX].map(|random| millis(1_000, random)), [1_000, 1_125, 1_249]);
    assert_eq!([0, u64::MAX].map(|random| millis(0, random)), [0, 0]);
    assert_eq!(patience(Duration::MAX, u64::MAX), Duration::MAX);
}

#[test]
fn only_what_is_safe_or_named_is_sent_twice() {
    let table = [
        ("GET", false, true),
        ("HEAD", false, true),
        ("POST", false, false),
        ("PUT", false, false),
        ("POST", true, false),
    ];
    for (method, grpc, wanted) in table {
        assert_eq!(may_repeat(&retry(), method, grpc), wanted, "{method} {grpc}");
    }
    let named = Retry { methods: vec!["POST".to_owned()], grpc_codes: vec![14], ..retry() };
    assert!(may_repeat(&named, "POST", false) && may_repeat(&named, "POST", true) && !may_repeat(&named, "GET", false));
}

fn fault() -> Fault {
    Fault {
        name: "f".to_owned(),
        matches: Vec::new(),
        identities: Vec::new(),
        share_ppm: 1_000_000,
        delay: Duration::ZERO,
        abort: Some(Abort { status: 503, grpc: 14 }),
        until: SystemTime::UNIX_EPOCH + Duration::from_secs(100),
        success_floor_permille: None,
    }
}

fn asked(random: u64) -> Asked<'static> {
    Asked {
        identity: "spiffe://td/ns/shop/sa/web",
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(99),
        now_ns: 0,
        random,
    }
}

#[test]
fn a_fault_hits_its_share_its_callers_and_ends_in_time() {
    let state = FaultState::default();
    let hits = |fault: Fault, asked| inject(&[fault], &state, &Get, asked).is_some();
    let half = Fault { share_ppm: 500_000, ..fault() };
    assert!(hits(half.clone(), asked(u64::MAX / 2 - 1)) && !hits(half, asked(u64::MAX / 2 + u64::MAX / 100)));
    assert!(hits(fault(), asked(u64::MAX)) && !hits(Fault { share_ppm: 0, ..fault() }, asked(0)));
    let late = Asked { wall: SystemTime::UNIX_EPOCH + Duration::from_secs(100), ..asked(0) };
    assert!(!hits(fault(), late), "its time is over");
    let only = |identity: &str| Fault { identities: vec![identity.to_owned()], ..fault() };
    assert!(hits(only("spiffe://td/ns/shop/sa/web"), asked(0)));
    assert!(hits(only("web.shop.serviceaccount.identity.weft-system.td"), asked(0)));
    for other in
        ["spiffe://td/ns/shop/sa/we", "web.sho.serviceaccount.identity.c.td", "web.shop.serviceaccount.identity.td"]
    {
        assert!(!hits(only(other), asked(0)), "{other}");
    }
}

#[test]
fn a_fault_stops_for_good_when_success_falls_under_its_floor() {
    let state = FaultState::default();
    let faults = [Fault { success_floor_permille: Some(900), ..fault() }];
    (0..9).for_each(|_| state.record(true, 0));
    assert!(inject(&faults, &state, &Get, asked(0)).is_some(), "nine say nothing yet");
    state.record(true, 0);
    assert!(inject(&faults, &state, &Get, asked(0)).is_none());
    (0..1_000).for_each(|_| state.record(false, 20 * SECOND));
    let later = Asked { now_ns: 20 * SECOND, ..asked(0) };
    assert!(inject(&faults, &state, &Get, later).is_none(), "and does not begin again by itself");
}
