//! What a resource says of balancing is done.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::simulation::Random;
use super::tests::{draw, endpoint, endpoints};
use super::{Discipline, Draw, MS, Node, Outcome, Pool, Tuning};
use crate::model::{Algorithm, Balancing, Ejection, Endpoint, SuccessRate};

const SECOND: u64 = 1_000 * MS;

fn pool(set: &[Arc<Endpoint>], balancing: &Balancing) -> Pool {
    let mut pool = Pool::<()>::new(Tuning::default());
    pool.configure(balancing);
    pool.update(set, 0);
    pool
}

fn by(algorithm: Algorithm) -> Balancing {
    Balancing { algorithm, ..Balancing::default() }
}

fn ejecting(ejection: Ejection) -> Balancing {
    Balancing { ejection, ..Balancing::default() }
}

fn pick(pool: &Pool, now_ns: u64, random: u64, key: Option<u64>) -> Rc<Node> {
    let draw = Draw { now_ns, random, discipline: Discipline::PeakEwma, key };
    pool.pick(draw, |_| false).unwrap()
}

fn place(pool: &Pool, node: &Rc<Node>) -> usize {
    pool.nodes().iter().position(|other| Rc::ptr_eq(other, node)).unwrap()
}

fn outcome(pool: &Pool, index: usize, failed: bool, now: u64) {
    let node = &pool.nodes()[index];
    node.begin(now);
    node.finish(Outcome { latency_ns: 10 * MS, failed }, now);
}

/// Where each of 2,000 keys goes.
fn owners(pool: &Pool) -> Vec<String> {
    let mut random = Random(3);
    (0..2_000_u64)
        .map(|key| pick(pool, 0, random.next(), Some(super::hash::hash(&key.to_le_bytes()))).endpoint().pod_uid.clone())
        .collect()
}

#[test]
fn equal_keys_go_to_one_endpoint_and_only_those_of_one_that_goes_move() {
    let ring = by(Algorithm::RingHash);
    let mut pool = pool(&endpoints(10), &ring);
    let before = owners(&pool);
    assert_eq!(before, owners(&pool), "whatever the dice say");
    for n in 0..10 {
        let count = before.iter().filter(|owner| **owner == format!("uid-{n}")).count();
        assert!((130..=270).contains(&count), "uid-{n} owns {count} of 2000");
    }
    pool.update(&endpoints(9), 0);
    let after = owners(&pool);
    let moved = before.iter().zip(&after).filter(|(was, is)| was != is).count();
    assert_eq!(moved, before.iter().filter(|owner| *owner == "uid-9").count());
}

#[test]
fn an_ejected_endpoints_keys_wait_elsewhere_and_come_back() {
    let pool = pool(&endpoints(5), &by(Algorithm::RingHash));
    let before = owners(&pool);
    for _ in 0..5 {
        outcome(&pool, 2, true, 0);
    }
    let during = owners(&pool);
    assert!(!during.contains(&"uid-2".to_owned()));
    assert!(before.iter().zip(&during).all(|(was, is)| was == is || was == "uid-2"));
}

#[test]
fn a_request_without_a_key_is_spread_all_the_same() {
    let pool = pool(&endpoints(4), &by(Algorithm::RingHash));
    let mut random = Random(5);
    let mut seen = [0; 4];
    for _ in 0..400 {
        seen[place(&pool, &pick(&pool, 0, random.next(), None))] += 1;
    }
    assert!(seen.iter().all(|count| *count > 40), "{seen:?}");
}

#[test]
fn round_robin_takes_turns_among_the_usable() {
    let pool = pool(&endpoints(4), &by(Algorithm::RoundRobin));
    let turns: Vec<usize> = (0..8).map(|_| place(&pool, &pick(&pool, 0, 9, None))).collect();
    assert_eq!(turns, [0, 1, 2, 3, 0, 1, 2, 3]);
    for _ in 0..5 {
        outcome(&pool, 1, true, 0);
    }
    let turns: Vec<usize> = (0..9).map(|_| place(&pool, &pick(&pool, 0, 9, None))).collect();
    assert_eq!(turns, [0, 2, 3, 0, 2, 3, 0, 2, 3], "nobody has the share of the one that is left out beside his own");
}

