use super::*;
use crate::metrics::Limits;
use std::net::{Ipv4Addr, SocketAddr};
use weft_control::ControlSetter;
use weft_policy::model::{Endpoint, Transport};

fn endpoint(n: u8) -> Endpoint {
    Endpoint {
        address: SocketAddr::from((Ipv4Addr::new(10, 0, 0, n), 80)),
        pod_uid: n.to_string(),
        identity: String::new(),
        transport: Transport::Plain,
        zone: String::new(),
        labels: Arc::from([]),
    }
}

const WANT: Want = Want { discipline: Discipline::PeakEwma, key: None };

fn balancers() -> (Rc<Balancers>, ControlSetter, Arc<str>) {
    let (control, setter) = Control::memory();
    (Balancers::new(control), setter, Arc::from("endpoints/demo/web:80"))
}

fn pick(balancer: &Balancer) -> Option<Picked> {
    balancer.pick(now_ns(), WANT, &[])
}

#[test]
fn a_balancer_follows_its_endpoints_and_is_shared_by_name() {
    let (balancers, setter, name) = balancers();
    let balancer = balancers.get(&name);
    assert!(!balancer.ready() && pick(&balancer).is_none());
    setter.set_endpoints(&name, vec![endpoint(1)]);
    assert!(balancer.ready());
    assert_eq!(pick(&balancer).unwrap().endpoint().address.ip(), Ipv4Addr::new(10, 0, 0, 1));
    setter.set_endpoints(&name, vec![endpoint(2)]);
    assert_eq!(pick(&balancers.get(&name)).unwrap().endpoint().address.ip(), Ipv4Addr::new(10, 0, 0, 2));
    assert!(Rc::ptr_eq(&balancer, &balancers.get(&name)));
    setter.set_endpoints(&name, vec![]);
    assert!(!balancer.ready() && pick(&balancer).is_none());
}

#[test]
fn a_dropped_control_plane_leaves_the_endpoints_in_force() {
    let (balancers, setter, name) = balancers();
    setter.set_endpoints(&name, vec![endpoint(1)]);
    let balancer = balancers.get(&name);
    drop((balancers, setter));
    assert!(balancer.ready() && pick(&balancer).is_some());
}

