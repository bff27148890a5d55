//! What is counted of connections, whatever they speak: the `tcp_*` families over a pair of proxies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::app::App;
use common::node::{Node, Pair};
use common::{GET, eventually, is_whole, read_until, run, talk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sum of a family's samples whose labels contain `labels`; None where there is no such series.
fn sum(node: &Node, family: &str, labels: &[&str]) -> Option<u64> {
    let text = node.proxy.metrics.render();
    let samples = text.lines().filter(|line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with('{')));
    let values: Vec<u64> = samples
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

const SRC: &str = "peer=\"src\"";
const DST: &str = "peer=\"dst\"";
const VERIFIED: &str = "tls=\"true\"";
const PLAIN: &str = "no_tls_reason=\"loopback\"";

/// The four legs of a connection through both proxies.
fn legs(pair: &Pair) -> [(&Node, [&'static str; 3]); 4] {
    [
        (&pair.client, ["direction=\"outbound\"", SRC, PLAIN]),
        (&pair.client, ["direction=\"outbound\"", DST, VERIFIED]),
        (&pair.server, ["direction=\"inbound\"", SRC, VERIFIED]),
        (&pair.server, ["direction=\"inbound\"", DST, PLAIN]),
    ]
}

async fn all_closed(pair: &Pair) {
    for node in [&pair.client, &pair.server] {
        eventually("every series is back at none", || sum(node, "tcp_open_connections", &[]) == Some(0)).await;
        let counts = |family| sum(node, family, &[]);
        assert_eq!(counts("tcp_open_total"), counts("tcp_close_total"), "each open has its close");
    }
}

#[test]
fn http_connections_and_their_bytes_are_counted_on_every_leg() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        for _ in 0..3 {
            assert!(is_whole(&talk(&mut stream, GET.as_bytes(), is_whole).await));
        }
        let (request, response) =
            (3 * GET.len() as u64, 3 * "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".len() as u64);
        for (node, labels) in legs(&pair) {
            assert_eq!(sum(node, "tcp_open_connections", &labels), Some(1), "{labels:?}");
            assert_eq!(sum(node, "tcp_open_total", &labels), Some(1), "{labels:?}");
            let (read, written) =
                (sum(node, "tcp_read_bytes_total", &labels), sum(node, "tcp_write_bytes_total", &labels));
            let (asked, answered) = if labels[1] == SRC { (read, written) } else { (written, read) };
            assert_eq!(answered, Some(response), "{labels:?}");
            // The identity header is longer by the last leg.
            let last = labels[0].contains("inbound") && labels[1] == DST;
            assert!(if last { asked > Some(request) } else { asked == Some(request) }, "{labels:?}: {asked:?}");
        }
        assert!(pair.client.proxy.metrics.render().contains("server_id=\"spiffe://"), "the peer is named");
        drop(stream);
        // Pooled upstream connections run out by themselves.
        all_closed(&pair).await;
    });
}

#[test]
fn a_tunnel_is_counted_while_it_lives() {
    run(async {
        let app = App::start(|mut stream| async move {
            read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                stream.write_all(&chunk[..count]).await.unwrap();
            }
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let request = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        talk(&mut stream, request, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
        let bytes = |(node, labels): (&Node, [&'static str; 3])| {
            let of = |family| sum(node, family, &labels).unwrap();
            assert_eq!(of("tcp_open_connections"), 1, "{labels:?}");
            (of("tcp_read_bytes_total"), of("tcp_write_bytes_total"))
        };
        let before = legs(&pair).map(bytes);
        let sent = [b'x'; 3000];
        assert_eq!(talk(&mut stream, &sent, |bytes| bytes.len() >= sent.len()).await, sent);
        let after = legs(&pair).map(bytes);
        for (before, after) in before.iter().zip(after) {
            assert_eq!((after.0 - before.0, after.1 - before.1), (3000, 3000));
        }
        drop(stream);
        all_closed(&pair).await;
    });
}

#[test]
fn a_relay_of_bytes_is_counted_once_on_every_leg() {
    run(async {
        let app = App::start(|mut stream| async move {
            let mut line = [0; 6];
            stream.read_exact(&mut line).await.unwrap();
            stream.write_all(b"+PONG\r\n").await.unwrap();
            read_until(&mut stream, |_| false).await;
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        assert_eq!(talk(&mut stream, b"PING\r\n", |bytes| bytes.len() >= 7).await, b"+PONG\r\n");
        for (node, labels) in legs(&pair) {
            assert_eq!(sum(node, "tcp_open_connections", &labels), Some(1), "{labels:?}");
            let (read, written) = if labels[1] == SRC { (6, 7) } else { (7, 6) };
            assert_eq!(sum(node, "tcp_read_bytes_total", &labels), Some(read), "{labels:?}");
            assert_eq!(sum(node, "tcp_write_bytes_total", &labels), Some(written), "{labels:?}");
        }
        drop(stream);
        all_closed(&pair).await;
    });
}
