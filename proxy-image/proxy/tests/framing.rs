//! RFC 9112 framing to the letter: what two parties could read differently is refused, and nothing of it reaches the application.
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
use common::node::{Node, Pair, anybody, rule, workload};
use common::{GET, get, is_whole, read_until, run, status, talk};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weft_policy::model::Protocol;

/// All that is answered to `request` until the proxy closes the connection; a connection that stays open fails the test.
async fn ask(pair: &Pair, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
    stream.write_all(request).await.unwrap();
    let answer = read_until(&mut stream, |_| false).await;
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_malformed_head_is_refused_and_the_connection_closed() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let many: String = (0..101).map(|index| format!("X-{index}: 1\r\n")).collect();
        let long = format!("X: {}\r\n", "a".repeat(70_000));
        let cases: Vec<(&str, String, u16)> = vec![
            ("bare LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n".into(), 400),
            ("bare LF ends a field line", "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n".into(), 400),
            ("bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n".into(), 400),
            ("bare LF before the request line", "GET / HTTP/1.1\r\nHost: a\r\n\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
            ("obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n".into(), 400),
            ("space before a colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(), 400),
            ("space before Content-Length's colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n\r\nok".into(), 400),
            ("a field without a name", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n".into(), 400),
            ("a field without a colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n".into(), 400),
            ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n".into(), 400),
            ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n".into(), 400),
            ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok".into(), 400),
            ("different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".into(), 400),
            ("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nok".into(), 400),
            ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nok".into(), 400),
            ("a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\nok".into(), 400),
            ("an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nok".into(), 400),
            ("a length past 64 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nok".into(), 400),
            ("a length beside a coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
            ("chunked not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n".into(), 400),
            ("chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n".into(), 400),
            ("two fields of codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
            ("a coding that is not chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n".into(), 400),
            ("a coding with a tab in it", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n".into(), 400),
            ("a coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
            ("a coding that is not known", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(), 501),
            ("no Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n".into(), 400),
            ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
            ("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(), 400),
            ("a Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".into(), 400),
            ("a target that is no path", "GET hello HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
            ("an absolute target without host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
            ("an absolute target with a user", "GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
            ("an asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
            ("CONNECT to a path", "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
            ("CONNECT with a body", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok".into(), 400),
            ("a newer version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
            ("too many fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
            ("ten thousand fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(10_000)), 431),
            ("a head past 64 KB", format!("GET / HTTP/1.1\r\nHost: a\r\n{long}\r\n"), 431),
        ];
        for (name, request, want) in cases {
            let before = seen.count();
            let answer = ask(&pair, request.as_bytes()).await;
            let refused = answer.rsplit("HTTP/1.1 ").next().unwrap_or_default();
            assert!(refused.starts_with(&want.to_string()), "{name}: {answer:?}");
            assert!(
                refused.contains("weft-error: ") && refused.contains("connection: close\r\n"),
                "{name}: {answer:?}"
            );
            // A well-formed request before the malformed one may have been served.
            let served = usize::from(answer.starts_with("HTTP/1.1 200"));
            assert_eq!(seen.count(), before + served, "{name}: it reached the application");
        }
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200, "a well-formed request still passes");
    });
}

#[test]
fn unusual_but_well_formed_heads_pass() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        for (name, request, want) in [
            (
                "empty lines before the request",
                "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n",
            ),
            (
                "an absolute target replaces Host",
                "GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n",
                "GET http://b:1/x?y HTTP/1.1\r\nhost: b:1\r\nX: 1\r\n",
            ),
            ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n"),
            ("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n"),
            (
                "HTTP/1.0 without Host",
                "GET / HTTP/1.0\r\nX: 1\r\n\r\n",
                "GET / HTTP/1.1\r\nhost: 10.99.0.10:80\r\nX: 1\r\n",
            ),
            (
                "hop-by-hop fields end here",
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nY: 2\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nY: 2\r\n",
            ),
            (
                "Connection cannot drop Host or the length",
                "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\nContent-Length: 2\r\n\r\nok",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n",
            ),
            (
                "TE: trailers is said anew",
                "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\nConnection: TE\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nte: trailers\r\nconnection: te\r\n",
            ),
        ] {
            assert_eq!(status(&get(pair.client.outbound, request).await), 200, "{name}");
            let arrived = seen.last();
            assert!(arrived.starts_with(want), "{name}: {arrived:?}");
        }
    });
}

#[test]
fn a_head_of_exactly_as_many_fields_as_there_is_room_for_passes_and_is_answered_in_kind() {
    run(async {
        let fields: String = (1..100).map(|index| format!("X-{index}: 1\r\n")).collect();
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
        let (app, seen) = App::scripted(answer.leak().as_bytes()).await;
        let pair = Pair::start(app.address);
        let got = get(pair.client.outbound, &format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!(status(&got), 200, "{got}");
        assert!(got.contains("X-99: 1\r\n") && seen.last().contains("X-99: 1\r\n"));
        assert!(seen.last().contains("weft-client-id: "), "{}", seen.last());
    });
}

/// A server's proxy with little patience for heads, before `app`, and the address where clients outside the mesh reach it.
fn impatient(app: &App) -> Node {
    let ca = Ca::new();
    let node = Node::tuned(1, |config| config.limits.head = Duration::from_millis(500));
    node.setter.set_credentials(ca.credentials(&spiffe("server")));
    let port = rule(app.address.port(), Protocol::Detect, anybody());
    node.setter.set_workload(workload("server", vec![port]));
    node.inbound_origin.set(app.address);
    node
}

/// Sends `bytes` one by one with pauses, until they are sent or nobody takes them; then what is answered.
async fn drip(address: SocketAddr, at_once: &str, slowly: &[u8], pause: Duration) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let writing = async {
        for byte in slowly {
            tokio::time::sleep(pause).await;
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let (answer, ()) = tokio::join!(read_until(&mut read, is_whole), writing);
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_head_that_comes_too_slowly_is_answered_408_and_a_body_may_take_its_time() {
    run(async {
        let (app, seen) = App::ok().await;
        let node = impatient(&app);
        let line = "GET / HTTP/1.1\r\nHost: a\r\n";
        let pause = Duration::from_millis(20);
        let endless = "X-A: b\r\n".repeat(20);
        let answer = drip(node.inbound, line, endless.as_bytes(), pause).await;
        assert_eq!(status(&answer), 408, "{answer}");
        assert!(answer.contains("weft-error: request-timeout\r\n") && answer.contains("connection: close\r\n"));
        assert_eq!(seen.count(), 0);
        // Slow too, but in time.
        assert_eq!(status(&drip(node.inbound, line, b"X: 1\r\n\r\n", pause).await), 200);
        let upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n";
        let began = Instant::now();
        assert_eq!(status(&drip(node.inbound, upload, &[b'x'; 60], pause).await), 200);
        assert!(began.elapsed() > 2 * node.proxy.config.limits.head, "longer than a head may take");
    });
}

#[test]
fn an_upgrade_to_a_protocol_of_its_own_passes_and_one_to_http_in_another_guise_does_not() {
    run(async {
        for (offer, agreed) in [
            ("chat/2", true),
            ("websocket", true),
            ("h2c", false),
            ("H2C", false),
            ("websocket, h2c", false),
            ("HTTP/2.0", false),
            ("TLS/1.0", false),
        ] {
            // Agrees to whatever it is asked.
            let heard = Rc::new(RefCell::new(String::new()));
            let kept = Rc::clone(&heard);
            let app = App::start(move |mut stream| {
                let kept = Rc::clone(&kept);
                async move {
                    loop {
                        let head = read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
                        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
                        kept.borrow_mut().push_str(&head);
                        if head.contains("\r\nupgrade: ") {
                            let agreed =
                                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: any\r\n\r\n";
                            stream.write_all(agreed.as_bytes()).await.unwrap();
                            let rest = read_until(&mut stream, |_| false).await;
                            return kept.borrow_mut().push_str(&String::from_utf8_lossy(&rest));
                        }
                        let answered = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                        if head.is_empty() || answered.is_err() {
                            return;
                        }
                    }
                }
            })
            .await;
            let pair = Pair::start(app.address);
            for (address, origin) in [(pair.client.outbound, pair.server.inbound), (pair.server.inbound, app.address)] {
                heard.borrow_mut().clear();
                pair.server.inbound_origin.set(origin);
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request = format!(
                    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {offer}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
                );
                let done = |bytes: &[u8]| is_whole(bytes) || bytes.starts_with(b"HTTP/1.1 101");
                let answer = String::from_utf8(talk(&mut stream, request.as_bytes(), done).await).unwrap();
                assert_eq!(status(&answer), if agreed { 101 } else { 200 }, "{offer}: {answer}");
                let _ = stream.write_all(b"GET /forged HTTP/1.1\r\nHost: a\r\nweft-client-id: forged\r\n\r\n").await;
                let _ = stream.shutdown().await;
                read_until(&mut stream, |_| false).await;
                let heard = heard.borrow();
                assert!(!heard.contains("http2-settings"), "{offer}: {heard}");
                assert_eq!(heard.contains("weft-client-id: forged"), agreed, "{offer}: {heard}");
            }
        }
    });
}

#[test]
fn malformed_chunks_end_the_exchange_and_are_not_passed_on() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        for chunks in
            ["5\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "zz\r\n\r\n", "0\r\nWeft-Client-Id: forged\r\n\r\n"]
        {
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
            let answer = ask(&pair, request.as_bytes()).await;
            assert_eq!(status(&answer), 400, "{chunks:?}");
            assert!(answer.contains("connection: close"), "{chunks:?}");
        }
        assert_eq!(seen.count(), 0, "no broken message was whole for the application");
        let good =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n";
        assert_eq!(status(&get(pair.client.outbound, good).await), 200);
        assert!(seen.last().ends_with("5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n"), "{}", seen.last());
    });
}

#[test]
fn ambiguous_responses_are_refused() {
    run(async {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\n\r\nok",
            b"HTTP/1.1 099 Low\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"nonsense\r\n\r\n",
        ] {
            let (app, _seen) = App::scripted(answer).await;
            let pair = Pair::start(app.address);
            let got = get(pair.client.outbound, GET).await;
            assert_eq!(status(&got), 502, "{:?}", String::from_utf8_lossy(answer));
            assert!(got.contains("weft-error: bad-response"), "{got}");
        }
    });
}

#[test]
fn a_response_is_passed_on_as_one_head_that_says_no_more_than_it_may() {
    run(async {
        for (answer, want) in [
            // Which some parsers forgive, and others take for a head of its own.
            (
                &b"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            ),
            (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        ] {
            let (app, _seen) = App::scripted(answer).await;
            let pair = Pair::start(app.address);
            assert_eq!(get(pair.client.outbound, GET).await, want);
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        let three: String = (0..3).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        let all = |bytes: &[u8]| String::from_utf8_lossy(bytes).matches("\r\n\r\nok").count() == 3;
        talk(&mut stream, three.as_bytes(), all).await;
        let paths: Vec<_> = seen.0.borrow().iter().map(|request| request[..6].to_owned()).collect();
        assert_eq!(paths, ["GET /0", "GET /1", "GET /2"]);
        assert!(is_whole(&talk(&mut stream, GET.as_bytes(), is_whole).await));
    });
}