#[test]
fn further_tries_take_nobodys_turn_and_go_to_all_of_the_others() {
    let pool = pool(&endpoints(4), &by(Algorithm::RoundRobin));
    let mut random = Random(11);
    let (mut first, mut further) = ([0; 4], [0; 4]);
    for _ in 0..4_000 {
        let node = pick(&pool, 0, random.next(), None);
        first[place(&pool, &node)] += 1;
        if place(&pool, &node) == 1 {
            let tried = node.endpoint().address;
            let again = draw(0, random.next(), Discipline::PeakEwma);
            further[place(&pool, &pool.pick(again, |endpoint| endpoint.address == tried).unwrap())] += 1;
        }
    }
    assert_eq!(first, [1_000; 4]);
    assert!(further[1] == 0 && [0, 2, 3].iter().all(|n| (270..=400).contains(&further[*n])), "{further:?}");
}

#[test]
fn a_further_try_for_a_key_goes_to_the_one_that_comes_second_for_it() {
    let pool = pool(&endpoints(6), &by(Algorithm::RingHash));
    let mut random = Random(12);
    for key in 0..200 {
        let mut draw = || Draw { key: Some(super::hash::hash(&[key])), ..draw(0, random.next(), Discipline::PeakEwma) };
        let first = pool.pick(draw(), |_| false).unwrap().endpoint().address;
        let second = pool.pick(draw(), |endpoint| endpoint.address == first).unwrap().endpoint().address;
        assert_ne!(first, second);
        let again = |_| pool.pick(draw(), |endpoint| endpoint.address == first).unwrap().endpoint().address;
        assert_eq!((0..5).map(again).filter(|address| *address == second).count(), 5);
    }
}

#[test]
fn a_further_try_stays_in_the_zone() {
    let pool = pool(&zones(), &Balancing { local_zone: "here".to_owned(), ..Balancing::default() });
    let mut random = Random(13);
    for discipline in [Discipline::PeakEwma, Discipline::LeastPending] {
        let here = (0..400).filter(|_| {
            let tried = pool.pick(draw(0, random.next(), discipline), |_| false).unwrap().endpoint().address;
            let node = pool.pick(draw(0, random.next(), discipline), |endpoint| endpoint.address == tried).unwrap();
            assert_ne!(node.endpoint().address, tried);
            node.endpoint().zone == "here"
        });
        // Three of four are left, which is more than a zone needs.
        assert_eq!(here.count(), 400, "{discipline:?}");
    }
}

#[test]
fn held_connections_count_among_themselves_and_teach_no_latency() {
    let pool = pool(&endpoints(2), &Balancing::default());
    let (busy, idle) = (&pool.nodes()[0], &pool.nodes()[1]);
    for node in [busy, idle] {
        node.begin(0);
        node.finish(Outcome { latency_ns: 10 * MS, failed: false }, 0);
    }
    (0..3).for_each(|_| busy.hold());
    busy.begin(0);
    busy.established(0);
    assert_eq!((busy.load().pending(), busy.load().held()), (0, 4));
    let mut random = Random(14);
    let mut shares = |discipline| {
        (0..400)
            .filter(|_| place(&pool, &pool.pick(draw(SECOND, random.next(), discipline), |_| false).unwrap()) == 0)
            .count()
    };
    assert_eq!(shares(Discipline::LeastPending), 0, "what is to stay goes where less has stayed");
    assert!((120..=280).contains(&shares(Discipline::PeakEwma)), "requests go by latency");
    let before = busy.load().estimate_ns(3_600 * SECOND);
    (0..4).for_each(|_| busy.let_go());
    assert_eq!(busy.load().held(), 0);
    assert!((busy.load().estimate_ns(3_600 * SECOND) - before).abs() < 1.0, "an hour of standing is no slowness");
}

