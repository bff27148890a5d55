//! From the first hello to deltas and refusals.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use weft_policy::model::{BackendTarget, EndpointSet, OutboundKind};

use super::operator::{Link, Operator};
use super::pki::Pki;
use super::resources::{delta, endpoints, outbound, workload};
use super::{Folder, config, ready, soon};
use crate::handle::Control;
use crate::types::Resolution;
use crate::wire::config::client_message::Kind;
use crate::wire::config::upsert::Resource;
use crate::wire::config::{Protocol, ServerMessage};

const ADDRESS: &str = "10.96.0.1:80";
const OUTBOUND: &str = "outbound/10.96.0.1:80";
const V1: &str = "endpoints/demo/v1:80";
const V2: &str = "endpoints/demo/v2:80";

/// Names of the endpoints resources that the resolution sends to.
fn backends(resolution: &watch::Receiver<Resolution>) -> Vec<String> {
    match &*resolution.borrow() {
        Resolution::Known(known) => match &known.kind {
            OutboundKind::Routed(routed) => {
                let name = |target: &BackendTarget| match target {
                    BackendTarget::Endpoints(name) => name.to_string(),
                    BackendTarget::Error(status) => status.to_string(),
                };
                routed.default_backends.iter().map(|backend| name(&backend.target)).collect()
            }
            other => panic!("not routed: {other:?}"),
        },
        other => vec![format!("{other:?}")],
    }
}

fn addresses(endpoints: &watch::Receiver<Option<EndpointSet>>) -> Vec<String> {
    endpoints.borrow().iter().flat_map(|set| set.iter()).map(|endpoint| endpoint.address.to_string()).collect()
}

/// A control with a workload and one destination in force: `OUTBOUND` at version o1, `V1` at version e1.
pub(super) async fn established(
    operator: &mut Operator,
    folder: &Folder,
    pki: &Pki,
) -> (Control, Link, watch::Receiver<Resolution>) {
    let control = Control::start(config(operator, folder, pki));
    let mut link = operator.link().await;
    let hello = link.hello().await;
    assert_eq!((hello.protocol, hello.held.len(), hello.proxy_version.as_str()), (1, 0, "test"));
    assert_eq!(link.token, "Bearer token-1");
    assert!(!control.ready(), "nothing is held yet");

    link.upsert(1, "workload", "w1", workload()).await;
    assert_eq!(link.acked().await, 1);
    ready(&control).await;

    let asking = tokio::spawn({
        let control = control.clone();
        async move { control.outbound(ADDRESS.parse().unwrap()).await.resolution }
    });
    assert_eq!(link.subscribed().await, [OUTBOUND]);
    link.upsert(2, OUTBOUND, "o1", outbound(&["v1"])).await;
    assert_eq!(link.subscribed().await, [V1]);
    link.upsert(3, V1, "e1", endpoints(&["10.0.0.2", "10.0.0.1"])).await;
    // The endpoints come into force first, then the route that names them.
    assert_eq!((link.acked().await, link.acked().await), (3, 2));
    let resolution = asking.await.unwrap();
    assert_eq!(backends(&resolution), [V1]);
    (control, link, resolution)
}

