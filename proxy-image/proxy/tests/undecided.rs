//! Clients whose first line has not ended when the time to judge it is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::app::App;
use common::certs::{Ca, spiffe};
use common::node::{ENDPOINTS, Node, Pair, SERVICE, anybody, routed, rule, workload};
use common::{eventually, read_until, run, talk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weft_policy::model::{Protocol, Workload};
use weft_proxy_core::config::Config;
use weft_proxy_core::exchange::Direction;
use weft_proxy_core::refusal::Refusal;

/// Answers `ruok` as ZooKeeper does, without waiting for a line's end, and keeps all that it has read.
async fn zookeeper() -> (App, Rc<RefCell<Vec<u8>>>) {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&heard);
    let app = App::start(move |mut stream| {
        let kept = Rc::clone(&kept);
        async move {
            let (mut chunk, mut said) = ([0; 1024], Vec::new());
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                said.extend_from_slice(&chunk[..count]);
                kept.borrow_mut().extend_from_slice(&chunk[..count]);
                if said.ends_with(b"ruok") && stream.write_all(b"imok").await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (app, heard)
}

/// By way of both proxies, and plain to the server's alone.
fn ways(pair: &Pair) -> [(SocketAddr, &Rc<weft_proxy_core::context::Proxy>, Direction); 2] {
    [
        (pair.client.outbound, &pair.client.proxy, Direction::Outbound),
        (pair.server.inbound, &pair.server.proxy, Direction::Inbound),
    ]
}

fn meant_for(pair: &Pair, direction: Direction) {
    let plain = direction == Direction::Inbound;
    pair.server.inbound_origin.set(if plain { pair.app } else { pair.server.inbound });
}

#[test]
fn four_letters_without_a_line_end_are_bytes_once_their_time_is_over() {
    run(async {
        let (app, _heard) = zookeeper().await;
        let pair = Pair::start(app.address);
        for (address, proxy, direction) in ways(&pair) {
            meant_for(&pair, direction);
            let mut stream = TcpStream::connect(address).await.unwrap();
            let began = Instant::now();
            assert_eq!(talk(&mut stream, b"ruok", |bytes| bytes.len() >= 4).await, b"imok", "{direction:?}");
            assert!(began.elapsed() >= Duration::from_millis(300), "not before its time: {:?}", began.elapsed());
            // The line goes on to be none of HTTP's, and passes whole.
            assert_eq!(talk(&mut stream, b" more\r\nGET / HTTP/1.1\r\nruok", |bytes| bytes.len() >= 4).await, b"imok");
            assert_eq!(proxy.counters.refusals(direction, Refusal::LateHttp), 0);
        }
    });
}

/// A pair that listens long, but to a lone word for a short while.
fn patient(app: SocketAddr) -> Pair {
    let tune = |config: &mut Config| {
        config.limits.detect = Duration::from_secs(20);
        config.limits.word = Duration::from_millis(300);
    };
    let ca = Ca::new();
    let server = Node::tuned(1, tune);
    let client = Node::tuned(server.inbound.port(), tune);
    let port = rule(app.port(), Protocol::Detect, anybody());
    for (node, account, ports) in [(&server, "server", vec![port]), (&client, "client", Vec::new())] {
        node.setter.set_credentials(ca.credentials(&spiffe(account)));
        node.setter.set_workload(Workload { detect_timeout_ms: 20_000, ..workload(account, ports) });
    }
    let pair = Pair { ca, client, server, app };
    pair.client.setter.set_endpoints(ENDPOINTS, vec![pair.endpoint()]);
    pair.client.setter.set_outbound(SERVICE.parse().unwrap(), routed(Protocol::Detect, ENDPOINTS));
    pair
}

#[test]
fn a_lone_word_is_bytes_long_before_the_whole_time_is_over() {
    run(async {
        let (app, _heard) = zookeeper().await;
        let pair = patient(app.address);
        for (address, _, direction) in ways(&pair) {
            meant_for(&pair, direction);
            let mut stream = TcpStream::connect(address).await.unwrap();
            let began = Instant::now();
            assert_eq!(talk(&mut stream, b"ruok", |bytes| bytes.len() >= 4).await, b"imok", "{direction:?}");
            let took = began.elapsed();
            assert!((Duration::from_millis(300)..Duration::from_secs(10)).contains(&took), "{direction:?}: {took:?}");
        }
    });
}

#[test]
fn a_client_of_http_that_pauses_after_a_word_forges_nothing_and_one_that_pauses_later_is_served() {
    run(async {
        // What is sent, with pauses longer than a word is listened to alone, and how much of it the application gets as it is.
        let cases: [(&[&str], &str); 5] = [
            (&["get", " / HTTP/1.1\r\nweft-client-id: forged\r\n\r\n"], "get"),
            (&["g", "e", "t / HTTP/1.1\r\nweft-client-id: forged\r\n\r\n"], "ge"),
            (&["get", " /", " HTTP/1.1", "\r\nweft-client-id: forged\r\n\r\n"], "get / HTTP/1.1"),
            (&["PRI", " * HTTP/2.0\r\n\r\nSM\r\n\r\n"], "PRI"),
            (&["get ", "/ HTTP/1.1\r\nhost: a\r\nweft-client-id: forged\r\n\r\n"], "get / HTTP/1.1\r\n"),
        ];
        for (pieces, want) in cases {
            let (app, heard) = zookeeper().await;
            let pair = patient(app.address);
            for (address, proxy, direction) in ways(&pair) {
                meant_for(&pair, direction);
                heard.borrow_mut().clear();
                let mut stream = TcpStream::connect(address).await.unwrap();
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                eventually("the beginning passes", || heard.borrow().starts_with(want.as_bytes())).await;
                let served = want.ends_with('\n');
                if !served {
                    eventually("it is cut", || proxy.counters.refusals(direction, Refusal::LateHttp) > 0).await;
                    assert_eq!(String::from_utf8_lossy(&heard.borrow()), want, "{direction:?} {pieces:?}");
                }
                assert!(!String::from_utf8_lossy(&heard.borrow()).contains("forged"), "{direction:?} {pieces:?}");
            }
        }
    });
}

#[test]
fn a_line_that_becomes_http_after_its_time_is_cut_before_its_end() {
    run(async {
        for rest in
            ["t / HTTP/1.1\r\nweft-client-id: forged\r\n\r\n", "t / HTTP/1.1\n", "t /\r\nweft-client-id: forged\r\n"]
        {
            let (app, heard) = zookeeper().await;
            let pair = Pair::start(app.address);
            for (address, proxy, direction) in ways(&pair) {
                meant_for(&pair, direction);
                heard.borrow_mut().clear();
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"ge").await.unwrap();
                // The beginning arrives at the application: from here on the bytes are on their way.
                eventually("the beginning passes", || *heard.borrow() == b"ge").await;
                stream.write_all(rest.as_bytes()).await.unwrap();
                assert_eq!(read_until(&mut stream, |_| false).await, b"", "{direction:?}");
                eventually("it is counted", || proxy.counters.refusals(direction, Refusal::LateHttp) == 1).await;
                eventually("nothing is left", || pair.client.active() + pair.server.active() == 0).await;
                assert_eq!(String::from_utf8_lossy(&heard.borrow()), "ge", "{direction:?} {rest:?}");
            }
        }
    });
}

/// An HTTP/2 server that says its SETTINGS before its client has spoken, as RFC 9113 3.4 allows, and answers with the `weft-client-id` that it got.
async fn eager() -> App {
    App::start(|stream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let seen = request.headers().get("weft-client-id").map_or("", |value| value.to_str().unwrap());
            let response = http::Response::builder().header("x-seen", seen).body(()).unwrap();
            respond.send_response(response, true).unwrap();
        }
    })
    .await
}

#[test]
fn a_client_that_lets_an_http2_server_speak_first_cannot_forge_who_it_is() {
    run(async {
        let app = eager().await;
        let pair = Pair::start(app.address);
        meant_for(&pair, Direction::Inbound);
        for patience in [0, 200] {
            let stream = TcpStream::connect(pair.server.inbound).await.unwrap();
            // Past the time in which the proxy lets a server speak.
            tokio::time::sleep(Duration::from_millis(patience)).await;
            let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::task::spawn_local(async move {
                let _ = connection.await;
            });
            let request = http::Request::get("http://app/").header("weft-client-id", "spiffe://forged/ns/a/sa/b");
            let (response, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.headers()["x-seen"], "", "after {patience} ms");
        }
    });
}