#[test]
fn ejections_are_counted_by_their_cause() {
    let rate = SuccessRate { threshold_permille: 800, window: Duration::from_secs(10), min_requests: 10 };
    let counts = |pool: &Pool| pool.ejections().map(|(cause, count)| (cause.name(), count)).collect::<Vec<_>>();
    let runs = pool(&endpoints(4), &Balancing::default());
    (0..5).for_each(|_| outcome(&runs, 0, true, 0));
    let probe = pick(&runs, SECOND, 1, None);
    probe.begin(SECOND);
    probe.finish(Outcome { latency_ns: MS, failed: true }, SECOND);
    assert_eq!(counts(&runs), [("consecutive_failures", 1), ("success_rate", 0), ("failed_probe", 1)]);

    let rates = pool(
        &endpoints(4),
        &ejecting(Ejection { consecutive_failures: Some(0), success_rate: Some(rate), ..Ejection::default() }),
    );
    (0..40_u64).for_each(|n| outcome(&rates, 0, n % 2 == 0, n * 10 * MS));
    assert_eq!(counts(&rates), [("consecutive_failures", 0), ("success_rate", 1), ("failed_probe", 0)]);
}

#[test]
fn least_request_looks_at_work_in_hand_and_not_at_latency() {
    let pool = pool(&endpoints(2), &by(Algorithm::LeastRequest));
    // The first answers slowly and has nothing to do, the second is quick and busy.
    pool.nodes()[0].begin(0);
    pool.nodes()[0].finish(Outcome { latency_ns: SECOND, failed: false }, SECOND);
    (0..3).for_each(|_| pool.nodes()[1].begin(SECOND));
    let mut random = Random(1);
    assert!((0..50).all(|_| place(&pool, &pick(&pool, SECOND, random.next(), None)) == 0));
}

#[test]
fn the_cap_of_ejection_is_what_the_resource_says() {
    for (max_percent, wanted) in [(Some(20), 2), (None, 5), (Some(100), 10), (Some(0), 0)] {
        let pool = pool(&endpoints(10), &ejecting(Ejection { max_percent, ..Ejection::default() }));
        for index in 0..10 {
            (0..5).for_each(|_| outcome(&pool, index, true, 0));
        }
        assert_eq!(pool.ejected(), wanted, "{max_percent:?}");
    }
}

#[test]
fn so_few_usable_endpoints_are_not_left_alone_with_the_load() {
    let shares = |panic_percent| {
        let ejection = Ejection { max_percent: Some(100), panic_percent: Some(panic_percent), ..Ejection::default() };
        let pool = pool(&endpoints(10), &ejecting(ejection));
        for index in 0..8 {
            (0..5).for_each(|_| outcome(&pool, index, true, 0));
        }
        let mut random = Random(2);
        (0..500).filter(|_| place(&pool, &pick(&pool, 1, random.next(), None)) < 8).count()
    };
    assert_eq!(shares(0), 0, "without panic the two serve everything");
    assert!(shares(50) > 100, "with it the others bear their part");
}

#[test]
fn a_poor_success_rate_ejects_where_it_is_asked_for_and_zero_failures_in_a_row_eject_nobody() {
    let rate = SuccessRate { threshold_permille: 800, window: Duration::from_secs(10), min_requests: 10 };
    for (success_rate, wanted) in [(Some(rate), 1), (None, 0)] {
        let ejection = Ejection { consecutive_failures: Some(0), success_rate, ..Ejection::default() };
        let pool = pool(&endpoints(4), &ejecting(ejection));
        (0..40_u64).for_each(|n| outcome(&pool, 0, n % 2 == 0, n * 100 * MS));
        assert_eq!(pool.ejected(), wanted, "{success_rate:?}");
    }
}

#[test]
fn a_new_endpoint_is_not_eased_in_where_slow_start_is_off() {
    for (slow_start, wanted) in [(Some(Duration::ZERO), 60..=140), (None, 0..=30)] {
        let mut pool = pool(&endpoints(3), &Balancing { slow_start, ..Balancing::default() });
        pool.update(&endpoints(4), 0);
        let mut random = Random(4);
        let count = (0..400).filter(|_| place(&pool, &pick(&pool, 1, random.next(), None)) == 3).count();
        assert!(wanted.contains(&count), "{count} of 400 with {slow_start:?}");
    }
}

