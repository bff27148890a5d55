//! Bounds and letting go, without a clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_policy::model::{Balancing, Endpoint, Outbound, OutboundKind, Transport};

use super::{EndpointsChange, Limits, Store};
use crate::tests::resources::wire_outbound;
use crate::types::Resolution;

const LIMITS: Limits = Limits {
    outbounds: 20,
    endpoints: 4,
    endpoints_each: 3,
    endpoints_total: 5,
    outbound_idle: Duration::from_secs(300),
    endpoints_idle: Duration::from_secs(60),
};
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
    store.give_up(address(1));
    assert!(matches!(*used.borrow(), Resolution::Unknown));
    assert_eq!(store.stats().unanswered, 1, "one address, however many waited for it");
    apply(&mut store, address(1), &[]);
    assert!(matches!(*used.borrow(), Resolution::Known(_)));
    store.give_up(address(1));
    assert!(matches!(*used.borrow(), Resolution::Known(_)), "giving up takes nothing away");
    assert_eq!(store.stats().unanswered, 1);
}

fn some_endpoints(count: u8) -> EndpointsChange {
    let endpoint = |last| weft_policy::model::Endpoint {
        address: address(last),
        pod_uid: String::new(),
        identity: String::new(),
        transport: weft_policy::model::Transport::Plain,
        zone: String::new(),
        labels: std::sync::Arc::from([]),
    };
    EndpointsChange::Full { endpoints: (0..count).map(endpoint).collect(), balancing: Balancing::default() }
}

fn held(store: &mut Store, name: &str) -> Option<usize> {
    store.watch_endpoints(name).borrow().as_deref().map(<[_]>::len)
}

#[test]
fn a_route_that_needs_more_endpoints_resources_than_the_bound_is_refused_and_the_one_in_force_stays() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let used = store.outbound(address(1), start);
    apply(&mut store, address(1), &["v1"]);
    store.apply_endpoints(V1, "e".to_owned(), 2, no_endpoints());
    told(&mut store);
    apply(&mut store, address(1), &["v1", "v2", "v3", "v4", "v5"]);
    assert_eq!(store.outbox.nacks.len(), 1);
    assert!(store.outbox.nacks[0].reason.contains("more than the 4 endpoints"), "{}", store.outbox.nacks[0].reason);
    assert!(matches!(*used.borrow(), Resolution::Known(_)));
    store.check();
    // As many as the bound are taken; what nobody uses any more makes room.
    apply(&mut store, address(1), &["v1", "v2", "v3", "v4"]);
    apply(&mut store, address(1), &["v2", "v3", "v4", "v5"]);
    assert_eq!(store.outbox.nacks.len(), 2, "v1 is in force until the others are held, so one more is one too many");
    for name in ["v2", "v3", "v4"] {
        store.apply_endpoints(&format!("endpoints/demo/{name}:80"), "e".to_owned(), 3, no_endpoints());
    }
    apply(&mut store, address(1), &["v2", "v3", "v4"]);
    apply(&mut store, address(1), &["v2", "v3", "v4", "v5"]);
    assert_eq!(store.outbox.nacks.len(), 2, "and v1 went for it");
    store.check();
    // What nobody asked for is refused when it is one too many, and a watch of it sees nothing.
    store.apply_endpoints("endpoints/demo/v9:80", "e".to_owned(), 4, no_endpoints());
    assert_eq!(store.outbox.nacks.len(), 3);
    assert_eq!(held(&mut store, "endpoints/demo/v9:80"), None);
    store.check();
}

#[test]
fn more_endpoints_than_a_resource_or_a_proxy_may_have_are_refused_and_those_held_stay() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    let _used = store.outbound(address(1), start);
    apply(&mut store, address(1), &["v1", "v2"]);
    for (name, count, nacks, stays) in [
        (V1, 3, 0, 3),
        (V1, 4, 1, 3),
        // Five in all.
        (V2, 2, 1, 2),
        (V2, 3, 2, 2),
        (V1, 2, 2, 2),
        (V2, 3, 2, 3),
    ] {
        store.apply_endpoints(name, format!("e{count}"), 2, some_endpoints(count));
        assert_eq!(store.outbox.nacks.len(), nacks, "{name} {count}");
        assert_eq!(held(&mut store, name), Some(stays), "{name} {count}");
    }
    assert_eq!(store.outbox.nacks[0].reason, "4 endpoints are more than the 3 of one resource");
    assert_eq!(store.outbox.nacks[1].reason, "6 endpoints are more than the 5 that a proxy holds");
}

#[test]
fn endpoints_that_never_come_do_not_remember_everybody_who_asked() {
    let (mut store, start) = (Store::new(LIMITS, false), Instant::now());
    for round in 0..100_u8 {
        drop(store.outbound(address(round), start + seconds(u64::from(round))));
        apply(&mut store, address(round), &["v1"]);
        store.check();
    }
    assert!(store.stats().outbounds <= LIMITS.outbounds);
}

#[test]
fn so_many_refusals_are_remembered_for_people() {
    let mut store = Store::new(LIMITS, false);
    for nonce in 0..100 {
        store.refuse(super::Nack { nonce, resource: format!("r{nonce}"), reason: "x".to_owned() });
    }
    let refused = store.held().refused;
    assert_eq!((refused.len(), refused[0].0.as_str()), (super::REFUSED_KEPT, "r84"));
}
