//! Which endpoint gets a connection that stays, and a further try.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::app::{App, request_is_whole};
use common::node::{ENDPOINTS, Node, SERVICE, no_labels, routed};
use common::{eventually, get, read_until, run, status, talk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weft_policy::model::{
    Algorithm, Balancing, Endpoint, HashKey, OutboundKind, Protocol, Ref, RequestPolicy, Retry, RetryBudget, Transport,
};

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const CONNECT: &[u8] = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";

fn client(apps: &[App], protocol: Protocol, balancing: Balancing) -> Node {
    let node = Node::start(&common::certs::Ca::new(), "client", 1);
    node.setter.set_balanced(ENDPOINTS, endpoints(apps), balancing);
    node.setter.set_outbound(SERVICE.parse().unwrap(), routed(protocol, ENDPOINTS));
    node
}

fn endpoints(apps: &[App]) -> Vec<Endpoint> {
    let endpoint = |app: &App| Endpoint {
        address: app.address,
        pod_uid: app.address.to_string(),
        identity: String::new(),
        transport: Transport::Plain,
        zone: String::new(),
        labels: no_labels(),
    };
    apps.iter().map(endpoint).collect()
}

fn by(hash_key: HashKey) -> Balancing {
    Balancing { algorithm: Algorithm::RingHash, hash_key: Some(hash_key), ..Balancing::default() }
}

/// Says its number to whoever connects, and stays.
async fn greeters(count: u8) -> Vec<App> {
    let mut apps = Vec::new();
    for number in 0..count {
        let app = App::start(move |mut stream| async move {
            let _ = stream.write_all(&[b'0' + number]).await;
            let _ = stream.read(&mut [0; 16]).await;
        });
        apps.push(app.await);
    }
    apps
}

/// Turns every request into a tunnel, after a while, and stays.
async fn upgraders(pauses: [u64; 2]) -> Vec<App> {
    let mut apps = Vec::new();
    for pause in pauses {
        let app = App::start(move |mut stream| async move {
            let request = read_until(&mut stream, request_is_whole).await;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let answer: &[u8] = match request.first() {
                Some(b'C') => b"HTTP/1.1 200 OK\r\n\r\n",
                _ => b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            };
            let _ = stream.write_all(answer).await;
            let _ = stream.read(&mut [0; 16]).await;
        });
        apps.push(app.await);
    }
    apps
}

async fn upgraded(node: &Node, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(node.outbound).await.unwrap();
    let answer = talk(&mut stream, request, |answer| answer.ends_with(b"\r\n\r\n")).await;
    assert!(answer.starts_with(b"HTTP/1.1 101") || answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    stream
}

#[test]
fn connections_of_bytes_follow_the_algorithm_and_the_key_of_their_service() {
    run(async {
        for (balancing, wanted) in [
            (by(HashKey::Source), Some([0, 0, 0, 12])),
            (by(HashKey::Identity), Some([0, 0, 0, 12])),
            // Bytes have no header: to the less busy of two, as if nothing were said.
            (by(HashKey::Header("x-user".to_owned())), None),
            (Balancing { algorithm: Algorithm::RoundRobin, ..Balancing::default() }, Some([3, 3, 3, 3])),
        ] {
            let apps = greeters(4).await;
            let what = format!("{balancing:?}");
            let node = client(&apps, Protocol::Opaque, balancing);
            let mut open = Vec::new();
            for _ in 0..12 {
                let mut stream = TcpStream::connect(node.outbound).await.unwrap();
                assert_eq!(read_until(&mut stream, |read| !read.is_empty()).await.len(), 1);
                open.push(stream);
            }
            let mut counts: Vec<usize> = apps.iter().map(App::connections).collect();
            counts.sort_unstable();
            match wanted {
                Some(wanted) => assert_eq!(counts, wanted, "{what}"),
                None => assert!(counts[1] > 0, "{counts:?} by {what}"),
            }
        }
    });
}

#[test]
fn an_upgraded_connection_counts_at_its_endpoint_for_as_long_as_it_stands() {
    run(async {
        for request in [UPGRADE, CONNECT] {
            // The second is slow to answer, which says nothing about what it holds.
            let apps = upgraders([0, 60]).await;
            let node = client(&apps, Protocol::Http1, Balancing::default());
            let mut open = Vec::new();
            for _ in 0..10 {
                open.push(upgraded(&node, request).await);
            }
            assert_eq!([apps[0].connections(), apps[1].connections()], [5, 5]);
            assert_eq!(node.active(), 10);
            // Those that end are held no more, whichever side ends them.
            let fresh = |apps: &[App]| apps.iter().map(App::connections).collect::<Vec<_>>();
            for (index, mut stream) in open.drain(..4).enumerate() {
                if index % 2 == 0 {
                    stream.write_all(b"end").await.unwrap();
                    assert_eq!(read_until(&mut stream, |_| false).await, b"");
                }
            }
            eventually("four have ended", || node.active() == 6).await;
            for _ in 0..4 {
                open.push(upgraded(&node, request).await);
            }
            assert_eq!(fresh(&apps), [7, 7]);
        }
    });
}

#[test]
fn a_new_endpoint_gets_the_next_upgraded_connections_until_it_holds_as_many() {
    run(async {
        let apps = upgraders([0, 0]).await;
        let balancing = Balancing { slow_start: Some(Duration::ZERO), ..Balancing::default() };
        let node = client(&apps[..1], Protocol::Http1, balancing.clone());
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(upgraded(&node, UPGRADE).await);
        }
        node.setter.set_balanced(ENDPOINTS, endpoints(&apps), balancing);
        for _ in 0..4 {
            open.push(upgraded(&node, UPGRADE).await);
        }
        assert_eq!([apps[0].connections(), apps[1].connections()], [4, 4]);
    });
}

/// Tries everything once more.
fn retry() -> Retry {
    Retry {
        limit: 1,
        statuses: vec![500..=599],
        grpc_codes: Vec::new(),
        on_connection_error: true,
        on_timeout: true,
        methods: Vec::new(),
        max_body: 0,
        budget: RetryBudget { percent: 100, min_per_second: 1_000, ttl: Duration::from_secs(10) },
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(1),
        max_retry_after: Duration::from_secs(1),
    }
}

#[test]
fn a_further_try_goes_where_the_key_of_its_request_wants_it() {
    run(async {
        for (mut balancing, wanted) in
            [(by(HashKey::Header("x-user".to_owned())), 2..=2), (Balancing::default(), 3..=5)]
        {
            let mut apps = Vec::new();
            for _ in 0..5 {
                apps.push(App::scripted(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n").await.0);
            }
            // Nothing is left out, however often it fails.
            balancing.ejection.consecutive_failures = Some(0);
            let node = client(&apps, Protocol::Http1, balancing);
            let mut outbound = routed(Protocol::Http1, ENDPOINTS);
            let OutboundKind::Routed(routes) = &mut outbound.kind else { panic!("routed") };
            let policy = Ref { name: "web".to_owned(), ..Ref::default() };
            routes.policies =
                vec![Arc::new(RequestPolicy { policy, retry: Some(retry()), ..RequestPolicy::default() })];
            node.setter.set_outbound(SERVICE.parse().unwrap(), outbound);
            let request = "GET / HTTP/1.1\r\nHost: app\r\nX-User: ada\r\n\r\n";
            for _ in 0..8 {
                assert_eq!(status(&get(node.outbound, request).await), 500);
            }
            let used = apps.iter().filter(|app| app.connections() > 0).count();
            // That of the key and the one that comes second for it; without a key, all over the place.
            assert!(wanted.contains(&used), "{used}, not {wanted:?}");
        }
    });
}
