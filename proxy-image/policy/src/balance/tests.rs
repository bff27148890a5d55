use super::simulation::Random;
use super::*;
use crate::model::{Endpoint, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

const SECOND: u64 = 1_000 * MS;

pub(super) fn endpoint(n: usize) -> Endpoint {
    Endpoint {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(n + 1).unwrap())), 80),
        pod_uid: format!("uid-{n}"),
        identity: String::new(),
        transport: Transport::Plain,
        zone: String::new(),
        labels: Arc::from([]),
    }
}

pub(super) fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
    (0..count).map(|n| Arc::new(endpoint(n))).collect()
}

/// Without a key.
pub(super) fn draw(now_ns: u64, random: u64, discipline: Discipline) -> Draw {
    Draw { now_ns, random, discipline, key: None }
}

fn pool(count: usize) -> Pool {
    let mut pool = Pool::<()>::new(Tuning::default());
    pool.update(&endpoints(count), 0);
    pool
}

fn ok(ms: u64) -> Outcome {
    Outcome { latency_ns: ms * MS, failed: false }
}

fn failed(ms: u64) -> Outcome {
    Outcome { latency_ns: ms * MS, failed: true }
}

/// How often each node is drawn in `draws`, nothing being in hand.
fn shares(pool: &Pool, now: u64, draws: usize, discipline: Discipline) -> Vec<f64> {
    let mut random = Random(7);
    let mut counts = vec![0; pool.nodes().len()];
    for _ in 0..draws {
        let node = pool.pick(draw(now, random.next(), discipline), |_| false).unwrap();
        counts[pool.nodes().iter().position(|other| Rc::ptr_eq(other, &node)).unwrap()] += 1;
    }
    counts.into_iter().map(|count| f64::from(count) / draws as f64).collect()
}

fn finish_all(pool: &Pool, outcome: Outcome, now: u64) {
    for node in pool.nodes() {
        node.begin(now);
        node.finish(outcome, now);
    }
}

/// Enough failures in a row that the node is ejected.
fn eject(node: &Node, now: u64) {
    for _ in 0..Tuning::default().eject_after {
        node.begin(now);
        node.finish(failed(1), now);
    }
}

#[test]
fn an_empty_pool_has_nothing_and_a_lone_endpoint_is_always_drawn() {
    assert!(pool(0).pick(draw(0, 3, Discipline::PeakEwma), |_| false).is_none());
    let lone = pool(1);
    eject(&lone.nodes()[0], 0);
    assert!(!lone.nodes()[0].load().ejected(), "half of one is none");
    assert!(lone.pick(draw(0, u64::MAX, Discipline::PeakEwma), |_| true).is_some(), "excluded, but there is no other");
}

#[test]
fn equals_share_equally() {
    for share in shares(&pool(7), 0, 70_000, Discipline::PeakEwma) {
        assert!((share - 1.0 / 7.0).abs() < 0.01, "{share}");
    }
}

#[test]
fn the_slower_of_two_is_drawn_last_and_work_in_hand_evens_it_out() {
    let two = pool(2);
    let (fast, slow) = (&two.nodes()[0], &two.nodes()[1]);
    for (node, ms) in [(fast, 40), (slow, 100)] {
        node.begin(0);
        node.finish(ok(ms), 0);
    }
    assert_eq!(shares(&two, 0, 100, Discipline::PeakEwma), [1.0, 0.0]);
    fast.begin(0);
    fast.begin(0);
    assert_eq!(shares(&two, 0, 100, Discipline::PeakEwma), [0.0, 1.0]);
}

#[test]
fn a_peak_is_believed_at_once_and_forgotten_over_the_decay_time() {
    let one = pool(1);
    let load = one.nodes()[0].load();
    one.nodes()[0].begin(0);
    one.nodes()[0].finish(ok(2_000), 0);
    assert!((load.estimate_ns(0) - 2e9).abs() < 1.0);
    let after = load.estimate_ns(10 * SECOND);
    assert!((after - 2e9 / std::f64::consts::E).abs() < 1e6, "{after}");
}

#[test]
fn an_endpoint_that_stops_answering_gets_dearer_while_it_is_silent() {
    let two = pool(2);
    finish_all(&two, ok(10), 0);
    two.nodes()[0].begin(0);
    assert!(two.nodes()[0].load().estimate_ns(500 * MS) >= 5e8);
    two.nodes()[0].give_up(500 * MS, 500 * MS);
    assert_eq!(two.nodes()[0].load().pending(), 0);
    assert!(two.nodes()[0].load().estimate_ns(500 * MS) >= 5e8, "what the client waited is a lower bound");
}

