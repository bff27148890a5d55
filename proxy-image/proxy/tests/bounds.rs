//! What happens when one more comes than the proxy will hold (docs/bounds.md); HTTP/2's own bounds are reached in `src/h2/tests/bounds.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::time::Duration;

use common::app::App;
use common::certs::{Ca, spiffe};
use common::node::{ENDPOINTS, Node, Pair, SERVICE, anybody, backend, no_labels, routed, rule, workload};
use common::{GET, eventually, get, is_whole, read_until, run, status, talk};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weft_policy::model::{
    Endpoint, HttpMatch, InboundRoute, Outbound, OutboundKind, OutboundRoute, PathMatch, Protocol, Ref, Routed,
    Transport,
};
use weft_proxy_core::exchange::Direction;
use weft_proxy_core::refusal::Refusal;

/// A proxy that holds two connections of each direction, in front of an application at `app`.
fn small(app: std::net::SocketAddr) -> Node {
    let node = Node::tuned(1, |config| config.limits.connections = 2);
    node.setter.set_credentials(Ca::new().credentials(&spiffe("server")));
    node.setter.set_workload(workload("server", vec![rule(app.port(), Protocol::Http1, anybody())]));
    let endpoint = Endpoint {
        address: app,
        pod_uid: String::new(),
        identity: String::new(),
        transport: Transport::Plain,
        zone: String::new(),
        labels: no_labels(),
    };
    node.setter.set_endpoints(ENDPOINTS, vec![endpoint]);
    node.setter.set_outbound(SERVICE.parse().unwrap(), routed(Protocol::Http1, ENDPOINTS));
    node.inbound_origin.set(app);
    node
}

#[test]
fn one_connection_too_many_is_refused_and_counted_and_the_next_is_served_once_there_is_room() {
    run(async {
        let (app, _seen) = App::ok().await;
        let node = small(app.address);
        for (address, direction) in [(node.inbound, Direction::Inbound), (node.outbound, Direction::Outbound)] {
            let mut held = Vec::new();
            for count in 1..=2 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                assert!(is_whole(&talk(&mut stream, GET.as_bytes(), is_whole).await), "{direction:?}");
                assert_eq!(node.proxy.drain.active(direction), count);
                held.push(stream);
            }
            let mut refused = TcpStream::connect(address).await.unwrap();
            assert_eq!(read_until(&mut refused, |_| false).await, b"", "{direction:?}");
            assert_eq!(node.proxy.counters.refusals(direction, Refusal::Overload), 1);
            held.pop();
            eventually("there is room", || node.proxy.drain.active(direction) == 1).await;
            assert_eq!(status(&get(address, GET).await), 200, "{direction:?}");
        }
    });
}

#[test]
fn what_a_refused_client_goes_on_sending_is_read_up_to_a_bound() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await.unwrap();
        let (mut sent, piece) = (0, vec![b'x'; 64 * 1024]);
        let flooding = async {
            while stream.write_all(&piece).await.is_ok() {
                sent += piece.len();
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), flooding).await;
        // 256 KiB, and what the sockets of both ends hold.
        assert!(sent < 16 * 1024 * 1024, "{sent} bytes were taken");
        eventually("the connection ends", || pair.client.active() == 0).await;
    });
}

fn route(index: usize) -> (Ref, HttpMatch) {
    let name = Ref { kind: "test".to_owned(), name: format!("r{index:03}"), ..Ref::default() };
    (name, HttpMatch { path: Some(PathMatch::Exact(format!("/{index}"))), ..HttpMatch::default() })
}

/// Asks for each of `count` paths twice on one connection; every route is counted twice.
async fn each_twice(address: std::net::SocketAddr, count: usize, counted: &Node, family: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for index in (0..count).chain(0..count) {
        let request = format!("GET /{index} HTTP/1.1\r\nHost: app\r\n\r\n");
        assert!(is_whole(&talk(&mut stream, request.as_bytes(), is_whole).await));
    }
    let text = counted.proxy.metrics.render();
    for index in 0..count {
        let name = format!("route_name=\"r{index:03}\"");
        let line = text.lines().find(|line| line.starts_with(family) && line.contains(&name));
        assert!(line.is_some_and(|line| line.ends_with(" 2")), "{index}: {line:?}");
    }
}