#[test]
fn an_endpoint_that_asked_for_a_pause_is_tried_last_and_is_not_ejected() {
    let pool = pool(&endpoints(2), &Balancing::default());
    pool.nodes()[0].wait(Duration::from_secs(1), 0, 0);
    let mut random = Random(6);
    assert!((0..50).all(|_| place(&pool, &pick(&pool, SECOND - 1, random.next(), None)) == 1));
    assert_eq!(pool.ejected(), 0);
    assert!((0..50).any(|_| place(&pool, &pick(&pool, SECOND, random.next(), None)) == 0));
}

#[test]
fn endpoints_that_asked_for_one_pause_together_come_back_one_after_the_other() {
    let pool = pool(&endpoints(21), &Balancing::default());
    let mut random = Random(11);
    // Twenty are busy, and say so to each of the many requests that they have in hand.
    for _ in 0..100 {
        pool.nodes()[1..].iter().for_each(|node| node.wait(Duration::from_secs(4), 0, random.next()));
    }
    let back = |now| pool.nodes()[1..].iter().filter(|node| node.available(now)).count();
    assert_eq!((back(4 * SECOND - 1), back(5 * SECOND)), (0, 20), "not before the time, and not long after it");
    // Some in each quarter of the second that is added at most; the seed is fixed.
    let moments: Vec<usize> = (16..=20).map(|quarter| back(quarter * SECOND / 4)).collect();
    assert!(moments.is_sorted_by(|a, b| a < b), "{moments:?}");
    // The next pause is drawn anew.
    let again = |index: usize, random| {
        pool.nodes()[index].wait(Duration::from_secs(4), 10 * SECOND, random);
        pool.nodes()[index].available(14 * SECOND)
    };
    assert!(again(1, 0) && !again(2, u64::MAX));
}

/// Two zones of four.
fn zones() -> Vec<Arc<Endpoint>> {
    (0..8)
        .map(|n| Arc::new(Endpoint { zone: if n < 4 { "here" } else { "there" }.to_owned(), ..endpoint(n) }))
        .collect()
}

fn share_here(pool: &Pool, now: u64) -> f64 {
    let mut random = Random(8);
    let here = (0..1_000).filter(|_| pick(pool, now, random.next(), None).endpoint().zone == "here").count();
    here as f64 / 1_000.0
}

#[test]
fn the_callers_zone_serves_while_it_can_and_overflows_when_it_cannot() {
    let near = Balancing { local_zone: "here".to_owned(), ..Balancing::default() };
    let all = ejecting(Ejection { max_percent: Some(100), panic_percent: Some(0), ..Ejection::default() });
    let near = Balancing { ejection: all.ejection, ..near };
    let pool = pool(&zones(), &near);
    assert!((share_here(&pool, 0) - 1.0).abs() < f64::EPSILON, "healthy: nothing leaves the zone");
    for index in 0..2 {
        (0..5).for_each(|_| outcome(&pool, index, true, 0));
    }
    let half = share_here(&pool, 1);
    assert!((0.6..0.95).contains(&half), "half of the zone is out: {half}");
    for index in 2..4 {
        (0..5).for_each(|_| outcome(&pool, index, true, 0));
    }
    assert!(share_here(&pool, 1) < f64::EPSILON, "the zone is out");
}

#[test]
fn a_zone_that_is_much_slower_than_another_overflows_and_one_that_is_a_little_slower_does_not() {
    for (latency, wanted) in [(15, 0.99..=1.0), (200, 0.0..=0.2)] {
        let pool = pool(&zones(), &Balancing { local_zone: "here".to_owned(), ..Balancing::default() });
        for _ in 0..20 {
            for (index, node) in pool.nodes().iter().enumerate() {
                node.begin(0);
                let latency_ns = if index < 4 { latency } else { 10 } * MS;
                node.finish(Outcome { latency_ns, failed: false }, 0);
            }
        }
        let share = share_here(&pool, 0);
        assert!(wanted.contains(&share), "{latency} ms against 10: {share}");
    }
}

