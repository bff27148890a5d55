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
