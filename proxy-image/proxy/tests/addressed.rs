//! Requests to the address of a pod that name another host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::app::App;
use common::node::{Pair, anybody, backend, rule, workload};
use common::{GET, get, is_whole, run, status, talk};
use tokio::net::TcpStream;
use weft_policy::model::{Outbound, OutboundKind, OutboundRoute, Protocol, Ref, Routed};

const POD: &str = "[fd00::7]:8080";
const CANARY: &str = "endpoints/demo/canary:80";

/// What the operator says of a pod in front of which a Service splits everything to `CANARY`.
fn addressed(pair: &Pair) -> Outbound {
    let route = OutboundRoute { backends: vec![backend(CANARY, 1)], ..OutboundRoute::default() };
    Outbound {
        destination: Ref::default(),
        protocol: Protocol::Detect,
        kind: OutboundKind::Endpoint(pair.endpoint().into()),
        labels: common::node::no_labels(),
        named: Some(Routed { routes: vec![route], ..Routed::default() }),
    }
}

#[test]
fn those_of_an_ingress_follow_the_service_and_those_that_name_the_pod_reach_it() {
    run(async {
        let (app, seen) = App::ok().await;
        let (other, other_seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let open = [app.address.port(), other.address.port()].map(|port| rule(port, Protocol::Detect, anybody()));
        pair.server.setter.set_workload(workload("server", open.into()));
        let mut endpoint = pair.endpoint();
        endpoint.address = other.address;
        pair.client.setter.set_endpoints(CANARY, vec![endpoint]);
        pair.client.setter.set_outbound(POD.parse().unwrap(), addressed(&pair));
        pair.client.outbound_origin.set(POD.parse().unwrap());
        let cases = [
            ("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: [fd00::7]:8080\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: [fd00:0::7]\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: [fd00::7]:9\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: [fd00::8]:8080\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", true),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", false),
            // The target's host is the one that counts, and the one that is passed on.
            ("GET http://shop.example/ HTTP/1.1\r\nHost: [fd00::7]\r\n\r\n", true),
            ("GET http://[fd00::7]/ HTTP/1.1\r\nHost: shop.example\r\n\r\n", false),
        ];
        for (request, elsewhere) in cases {
            let before = (seen.count(), other_seen.count());
            assert_eq!(status(&get(pair.client.outbound, request).await), 200, "{request}");
            let after = (seen.count() - before.0, other_seen.count() - before.1);
            assert_eq!(after, if elsewhere { (0, 1) } else { (1, 0) }, "{request}");
        }

        // Of one connection each request is looked at.
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let before = (seen.count(), other_seen.count());
        for request in [GET, cases[1].0, GET] {
            assert!(is_whole(&talk(&mut stream, request.as_bytes(), is_whole).await));
        }
        assert_eq!((seen.count() - before.0, other_seen.count() - before.1), (1, 2));
    });
}

#[test]
fn a_connection_of_bytes_reaches_the_pod() {
    run(async {
        let app = App::start(|mut stream| async move {
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        })
        .await;
        let pair = Pair::start(app.address);
        pair.client.setter.set_endpoints(CANARY, Vec::new());
        pair.client.setter.set_outbound(POD.parse().unwrap(), addressed(&pair));
        pair.client.outbound_origin.set(POD.parse().unwrap());
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        assert_eq!(talk(&mut stream, b"\x01ping", |bytes| bytes.len() == 5).await, b"\x01ping");
    });
}
