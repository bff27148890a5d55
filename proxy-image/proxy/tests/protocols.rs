//! What HTTP/1.1 and plain bytes may do, through a pair of proxies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::app::{App, Seen, request_is_whole};
use common::node::{ENDPOINTS, Pair, SERVICE, anybody, routed, rule};
use common::{GET, eventually, get, is_whole, read_until, run, status, talk};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weft_policy::model::Protocol;

async fn answering(answer: &'static [u8]) -> (App, Seen, Pair) {
    let (app, seen) = App::scripted(answer).await;
    let pair = Pair::start(app.address);
    (app, seen, pair)
}

#[test]
fn chunked_bodies_and_trailers_pass_both_ways() {
    run(async {
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
        let (_app, seen, pair) = answering(answer).await;
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        for _ in 0..2 {
            let request =
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n";
            let done = |bytes: &[u8]| bytes.ends_with(b"X-Sum: 1\r\n\r\n");
            let got = String::from_utf8(talk(&mut stream, request, done).await).unwrap();
            assert!(got.ends_with("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), "{got}");
            assert!(seen.last().ends_with("2\r\nhi\r\n0\r\nA: b\r\n\r\n"), "{}", seen.last());
        }
    });
}

#[test]
fn an_http_1_0_client_gets_content_without_chunks_and_an_end() {
    run(async {
        let (_app, _seen, pair) =
            answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let got = talk(&mut stream, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", |_| false).await;
        assert_eq!(String::from_utf8(got).unwrap(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcde");
        let (_app, _seen, pair) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        for _ in 0..2 {
            let got = talk(&mut stream, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", is_whole).await;
            assert!(String::from_utf8(got).unwrap().contains("connection: keep-alive\r\n"));
        }
    });
}

#[test]
fn responses_without_a_body_leave_the_connection_in_step() {
    run(async {
        for (method, answer) in [
            ("HEAD", &b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"[..]),
            ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n"),
        ] {
            let (app, seen, pair) = answering(answer).await;
            let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
            for _ in 0..3 {
                let got = talk(&mut stream, request.as_bytes(), |bytes| bytes.ends_with(b"\r\n\r\n")).await;
                assert_eq!(got, answer, "{method}");
            }
            assert_eq!((seen.count(), app.connections()), (3, 1), "{method}");
        }
    });
}

#[test]
fn a_body_that_ends_with_its_connection_passes_and_ends_the_clients() {
    run(async {
        let app = App::start(|mut stream| async move {
            read_until(&mut stream, request_is_whole).await;
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nto the end").await.unwrap();
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let got = talk(&mut stream, GET.as_bytes(), |_| false).await;
        assert_eq!(String::from_utf8(got).unwrap(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end");
    });
}

#[test]
fn expect_100_continue_waits_for_the_application() {
    run(async {
        let app = App::start(|mut stream| async move {
            let head = read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
            assert!(String::from_utf8(head).unwrap().contains("Expect: 100-continue\r\n"));
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            let body = read_until(&mut stream, |bytes| bytes.len() >= 5).await;
            assert_eq!(body, b"hello");
            stream
                .write_all(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            read_until(&mut stream, |_| false).await;
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        let interim = talk(&mut stream, head, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
        assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        let rest = talk(&mut stream, b"hello", |bytes| bytes.ends_with(b"length: 0\r\n\r\n")).await;
        assert_eq!(
            String::from_utf8(rest).unwrap(),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        );
    });
}

#[test]
fn an_upgrade_turns_both_connections_into_bytes() {
    run(async {
        let app = App::start(|mut stream| async move {
            let head = read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
            let head = String::from_utf8(head).unwrap();
            assert!(head.contains("connection: upgrade\r\nupgrade: websocket\r\n"), "{head}");
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst";
            stream.write_all(answer).await.unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            assert_eq!(stream.read(&mut bytes).await.unwrap(), 0, "the client's end arrives");
            stream.write_all(b"last").await.unwrap();
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let request = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let got = talk(&mut stream, request, |bytes| bytes.ends_with(b"first")).await;
        let want = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst";
        assert_eq!(String::from_utf8(got).unwrap(), want);
        assert_eq!(talk(&mut stream, b"ping", |bytes| bytes.len() == 4).await, b"ping");
        stream.shutdown().await.unwrap();
        assert_eq!(read_until(&mut stream, |_| false).await, b"last");
    });
}

#[test]
fn connect_makes_a_tunnel() {
    run(async {
        let app = App::start(|mut stream| async move {
            read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").await.unwrap();
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(b"pong").await.unwrap();
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        talk(&mut stream, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", |bytes| bytes.ends_with(b"\r\n\r\n")).await;
        assert_eq!(talk(&mut stream, b"ping", |bytes| bytes.len() == 4).await, b"pong");
    });
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    run(async {
        let app = App::start(|mut stream| async move {
            read_until(&mut stream, request_is_whole).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        stream.write_all(GET.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(read_until(&mut stream, |_| false).await.ends_with(b"ok"));
    });
}

#[test]
fn an_early_answer_arrives_while_the_body_is_still_being_sent() {
    run(async {
        let app = App::start(|mut stream| async move {
            read_until(&mut stream, |bytes| bytes.windows(4).any(|end| end == b"\r\n\r\n")).await;
            stream
                .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
            read_until(&mut stream, |_| false).await;
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbeginning";
        let got = String::from_utf8(talk(&mut stream, head, |_| false).await).unwrap();
        assert_eq!(status(&got), 413);
        assert!(got.contains("connection: close\r\n"), "{got}");
    });
}

#[test]
fn a_client_that_goes_away_cancels_the_request_at_the_application() {
    run(async {
        let (asked, gone) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (heard, left) = (Rc::clone(&asked), Rc::clone(&gone));
        let app = App::start(move |mut stream| {
            let (heard, left) = (Rc::clone(&heard), Rc::clone(&left));
            async move {
                read_until(&mut stream, request_is_whole).await;
                heard.set(true);
                let _ = stream.read(&mut [0; 1]).await;
                left.set(true);
            }
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        stream.write_all(GET.as_bytes()).await.unwrap();
        eventually("the application is asked", || asked.get()).await;
        assert!(!gone.get());
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        eventually("the application sees the cancellation", || gone.get()).await;
        eventually("nothing is left", || pair.client.active() + pair.server.active() == 0).await;
    });
}

#[test]
fn a_large_body_passes_unchanged_both_ways() {
    run(async {
        const SIZE: usize = 3_000_000;
        let app = App::start(|mut stream| async move {
            let request = read_until(&mut stream, request_is_whole).await;
            let start = request.len() - SIZE;
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
            stream.write_all(&request[start..]).await.unwrap();
            stream.read(&mut [0; 1]).await.unwrap_or_default();
        })
        .await;
        let pair = Pair::start(app.address);
        let body: Vec<u8> = (0..SIZE).map(|index| b'a' + u8::try_from(index * 7 % 26).unwrap()).collect();
        let mut request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
        request.extend_from_slice(&body);
        let (mut reader, mut writer) = TcpStream::connect(pair.client.outbound).await.unwrap().into_split();
        let sending = tokio::task::spawn_local(async move {
            writer.write_all(&request).await.unwrap();
            writer
        });
        let want = SIZE + "HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n".len();
        let got = read_until(&mut reader, |bytes| bytes.len() >= want).await;
        assert!(got.ends_with(&body), "{} of {want} bytes", got.len());
        drop(sending.await.unwrap());
    });
}

#[test]
fn a_dead_pooled_connection_is_replaced_without_the_client_noticing() {
    run(async {
        let app = App::start(|mut stream| async move {
            read_until(&mut stream, request_is_whole).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            // Closes without having said so.
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        for _ in 0..20 {
            assert!(talk(&mut stream, GET.as_bytes(), is_whole).await.ends_with(b"ok"));
        }
        assert_eq!(app.connections(), 20);
    });
}

#[test]
fn what_the_upstream_does_wrong_is_said() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let service = SERVICE.parse().unwrap();
        pair.client.setter.set_endpoints("endpoints/demo/none:80", Vec::new());
        pair.client.setter.set_outbound(service, routed(Protocol::Detect, "endpoints/demo/none:80"));
        let answer = get(pair.client.outbound, GET).await;
        assert_eq!(status(&answer), 503);
        assert!(answer.contains("weft-error: no-endpoint\r\n"), "{answer}");

        pair.client.setter.set_outbound(service, routed(Protocol::Detect, ENDPOINTS));
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200, "and back");
        drop(app);
        eventually("the application is gone", || pair.server.proxy.http1.is_empty()).await;
        let answer = get(pair.client.outbound, GET).await;
        assert_eq!(status(&answer), 502);
        assert!(answer.contains("weft-error: "), "{answer}");

        let broken = App::start(|mut stream| async move {
            read_until(&mut stream, request_is_whole).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
        })
        .await;
        let pair = Pair::start(broken.address);
        let answer = get(pair.client.outbound, GET).await;
        assert!(answer.ends_with("half"), "what came is passed on, and the rest is seen to be missing: {answer}");
        let silent = App::start(|mut stream| async move {
            read_until(&mut stream, request_is_whole).await;
        })
        .await;
        let pair = Pair::start(silent.address);
        let answer = get(pair.client.outbound, GET).await;
        assert!(status(&answer) == 502 && answer.contains("weft-error: upstream\r\n"), "{answer}");
    });
}

#[test]
fn bytes_pass_with_their_half_closes() {
    run(async {
        let app = App::start(|mut stream| async move {
            let all = read_until(&mut stream, |_| false).await;
            stream.write_all(&all).await.unwrap();
        })
        .await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(read_until(&mut stream, |_| false).await == bytes);
        eventually("nothing is left", || pair.client.active() + pair.server.active() == 0).await;
    });
}

#[test]
fn a_server_that_speaks_first_does_not_wait_for_detection() {
    run(async {
        let app = App::start(|mut stream| async move {
            stream.write_all(b"220 ready\r\n").await.unwrap();
            let mut line = [0; 6];
            stream.read_exact(&mut line).await.unwrap();
            stream.write_all(b"221 bye\r\n").await.unwrap();
        })
        .await;
        let pair = Pair::start(app.address);
        let started = Instant::now();
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        assert_eq!(read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n")).await, b"220 ready\r\n");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(talk(&mut stream, b"QUIT\r\n", |bytes| bytes.ends_with(b"\r\n")).await, b"221 bye\r\n");
        // Plain, without a client proxy, likewise.
        pair.server.inbound_origin.set(app.address);
        let mut stream = TcpStream::connect(pair.server.inbound).await.unwrap();
        assert_eq!(read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n")).await, b"220 ready\r\n");
    });
}

#[test]
fn a_slow_http_client_after_an_early_dial_is_still_http() {
    run(async {
        let (_app, seen, pair) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let got = talk(&mut stream, GET.as_bytes(), is_whole).await;
        assert!(got.ends_with(b"ok"));
        assert!(seen.last().contains("weft-client-id: "), "it went by the HTTP path: {}", seen.last());
    });
}

#[test]
fn bytes_to_a_port_with_http_rules_are_refused() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::with(app.address, rule(app.address.port(), Protocol::Http1, anybody()));
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        assert_eq!(talk(&mut stream, b"\x00\x01\x02 not http", |_| false).await, b"");
        assert_eq!(seen.count(), 0);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200);
    });
}