#[test]
fn attachments_live_as_long_as_the_endpoint_and_are_one_per_type() {
    let (balancers, setter, name) = balancers();
    setter.set_endpoints(&name, vec![endpoint(1)]);
    let balancer = balancers.get(&name);
    let picked = pick(&balancer).unwrap();
    let first = picked.attachment(|endpoint| endpoint.address.to_string());
    let again = picked.attachment(|_| String::from("not made"));
    let other = picked.attachment(|_| 7_u8);
    assert!(Rc::ptr_eq(&first, &again) && *first == "10.0.0.1:80" && *other == 7);
    picked.finish_now(false);
    let weak = Rc::downgrade(&first);
    drop((first, again));
    assert!(weak.upgrade().is_some());
    setter.set_endpoints(&name, vec![endpoint(2)]);
    balancers.sweep();
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_try_counts_as_in_hand_until_it_is_finished_answered_or_dropped() {
    let balancer = Balancer::fixed(&Arc::new(endpoint(1)));
    let pending = |picked: &Picked| picked.node().load().pending();
    let probe = pick(&balancer).unwrap();
    assert_eq!(pending(&probe), 1);
    pick(&balancer).unwrap().finish_now(false);
    drop(pick(&balancer));
    pick(&balancer).unwrap().connect_failed();
    let mut answered = pick(&balancer).unwrap();
    assert_eq!(pending(&probe), 2);
    answered.respond(now_ns());
    assert_eq!(pending(&probe), 1);
    answered.finish_now(true);
    assert_eq!(pending(&probe), 1);
}

#[test]
fn a_balancer_in_nobodys_hands_is_kept_for_a_while_and_told_in_the_metrics() {
    let (balancers, setter, name) = balancers();
    setter.set_endpoints(&name, vec![endpoint(1), endpoint(2)]);
    drop(balancers.get(&name));
    balancers.sweep();
    assert_eq!(balancers.len(), 1, "its estimates and connections serve the next connection");
    let metrics = Metrics::new(Limits::default());
    balancers.collect(&metrics);
    let text = metrics.render();
    for (state, count) in [("ready", 2), ("ejected", 0)] {
        let line = format!("outbound_http_balancer_endpoints{{name=\"{name}\",endpoint_state=\"{state}\"}} {count}\n");
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn balancers_past_the_bound_share_one_overflow_row() {
    let (balancers, setter, _) = balancers();
    for index in 0..ROWS + 7 {
        let name = Arc::from(format!("endpoints/demo/s{index}:80"));
        setter.set_endpoints(&name, vec![endpoint(1)]);
        drop(balancers.get(&name));
    }
    let metrics = Metrics::new(Limits::default());
    balancers.collect(&metrics);
    let text = metrics.render();
    assert_eq!(text.matches("outbound_http_balancer_endpoints{name=").count(), 2 * ROWS);
    assert!(text.contains("outbound_http_balancer_endpoints{overflow=\"true\"} 7\n"));
    assert_eq!(text.matches("outbound_http_balancer_ejections_total{name=").count(), 3 * ROWS);
    assert!(text.contains("outbound_http_balancer_ejections_total{overflow=\"true\"} 0\n"));
}

#[test]
fn an_ejection_is_told_with_its_reason() {
    let (balancers, setter, name) = balancers();
    setter.set_endpoints(&name, vec![endpoint(1), endpoint(2)]);
    let balancer = balancers.get(&name);
    // Ten tries that fail are five at least at one of two.
    (0..10).for_each(|_| pick(&balancer).unwrap().finish_now(true));
    let metrics = Metrics::new(Limits::default());
    balancers.collect(&metrics);
    let text = metrics.render();
    for (reason, count) in [("consecutive_failures", 1), ("success_rate", 0), ("failed_probe", 0)] {
        let line = format!("outbound_http_balancer_ejections_total{{name=\"{name}\",reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{text}");
    }
    assert!(
        text.contains(&format!("outbound_http_balancer_endpoints{{name=\"{name}\",endpoint_state=\"ejected\"}} 1\n"))
    );
}

#[test]
fn a_connection_is_held_until_its_guard_goes_however_it_ends() {
    let balancer = Balancer::fixed(&Arc::new(endpoint(1)));
    let watch = pick(&balancer).unwrap();
    let held = || (watch.node().load().pending(), watch.node().load().held());
    let mut bytes = pick(&balancer).unwrap();
    bytes.established();
    bytes.established();
    assert_eq!(held(), (1, 1), "told twice, held once");
    drop(bytes);
    assert_eq!(held(), (1, 0));
    let mut bytes = pick(&balancer).unwrap();
    bytes.established();
    bytes.finish_now(true);
    assert_eq!(held(), (1, 0));
    let mut request = pick(&balancer).unwrap();
    request.respond(now_ns());
    let upgraded = request.hold();
    request.finish_now(false);
    assert_eq!(held(), (1, 1));
    drop(upgraded);
    assert_eq!(held(), (1, 0));
}

#[test]
fn randomness_reaches_both_halves() {
    let (mut ones, mut zeros) = (0, 0);
    for _ in 0..64 {
        let word = random();
        ones |= word;
        zeros |= !word;
    }
    assert_eq!((ones, zeros), (u64::MAX, u64::MAX));
}

#[test]
fn what_requests_are_told_apart_by_is_known_from_the_first_request_on() {
    use weft_policy::model::{Algorithm, Balancing, HashKey};
    let (balancers, setter, name) = balancers();
    setter.set_endpoints(&name, vec![endpoint(1), endpoint(2)]);
    let balancer = balancers.get(&name);
    assert!(balancer.keyed().is_none());
    let ring = Balancing { algorithm: Algorithm::RingHash, hash_key: Some(HashKey::Source), ..Balancing::default() };
    setter.set_balanced(&name, vec![endpoint(1), endpoint(2)], ring);
    assert!(balancer.keyed().is_some());
    let want = Want { key: Some(7), ..WANT };
    let first = balancer.pick(now_ns(), want, &[]).unwrap();
    let again = balancer.pick(now_ns(), want, &[]).unwrap();
    assert_eq!(first.endpoint().address, again.endpoint().address);
}

#[test]
fn a_failure_that_counts_elsewhere_makes_an_endpoint_neither_quick_nor_bad() {
    let balancer = Balancer::fixed(&Arc::new(endpoint(1)));
    let probe = pick(&balancer).unwrap();
    let estimate = |picked: &Picked| picked.node().load().estimate_ns(now_ns());
    let before = estimate(&probe);
    for answered in [false, true] {
        for _ in 0..50 {
            let mut picked = pick(&balancer).unwrap();
            if answered {
                picked.respond(now_ns());
            }
            picked.withhold();
        }
    }
    assert_eq!((probe.node().load().pending(), balancer.counts()), (1, (1, 0)));
    assert!(probe.node().load().failure_rate(now_ns()) == 0.0);
    assert!(estimate(&probe) > before * 0.9, "fifty answers of no time at all: {} of {before}", estimate(&probe));
}