#[tokio::test]
async fn a_route_comes_into_force_when_all_its_endpoints_are_held_and_never_half() {
    let (folder, pki) = (Folder::new("life"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, resolution) = established(&mut operator, &folder, &pki).await;
    let v1 = control.endpoints(V1);
    assert_eq!(addresses(&v1), ["10.0.0.1:8080", "10.0.0.2:8080"], "sorted by address");

    link.upsert(4, OUTBOUND, "o2", outbound(&["v1", "v2"])).await;
    assert_eq!(link.subscribed().await, [V2]);
    // Something else is acknowledged meanwhile: the route still waits.
    link.upsert(5, V1, "e2", endpoints(&["10.0.0.1"])).await;
    assert_eq!(link.acked().await, 5);
    assert_eq!(backends(&resolution), [V1], "the old route stays until the new one is complete");

    // A newer route replaces the one that waits, which is never acknowledged.
    link.upsert(6, OUTBOUND, "o3", outbound(&["v2"])).await;
    link.upsert(7, V2, "f1", endpoints(&["10.0.1.1"])).await;
    assert_eq!((link.acked().await, link.acked().await), (7, 6));
    assert_eq!(backends(&resolution), [V2]);

    link.remove(8, OUTBOUND).await;
    assert_eq!(link.acked().await, 8);
    assert_eq!(backends(&resolution), ["Unknown"]);
}

#[tokio::test]
async fn a_delta_applies_on_top_of_its_base_only() {
    let (folder, pki) = (Folder::new("delta"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let v1 = control.endpoints(V1);
    let kept = Arc::clone(&v1.borrow().as_ref().unwrap()[0]);

    link.upsert(4, V1, "e2", delta("e1", &["10.0.0.3"], &["10.0.0.2"])).await;
    assert_eq!(link.acked().await, 4);
    assert_eq!(addresses(&v1), ["10.0.0.1:8080", "10.0.0.3:8080"]);
    assert!(Arc::ptr_eq(&kept, &v1.borrow().as_ref().unwrap()[0]), "an endpoint that did not change stays itself");

    link.upsert(5, V1, "e4", delta("e3", &["10.0.0.4"], &[])).await;
    let Kind::Nack(nack) = link.next().await else { panic!("not a nack") };
    assert_eq!((nack.nonce, nack.resource.as_str(), nack.reason.as_str()), (5, V1, "base"));
    assert_eq!(addresses(&v1), ["10.0.0.1:8080", "10.0.0.3:8080"]);
}

#[tokio::test]
async fn a_bad_resource_is_refused_alone_and_the_old_one_stays() {
    let (folder, pki) = (Folder::new("nack"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, resolution) = established(&mut operator, &folder, &pki).await;

    let Resource::Outbound(mut unknown) = outbound(&["v2"]) else { panic!("not an outbound") };
    unknown.protocol = 99;
    link.upsert(4, OUTBOUND, "o2", Resource::Outbound(unknown)).await;
    // Another kind than the name says, an unknown name, and a message of a kind from the future.
    link.upsert(5, V1, "e2", workload()).await;
    link.upsert(6, "future/thing", "x", workload()).await;
    link.send(ServerMessage { nonce: 7, kind: None }).await;
    link.upsert(8, V1, "e3", endpoints(&["10.0.0.9"])).await;

    let mut refused = Vec::new();
    let acked = loop {
        match link.next().await {
            Kind::Nack(nack) => refused.push((nack.nonce, nack.resource, nack.reason)),
            Kind::Ack(ack) => break ack.nonce,
            other => panic!("unexpected {other:?}"),
        }
    };
    soon("all refusals", || control.stats().nacks == 4).await;
    while refused.len() < 4 {
        let Kind::Nack(nack) = link.next().await else { panic!("not a nack") };
        refused.push((nack.nonce, nack.resource, nack.reason));
    }
    assert_eq!(acked, 8);
    let summary: Vec<_> = refused.iter().map(|(nonce, resource, _)| (*nonce, resource.as_str())).collect();
    assert_eq!(summary, [(4, OUTBOUND), (5, V1), (6, "future/thing"), (7, "")]);
    assert_eq!(refused[0].2, "protocol: 99 is not a protocol that this proxy knows");
    assert_eq!(backends(&resolution), [V1]);
    assert_eq!(addresses(&control.endpoints(V1)), ["10.0.0.9:8080"]);
    let held = control.held();
    assert_eq!(held.refused.len(), 4);
    assert!(held.versions.contains(&(OUTBOUND.to_owned(), "o1".to_owned())));
}

#[tokio::test]
async fn an_address_that_the_operator_does_not_know_is_unknown_and_may_become_known() {
    let (folder, pki) = (Folder::new("unknown"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let address: SocketAddr = "[fd00::1]:443".parse().unwrap();
    let asking = tokio::spawn({
        let control = control.clone();
        async move { control.outbound(address).await.resolution }
    });
    assert_eq!(link.subscribed().await, ["outbound/[fd00::1]:443"]);
    link.remove(4, "outbound/[fd00::1]:443").await;
    let mut resolution = asking.await.unwrap();
    assert_eq!(link.acked().await, 4);
    assert_eq!(backends(&resolution), ["Unknown"]);

    // Both name a Service port that is already held: nothing is asked, and it is in force at once.
    let Resource::Outbound(mut known) = outbound(&["v1"]) else { panic!("not an outbound") };
    known.protocol = Protocol::Opaque.into();
    link.upsert(5, "outbound/[fd00::1]:443", "x1", Resource::Outbound(known)).await;
    assert_eq!(link.acked().await, 5);
    resolution.wait_for(|resolution| matches!(resolution, Resolution::Known(_))).await.unwrap();
}

#[tokio::test]
async fn a_name_or_a_reason_that_is_too_long_is_refused_in_short() {
    let (folder, pki) = (Folder::new("names"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (_control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let nacked = async |link: &mut Link| match link.next().await {
        Kind::Nack(nack) => nack,
        other => panic!("not a nack: {other:?}"),
    };
    let name = format!("endpoints/demo/{}:80", "v".repeat(100_000));
    link.upsert(7, &name, "e1", endpoints(&[])).await;
    let nack = nacked(&mut link).await;
    assert_eq!((nack.nonce, nack.resource.len()), (7, crate::apply::NAME_BYTES));
    link.upsert(8, V1, "e2", endpoints(&[&"1".repeat(100_000)])).await;
    let nack = nacked(&mut link).await;
    assert!(nack.nonce == 8 && nack.reason.len() <= crate::apply::REASON_BYTES, "{}", nack.reason.len());
}

#[tokio::test]
async fn a_message_past_the_bound_ends_the_stream_and_the_next_one_says_what_is_held() {
    let (folder, pki) = (Folder::new("large"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, link, _resolution) = established(&mut operator, &folder, &pki).await;
    link.upsert(7, V1, &"e".repeat(9 << 20), endpoints(&[])).await;
    let mut again = operator.link().await;
    assert_eq!(again.hello().await.held.len(), 3, "nothing was lost");
    assert!(control.stats().last_error.contains("message"), "{}", control.stats().last_error);
}

#[tokio::test]
async fn a_resource_larger_than_the_streams_window_comes_whole() {
    let (folder, pki) = (Folder::new("window"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    let many: Vec<String> = (0..9_000).map(|index| format!("10.1.{}.{}", index / 250, index % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    link.upsert(7, V1, "e2", endpoints(&many)).await;
    assert_eq!(link.acked().await, 7);
    assert_eq!(control.endpoints(V1).borrow().as_deref().map(<[_]>::len), Some(many.len()));
}
