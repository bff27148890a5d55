//! Policy and configuration change under live connections; the end of a proxy's life.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::collections::HashMap;

use common::app::App;
use common::certs::spiffe;
use common::node::{ENDPOINTS, Pair, SERVICE, anybody, backend, identities, rule, split, workload};
use common::{GET, eventually, get, is_whole, read_until, run, status, talk};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weft_policy::model::Protocol;
use weft_proxy_core::exchange::Direction;

#[test]
fn a_policy_change_holds_for_the_next_request_of_a_live_connection() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let port = app.address.port();
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let ask =
            async |stream: &mut TcpStream| String::from_utf8(talk(stream, GET.as_bytes(), is_whole).await).unwrap();
        assert_eq!(status(&ask(&mut stream).await), 200);
        for (allowed, want) in [("other", 403), ("client", 200), ("other", 403)] {
            let rule = rule(port, Protocol::Detect, identities(&[&spiffe(allowed)]));
            pair.server.setter.set_workload(workload("server", vec![rule]));
            assert_eq!(status(&ask(&mut stream).await), want, "only {allowed} is allowed");
        }
        assert_eq!(seen.count(), 2);
    });
}

#[test]
fn a_byte_connection_that_is_no_longer_allowed_is_closed() {
    run(async {
        let app = App::start(|mut stream| async move {
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        })
        .await;
        let pair = Pair::start(app.address);
        let port = app.address.port();
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        assert_eq!(talk(&mut stream, b"\x01ping", |bytes| bytes.len() == 5).await, b"\x01ping");
        let still = rule(port, Protocol::Detect, identities(&[&spiffe("client")]));
        pair.server.setter.set_workload(workload("server", vec![still]));
        assert_eq!(talk(&mut stream, b"\x01ping", |bytes| bytes.len() == 5).await, b"\x01ping", "still allowed");
        let other = rule(port, Protocol::Detect, identities(&[&spiffe("other")]));
        pair.server.setter.set_workload(workload("server", vec![other]));
        assert_eq!(read_until(&mut stream, |_| false).await, b"", "closed without a byte from either side");
        eventually("nothing is left", || pair.client.active() + pair.server.active() == 0).await;
    });
}

#[test]
fn a_split_sends_each_backend_its_share() {
    run(async {
        const TOTAL: usize = 2000;
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let (other, other_seen) = App::ok().await;
        let open = [app.address.port(), other.address.port()].map(|port| rule(port, Protocol::Detect, anybody()));
        pair.server.setter.set_workload(workload("server", open.into()));
        let mut endpoint = pair.endpoint();
        endpoint.address = other.address;
        pair.client.setter.set_endpoints("endpoints/demo/canary:80", vec![endpoint]);
        let backends = vec![backend(ENDPOINTS, 90), backend("endpoints/demo/canary:80", 10)];
        pair.client.setter.set_outbound(SERVICE.parse().unwrap(), split(Protocol::Detect, backends));
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        for _ in 0..TOTAL {
            assert!(is_whole(&talk(&mut stream, GET.as_bytes(), is_whole).await));
        }
        assert_eq!(seen.count() + other_seen.count(), TOTAL);
        // Binomial(2000, 0.1): mean 200, deviation 13.4; 4.5 deviations are rarer than one in 100,000.
        assert!((140..=260).contains(&other_seen.count()), "{} of {TOTAL}", other_seen.count());
    });
}

#[test]
fn a_request_moves_on_when_its_endpoint_refuses_connections() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let mut dead = pair.endpoint();
        dead.transport = weft_policy::model::Transport::Plain;
        dead.address = "127.0.0.1:1".parse().unwrap();
        pair.client.setter.set_endpoints(ENDPOINTS, vec![dead, pair.endpoint()]);
        for _ in 0..20 {
            assert_eq!(status(&get(pair.client.outbound, GET).await), 200);
        }
        assert_eq!(seen.count(), 20);
    });
}

#[test]
fn the_control_plane_may_go_away() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200);
        pair.client.setter.set_connected(false);
        pair.server.setter.set_connected(false);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200);
        assert!(pair.server.proxy.ready());
    });
}

#[test]
fn a_draining_proxy_finishes_what_it_has_and_loses_nothing() {
    run(async {
        let app = App::start(|mut stream| async move {
            loop {
                let request = read_until(&mut stream, common::app::request_is_whole).await;
                if request.is_empty() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
                    return;
                }
            }
        })
        .await;
        let pair = Pair::start(app.address);
        // Four clients without a pause; the server drains in the middle of their work.
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let address = pair.client.outbound;
                tokio::task::spawn_local(async move {
                    let mut counts: HashMap<u16, usize> = HashMap::new();
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    for _ in 0..20 {
                        let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
                        let answer = String::from_utf8(talk(&mut stream, request, is_whole).await).unwrap();
                        *counts.entry(status(&answer)).or_default() += 1;
                    }
                    counts
                })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        pair.server.proxy.drain.begin();
        assert!(!pair.server.proxy.ready());
        for task in tasks {
            assert_eq!(task.await.unwrap(), HashMap::from([(200, 20)]));
        }
        let drain = &pair.server.proxy.drain;
        assert!(drain.idle(Direction::Inbound, std::time::Duration::from_secs(5)).await, "inbound becomes idle");
    });
}

#[test]
fn a_plain_client_is_told_that_a_draining_server_closes() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        pair.server.inbound_origin.set(app.address);
        let mut idle = TcpStream::connect(pair.server.inbound).await.unwrap();
        let answer = String::from_utf8(talk(&mut idle, GET.as_bytes(), is_whole).await).unwrap();
        assert!(!answer.contains("connection: close"), "{answer}");
        pair.server.proxy.drain.begin();
        assert_eq!(read_until(&mut idle, |_| false).await, b"", "an idle connection is closed");
        let answer = get(pair.server.inbound, GET).await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    });
}

#[test]
fn whoever_has_connected_when_the_listener_closes_is_served_and_whoever_comes_later_is_refused() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        pair.server.inbound_origin.set(app.address);
        let drain = pair.server.proxy.drain.clone();
        drain.begin();
        assert!(drain.idle(Direction::Inbound, std::time::Duration::from_secs(5)).await);
        // The kernel has accepted it; no task has run since.
        let last = std::net::TcpStream::connect(pair.server.inbound).unwrap();
        drain.shut();
        last.set_nonblocking(true).unwrap();
        let mut last = TcpStream::from_std(last).unwrap();
        let answer = String::from_utf8(talk(&mut last, GET.as_bytes(), is_whole).await).unwrap();
        assert!(status(&answer) == 200 && answer.contains("connection: close\r\n"), "{answer}");
        assert!(drain.idle(Direction::Inbound, std::time::Duration::from_secs(5)).await);
        let late = TcpStream::connect(pair.server.inbound).await;
        assert_eq!(late.err().map(|error| error.kind()), Some(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(seen.count(), 1);
    });
}