#[test]
fn a_long_stream_that_has_answered_repels_nothing() {
    let two = pool(2);
    finish_all(&two, ok(10), 0);
    two.nodes()[0].begin(0);
    two.nodes()[0].respond(10 * MS, 10 * MS);
    assert_eq!(two.nodes()[0].load().pending(), 0);
    let (a, b) = (&two.nodes()[0], &two.nodes()[1]);
    let ratio = a.load().cost(SECOND, Discipline::PeakEwma) / b.load().cost(SECOND, Discipline::PeakEwma);
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn a_fast_failure_never_looks_like_speed() {
    let two = pool(2);
    finish_all(&two, ok(50), 0);
    two.nodes()[0].begin(0);
    two.nodes()[0].finish(failed(1), MS);
    assert_eq!(shares(&two, MS, 100, Discipline::PeakEwma), [0.0, 1.0]);
    assert_eq!(shares(&two, MS, 100, Discipline::LeastPending), [0.0, 1.0]);
}

#[test]
fn a_fast_head_is_not_speed_before_the_whole_response_has_succeeded() {
    let two = pool(2);
    finish_all(&two, ok(50), 0);
    let node = &two.nodes()[0];
    for second in 1..=20 {
        let now = second * SECOND;
        node.begin(now);
        let before = node.load().estimate_ns(now);
        node.respond(MS, now);
        node.conclude(failed(1), now);
        assert!((node.load().estimate_ns(now) - before).abs() < 1.0, "a failure teaches no latency");
    }
    assert!(node.load().ejected());
    node.begin(30 * SECOND);
    node.respond(9_000 * MS, 30 * SECOND);
    assert!(node.load().estimate_ns(30 * SECOND) >= 9e9, "slowness is believed at once");
}

#[test]
fn a_probe_that_begins_to_answer_admits_when_it_goes_on_and_ejects_when_it_fails() {
    for (fails, admitted) in [(true, false), (false, true)] {
        let four = pool(4);
        let node = &four.nodes()[2];
        eject(node, 0);
        let pick = |now| four.pick(draw(now, 1, Discipline::PeakEwma), |_| false).unwrap();
        let probe = pick(SECOND);
        probe.begin(SECOND);
        probe.respond(MS, SECOND);
        pick(SECOND + 500 * MS);
        assert!(node.load().ejected(), "half a second is too early to tell");
        if fails {
            probe.conclude(failed(1), SECOND + 600 * MS);
        }
        pick(2 * SECOND + MS);
        assert_eq!(node.load().ejected(), !admitted);
        assert_eq!(four.ejected(), usize::from(!admitted));
    }
}

#[test]
fn a_run_of_failures_ejects_until_one_probe_succeeds_and_never_more_than_half() {
    let four = pool(4);
    finish_all(&four, ok(10), 0);
    for node in four.nodes() {
        eject(node, 0);
    }
    assert_eq!(four.ejected(), 2);
    assert_eq!(shares(&four, 0, 1_000, Discipline::PeakEwma)[..2], [0.0, 0.0]);

    let pick = |now| four.pick(draw(now, 1, Discipline::PeakEwma), |_| false).unwrap();
    let probe = pick(SECOND);
    assert!(probe.load().ejected(), "the probe is due");
    probe.begin(SECOND);
    probe.finish(failed(1), SECOND);
    let other = pick(SECOND);
    assert!(other.load().ejected() && !Rc::ptr_eq(&probe, &other), "the other one's probe");
    other.begin(SECOND);
    other.finish(ok(10), SECOND);
    assert_eq!(four.ejected(), 1);
    assert!(!pick(2 * SECOND).load().ejected(), "the second wait is twice the first");
    assert!(Rc::ptr_eq(&pick(3 * SECOND), &probe));
}

#[test]
fn one_probe_at_a_time_and_a_probe_given_up_is_repeated() {
    let four = pool(4);
    eject(&four.nodes()[2], 0);
    let pick = |now| four.pick(draw(now, 1, Discipline::PeakEwma), |_| false).unwrap();
    let probe = pick(SECOND);
    probe.begin(SECOND);
    assert!(!pick(SECOND).load().ejected());
    probe.give_up(MS, SECOND + MS);
    assert!(Rc::ptr_eq(&pick(SECOND + MS), &probe));
}

#[test]
fn an_endpoint_removed_while_ejected_is_not_counted_any_more() {
    let mut four = pool(4);
    let gone = Rc::clone(&four.nodes()[0]);
    eject(&gone, 0);
    gone.begin(0);
    assert_eq!(four.ejected(), 1);
    four.update(&endpoints(4)[1..], 0);
    assert_eq!(four.ejected(), 0);
    gone.finish(ok(1), SECOND);
    assert_eq!(four.ejected(), 0);
    eject(&four.nodes()[0], SECOND);
    assert_eq!(four.ejected(), 1);
}

#[test]
fn a_refused_connection_makes_an_endpoint_last_but_not_unreachable() {
    let two = pool(2);
    two.nodes()[0].connect_failed(0);
    assert_eq!(shares(&two, 0, 100, Discipline::PeakEwma), [0.0, 1.0]);
    two.nodes()[1].connect_failed(0);
    assert!(two.pick(draw(0, 1, Discipline::PeakEwma), |_| false).is_some());
    assert!(
        shares(&two, 100 * MS, 1_000, Discipline::PeakEwma).iter().all(|share| *share > 0.4),
        "the backoff is over"
    );
    two.nodes()[0].connect_failed(100 * MS);
    assert_eq!(shares(&two, 299 * MS, 100, Discipline::PeakEwma), [0.0, 1.0], "and doubles");
    two.nodes()[0].connected();
    assert!(shares(&two, 299 * MS, 1_000, Discipline::PeakEwma)[0] > 0.4);
}

#[test]
fn a_retry_goes_elsewhere_where_there_is_an_elsewhere() {
    let three = pool(3);
    let tried = three.nodes()[1].endpoint().address;
    let mut random = Random(3);
    for _ in 0..1_000 {
        let node =
            three.pick(draw(0, random.next(), Discipline::PeakEwma), |endpoint| endpoint.address == tried).unwrap();
        assert_ne!(node.endpoint().address, tried);
    }
}

#[test]
fn a_new_endpoint_joins_with_its_peers_estimate_and_an_increasing_share() {
    let mut grown = pool(4);
    finish_all(&grown, ok(1), 0);
    for node in grown.nodes() {
        // The estimate starts at 30 ms and only fades over time: bring it to what is measured.
        for second in 1..200 {
            node.begin(second * SECOND);
            node.finish(ok(1), second * SECOND);
        }
    }
    let now = 200 * SECOND;
    grown.update(&endpoints(5), now);
    let newcomer = grown.nodes()[4].load();
    assert!(newcomer.estimate_ns(now) < 3e6, "{}", newcomer.estimate_ns(now));
    let share = |at| shares(&grown, at, 20_000, Discipline::LeastPending)[4];
    let (early, middle, late) = (share(now), share(now + 5 * SECOND), share(now + 10 * SECOND));
    assert!(early < 0.04 && early > 0.0, "{early}");
    assert!(middle > early * 2.0 && middle < 0.18, "{middle}");
    assert!((late - 0.2).abs() < 0.02, "{late}");
}

#[test]
fn an_update_keeps_what_is_known_while_the_pod_stays() {
    let mut two = pool(2);
    finish_all(&two, ok(500), 0);
    let in_flight = Rc::clone(&two.nodes()[0]);
    in_flight.begin(0);

    let relabelled = Endpoint { zone: "b".into(), ..endpoint(0) };
    let replaced = Endpoint { pod_uid: "another".into(), ..endpoint(1) };
    two.update(&[Arc::new(relabelled), Arc::new(replaced)], 0);
    assert_eq!(two.nodes()[0].endpoint().zone, "b");
    assert_eq!(two.nodes()[0].load().pending(), 1, "the same pod: the request in hand is still in hand");
    in_flight.finish(ok(500), 0);
    assert_eq!(two.nodes()[0].load().pending(), 0);
    let kept = two.nodes()[0].load();
    assert!((kept.estimate_ns(0) - 5e8).abs() < 1e6);
    eject(&two.nodes()[0], 0);
    two.update(&endpoints(2), 0);
    assert!(two.nodes()[0].load().ejected(), "an update is no amnesty");
}

#[test]
fn bytes_go_where_the_fewest_connections_are_whatever_the_latency() {
    let two = pool(2);
    two.nodes()[0].begin(0);
    two.nodes()[0].finish(ok(5_000), 0);
    two.nodes()[1].begin(0);
    assert_eq!(shares(&two, 0, 100, Discipline::LeastPending), [1.0, 0.0]);
}

#[test]
fn a_single_hiccup_is_forgiven_after_some_good_answers_but_a_slow_endpoint_stays_slow() {
    let pool = pool(3);
    for round in 0..20 {
        finish_all(&pool, ok(20), round * 20 * MS);
    }
    let node = &pool.nodes()[0];
    let mut now = SECOND;
    node.begin(now - 300 * MS);
    node.finish(ok(300), now);
    assert!(node.load().estimate_ns(now) > 290.0 * MS as f64, "a peak is believed at once");
    for _ in 0..30 {
        now += 20 * MS;
        finish_all(&pool, ok(20), now);
    }
    assert!(node.load().estimate_ns(now) < 40.0 * MS as f64, "thirty good answers outweigh one hiccup");
    for _ in 0..30 {
        now += 300 * MS;
        node.begin(now - 300 * MS);
        node.finish(ok(300), now);
    }
    assert!(node.load().estimate_ns(now) > 290.0 * MS as f64);
}