/// What leaves the zone of one client at `rate` requests a second, all endpoints answering in about 10 ms, over `requests` requests.
fn leaving(here: usize, there: usize, rate: u64, seed: u64) -> f64 {
    let zone = |n: usize| if n < here { "here" } else { "there" }.to_owned();
    let set: Vec<_> = (0..here + there).map(|n| Arc::new(Endpoint { zone: zone(n), ..endpoint(n) })).collect();
    let pool = pool(&set, &Balancing { local_zone: "here".to_owned(), ..Balancing::default() });
    let mut random = Random(seed);
    let mut under_way: std::collections::VecDeque<(u64, u64, Rc<Node>)> = std::collections::VecDeque::new();
    let (mut left, requests) = (0, 4_000);
    for number in 0..requests {
        // Within half a gap of when it is due.
        let now = (number * 1_000 + random.next() % 500) * MS / rate.max(1);
        while under_way.front().is_some_and(|(ends, ..)| *ends <= now) {
            let (ends, latency_ns, node) = under_way.pop_front().unwrap();
            node.finish(Outcome { latency_ns, failed: false }, ends);
        }
        let node = pick(&pool, now, random.next(), None);
        left += usize::from(node.endpoint().zone == "there");
        node.begin(now);
        let latency = 9 * MS + random.next() % (2 * MS);
        let at = under_way.partition_point(|(ends, ..)| *ends <= now + latency);
        under_way.insert(at, (now + latency, latency, node));
    }
    left as f64 / requests as f64
}

#[test]
fn a_healthy_zone_keeps_its_requests_however_few_or_many_there_are() {
    for (here, there) in [(4, 4), (2, 20)] {
        for rate in [1, 10, 100, 1_000] {
            for seed in [1, 2, 3] {
                let left = leaving(here, there, rate, seed);
                assert!(left < 0.01, "{here}/{there} at {rate} a second: {left}, seed {seed}");
            }
        }
    }
}

#[test]
fn within_a_zone_everybody_has_a_part() {
    let pool = pool(&zones(), &Balancing { local_zone: "here".to_owned(), ..Balancing::default() });
    let mut random = Random(9);
    let mut counts = [0; 4];
    for _ in 0..4_000 {
        counts[place(&pool, &pick(&pool, 0, random.next(), None))] += 1;
    }
    assert!(counts.iter().all(|count| (850..=1_150).contains(count)), "{counts:?}");
}

#[test]
fn a_pause_that_a_server_asked_for_outlives_a_new_connection_and_a_refused_one() {
    let pool = pool(&endpoints(2), &Balancing::default());
    pool.nodes()[0].wait(Duration::from_secs(10), 0, 0);
    pool.nodes()[0].connect_failed(0);
    pool.nodes()[0].connected();
    let mut random = Random(6);
    assert!((0..50).all(|_| place(&pool, &pick(&pool, 10 * SECOND - 1, random.next(), None)) == 1));
}

#[test]
fn connections_of_bytes_that_stand_end_a_run_of_refusals_and_a_probe() {
    let pool = pool(&endpoints(4), &Balancing::default());
    let node = &pool.nodes()[0];
    let refuse = |now| {
        node.begin(now);
        node.finish(Outcome { latency_ns: MS, failed: true }, now);
    };
    for _ in 0..20 {
        refuse(0);
        node.begin(0);
        node.established(0);
    }
    assert_eq!(pool.ejected(), 0, "never two in a row");
    (0..5).for_each(|_| refuse(0));
    assert_eq!(pool.ejected(), 1);
    let probe = pool.pick(draw(2 * SECOND, 0, Discipline::LeastPending), |_| false).unwrap();
    assert_eq!(place(&pool, &probe), 0);
    probe.begin(2 * SECOND);
    probe.established(2 * SECOND);
    assert_eq!(pool.ejected(), 0, "it serves again, with the connection still in hand");
    assert_eq!((probe.load().pending(), probe.load().held()), (0, 21));
}