#[test]
fn more_decisions_than_a_connection_remembers_are_counted_all_the_same() {
    run(async {
        let (app, _seen) = App::ok().await;
        let mut rule = rule(app.address.port(), Protocol::Http1, anybody());
        for index in 0..40 {
            let (route, wanted) = route(index);
            rule.routes.push(InboundRoute { route, matches: vec![wanted], authorizations: Vec::new() });
        }
        let pair = Pair::with(app.address, rule);
        each_twice(pair.client.outbound, 40, &pair.server, "request_total").await;
    });
}

#[test]
fn more_series_than_an_endpoint_remembers_are_counted_all_the_same() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let routes = (0..100).map(route).map(|(route, wanted)| OutboundRoute {
            route,
            matches: vec![wanted],
            backends: vec![backend(ENDPOINTS, 1)],
            ..OutboundRoute::default()
        });
        let outbound = Outbound {
            destination: Ref::default(),
            protocol: Protocol::Http1,
            kind: OutboundKind::Routed(Routed { routes: routes.collect(), ..Routed::default() }),
            labels: no_labels(),
            named: None,
        };
        pair.client.setter.set_outbound(SERVICE.parse().unwrap(), outbound);
        each_twice(pair.client.outbound, 100, &pair.client, "request_total").await;
    });
}

#[test]
fn a_connection_of_bytes_is_tried_so_often_and_then_refused() {
    run(async {
        let (app, _seen) = App::ok().await;
        let node = small(app.address);
        let dead = |index: u8| Endpoint {
            // Nothing listens on the discard port of loopback.
            address: std::net::SocketAddr::from(([127, 0, 0, index], 9)),
            pod_uid: String::new(),
            identity: String::new(),
            transport: Transport::Plain,
            zone: String::new(),
            labels: no_labels(),
        };
        node.setter.set_endpoints(ENDPOINTS, (1..=8).map(dead).collect());
        node.setter.set_outbound(SERVICE.parse().unwrap(), routed(Protocol::Opaque, ENDPOINTS));
        let mut stream = TcpStream::connect(node.outbound).await.unwrap();
        assert_eq!(read_until(&mut stream, |_| false).await, b"");
        let counters = &node.proxy.counters;
        eventually("it is refused", || counters.refusals(Direction::Outbound, Refusal::Unreachable) == 1).await;
        let text = node.proxy.metrics.render();
        let failed = text.lines().find(|line| line.starts_with("tcp_close_total") && line.contains("ECONNREFUSED"));
        assert!(failed.is_some_and(|line| line.ends_with(" 3")), "{failed:?}");
    });
}

#[test]
fn a_request_is_dialled_at_so_many_endpoints_and_then_answered() {
    run(async {
        let mut apps = Vec::new();
        for _ in 0..9 {
            // They take connections, and none of them is a proxy of the mesh.
            apps.push(App::start(|stream| async move { drop(stream) }).await);
        }
        let node = small(apps[0].address);
        let endpoint = |app: &App| Endpoint {
            address: app.address,
            pod_uid: "uid".to_owned(),
            identity: spiffe("server"),
            transport: Transport::Redirect,
            zone: String::new(),
            labels: no_labels(),
        };
        node.setter.set_endpoints(ENDPOINTS, apps.iter().map(endpoint).collect());
        node.setter.set_outbound(SERVICE.parse().unwrap(), routed(Protocol::Http1, ENDPOINTS));
        assert_eq!(status(&get(node.outbound, GET).await), 502);
        let dialled: Vec<usize> = apps.iter().map(App::connections).filter(|count| *count > 0).collect();
        assert_eq!(dialled, [1; 5]);
    });
}
