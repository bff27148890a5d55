//! Bounds and letting go, without a clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_policy::model::{Balancing, Endpoint, Outbound, OutboundKind, Transport};

use super::{EndpointsChange, Limits, Store};
use crate::tests::resources::wire_outbound;
use crate::types::Resolution;

const LIMITS: Limits =
    Limits { outbounds: 20, outbound_idle: Duration::from_secs(300), endpoints_idle: Duration::from_secs(60) };
const V1: &str = "endpoints/demo/v1:80";
const V2: &str = "endpoints/demo/v2:80";

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn no_endpoints() -> EndpointsChange {
    EndpointsChange::Full { endpoints: Vec::new(), balancing: Balancing::default() }
}

fn apply(store: &mut Store, address: SocketAddr, backends: &[&str]) {
    store.apply_outbound(address, "o".to_owned(), 1, wire_outbound(backends).try_into().unwrap());
}

fn told(store: &mut Store) -> (Vec<String>, Vec<String>) {
    let outbox = std::mem::take(&mut store.outbox);
    (outbox.subscribe.into_iter().collect(), outbox.unsubscribe.into_iter().collect())
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_nobody_uses_is_let_go_after_its_time_and_not_before() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let used = store.outbound(address(1), start);
    apply(&mut store, address(1), &["v1"]);
    store.apply_endpoints(V1, "e".to_owned(), 2, no_endpoints());
    assert_eq!(told(&mut store), (names(&[V1, "outbound/10.0.0.1:80"]), Vec::new()));
    assert!(matches!(*used.borrow(), Resolution::Known(_)));

    store.sweep(start + seconds(1_000));
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()), "in use");
    drop(used);
    store.sweep(start + seconds(1_299));
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()), "not idle for long enough");
    store.sweep(start + seconds(1_300));
    assert_eq!(told(&mut store), (Vec::new(), names(&["outbound/10.0.0.1:80"])));
    store.sweep(start + seconds(1_360));
    assert_eq!(told(&mut store), (Vec::new(), names(&[V1])), "its endpoints a while later");
    assert_eq!((store.stats().outbounds, store.stats().endpoints), (0, 0));
}

#[test]
fn endpoints_that_a_route_leaves_and_comes_back_to_are_not_asked_for_again() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let _used = store.outbound(address(1), start);
    apply(&mut store, address(1), &["v1", "v2"]);
    for name in [V1, V2] {
        store.apply_endpoints(name, "e".to_owned(), 2, no_endpoints());
    }
    told(&mut store);
    apply(&mut store, address(1), &["v1"]);
    store.sweep(start + seconds(10));
    apply(&mut store, address(1), &["v1", "v2"]);
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()));
    // The time starts anew when it is left again.
    apply(&mut store, address(1), &["v1"]);
    store.sweep(start + seconds(69));
    store.sweep(start + seconds(128));
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()));
    store.sweep(start + seconds(129));
    assert_eq!(told(&mut store), (Vec::new(), names(&[V2])));
}

#[test]
fn endpoints_that_only_requests_with_another_host_need_are_asked_for_too() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let used = store.outbound(address(1), start);
    let mut outbound: Outbound = wire_outbound(&["v1"]).try_into().unwrap();
    let endpoint = Endpoint {
        address: address(1),
        pod_uid: String::new(),
        identity: String::new(),
        transport: Transport::Plain,
        zone: String::new(),
        labels: Arc::from([]),
    };
    let OutboundKind::Routed(routed) = std::mem::replace(&mut outbound.kind, OutboundKind::Endpoint(endpoint.into()))
    else {
        unreachable!("wire_outbound is routed")
    };
    outbound.named = Some(routed);
    store.apply_outbound(address(1), "o".to_owned(), 1, outbound);
    assert_eq!(told(&mut store), (names(&[V1, "outbound/10.0.0.1:80"]), Vec::new()));
    assert!(matches!(*used.borrow(), Resolution::Pending), "not before they are held");
    store.apply_endpoints(V1, "e".to_owned(), 2, no_endpoints());
    assert!(matches!(*used.borrow(), Resolution::Known(_)));
}

#[test]
fn endpoints_that_somebody_watches_stay() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let watched = store.watch_endpoints(V1);
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()), "watching alone asks for nothing");
    let used = store.outbound(address(1), start);
    apply(&mut store, address(1), &["v1"]);
    store.apply_endpoints(V1, "e".to_owned(), 2, no_endpoints());
    assert!(watched.borrow().is_some());
    drop(used);
    told(&mut store);
    for later in [1_000, 2_000] {
        store.sweep(start + seconds(later));
    }
    assert_eq!(told(&mut store), (Vec::new(), names(&["outbound/10.0.0.1:80"])));
    drop(watched);
    for later in [3_000, 3_060] {
        store.sweep(start + seconds(later));
    }
    assert_eq!(told(&mut store), (Vec::new(), names(&[V1])));
}

#[test]
fn at_the_bound_the_addresses_unused_for_longest_make_room() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let mut kept: Vec<_> =
        (0..20).map(|last| store.outbound(address(last), start + seconds(u64::from(last)))).collect();
    told(&mut store);
    // All in use: the newcomer is answered at once, and not asked about.
    let refused = store.outbound(address(100), start);
    assert!(matches!(*refused.borrow(), Resolution::Unknown));
    assert_eq!((store.stats().overflows, store.stats().outbounds), (1, 20));
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()));

    kept.drain(3..8);
    let admitted = store.outbound(address(100), start);
    assert!(matches!(*admitted.borrow(), Resolution::Pending));
    let gone = names(&["outbound/10.0.0.3:80", "outbound/10.0.0.4:80"]);
    assert_eq!(told(&mut store), (names(&["outbound/10.0.0.100:80"]), gone));
    assert_eq!(store.stats().outbounds, 19);
}

#[test]
fn a_name_let_go_and_wanted_anew_is_told_both_ways() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    drop(store.outbound(address(1), start));
    // Not yet told: nothing to take back.
    store.sweep(start + seconds(400));
    assert_eq!(told(&mut store), (Vec::new(), Vec::new()));
    drop(store.outbound(address(1), start + seconds(400)));
    told(&mut store);
    store.sweep(start + seconds(800));
    drop(store.outbound(address(1), start + seconds(800)));
    let name = || names(&["outbound/10.0.0.1:80"]);
    assert_eq!(told(&mut store), (name(), name()));
}

#[test]
fn endpoints_that_the_operator_does_not_know_hold_nothing_up() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let used = store.outbound(address(1), start);
    apply(&mut store, address(1), &["v1"]);
    assert!(matches!(*used.borrow(), Resolution::Pending));
    store.remove_endpoints(V1, 2);
    assert!(matches!(*used.borrow(), Resolution::Known(_)));
    assert_eq!(store.watch_endpoints(V1).borrow().as_deref().map(<[_]>::len), Some(0));
    assert_eq!(store.outbox.acks, [2, 1]);
}

#[test]
fn an_answer_that_comes_after_giving_up_still_counts() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let used = store.outbound(address(1), start);
    store.give_up(address(1));
    assert!(matches!(*used.borrow(), Resolution::Unknown));
    apply(&mut store, address(1), &[]);
    assert!(matches!(*used.borrow(), Resolution::Known(_)));
    store.give_up(address(1));
    assert!(matches!(*used.borrow(), Resolution::Known(_)), "giving up takes nothing away");
}
