//! Requests that break RFC 9113: each is answered or reset as it says, the connection goes on where it may, and the application's own view tells that
//! nothing but well-formed requests arrived.
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
use std::time::Duration;

use bytes::Bytes;
use common::app::App;
use common::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, field, frame,
    read_frame, settings,
};
use common::node::Pair;
use common::{eventually, run};
use http::{HeaderMap, Response, request};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Status(u16),
    Reset(u32),
    Goaway(u32),
}

const PROTOCOL_ERROR: u32 = 1;
/// A malformed request that the framing library gives up the connection for, as RFC 9113 5.4.1 lets it.
const FATAL: Told = Told::Goaway(PROTOCOL_ERROR);
const MALFORMED: Told = Told::Reset(PROTOCOL_ERROR);
const REFUSED: Told = Told::Status(400);
const SERVED: Told = Told::Status(200);

/// `:method: GET`, `:scheme: http`, `:path: /` of the static table.
const GET: u8 = 0x82;
const HTTP: u8 = 0x86;
const ROOT: u8 = 0x84;

/// A request that reached its end at the application.
struct Arrived {
    head: request::Parts,
    trailers: HeaderMap,
}

type Requests = Rc<RefCell<Vec<Arrived>>>;

/// An application of the h2 crate: what it takes for a whole request it answers with 200.
async fn application() -> (App, Requests) {
    let requests = Requests::default();
    let seen = Rc::clone(&requests);
    let app = App::start(move |socket| {
        let seen = Rc::clone(&seen);
        async move {
            let Ok(mut connection) =
                h2::server::Builder::new().max_header_list_size(1 << 20).handshake::<_, Bytes>(socket).await
            else {
                return;
            };
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let seen = Rc::clone(&seen);
                spawn_local(async move {
                    let (head, mut body) = request.into_parts();
                    while let Some(chunk) = body.data().await {
                        let Ok(chunk) = chunk else { return };
                        body.flow_control().release_capacity(chunk.len()).unwrap();
                    }
                    let Ok(trailers) = body.trailers().await else { return };
                    seen.borrow_mut().push(Arrived { head, trailers: trailers.unwrap_or_default() });
                    let _ = respond.send_response(Response::new(()), true);
                });
            }
        }
    })
    .await;
    (app, requests)
}

struct Client(TcpStream);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[PREFACE, &settings(&[])].concat()).await.unwrap();
        Self(stream)
    }

    /// Sends `bytes` and reads what becomes of `stream`.
    async fn tell(&mut self, bytes: &[u8], stream: u32) -> Told {
        let _ = self.0.write_all(bytes).await;
        let told = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let got = read_frame(&mut self.0).await.expect("told before the connection ends");
                let code = |at: usize| u32::from_be_bytes(got.payload[at..at + 4].try_into().unwrap());
                match got.kind {
                    HEADERS if got.stream == stream => return Told::Status(status(&got.payload)),
                    RST_STREAM if got.stream == stream => return Told::Reset(code(0)),
                    GOAWAY => return Told::Goaway(code(4)),
                    SETTINGS if got.flags & END_STREAM == 0 => {
                        let _ = self.0.write_all(&frame(SETTINGS, END_STREAM, 0, &[])).await;
                    }
                    _ => {}
                }
            }
        });
        told.await.expect("an answer")
    }
}

/// `:status` by its place in the static table, or as the literal of 431, which h2 codes by Huffman.
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48, 0x83, 0x69, 0x90, 0xff, ..] => 431,
        other => panic!("a status that no case expects: {other:02x?}"),
    }
}

fn authority(name: &str) -> Vec<u8> {
    field(":authority", name.as_bytes())
}

/// A block of the four pseudo-headers that are well, and `fields`.
fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = vec![GET, HTTP, ROOT];
    block.extend(authority("app"));
    for (name, value) in fields {
        block.extend(field(name, value));
    }
    block
}

fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    pairs.iter().flat_map(|(name, value)| field(name, value.as_bytes())).collect()
}

/// A request without a body.
fn bare(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, 1, block)
}

fn with_field(name: &str, value: &str) -> Vec<u8> {
    bare(&block(&[(name, value.as_bytes())]))
}

/// A request of these pseudo-headers, in their order.
fn pseudo(pairs: &[(&str, &str)]) -> Vec<u8> {
    bare(&fields(pairs))
}

fn to(path: &str) -> Vec<u8> {
    pseudo(&[(":method", "GET"), (":scheme", "http"), (":authority", "app"), (":path", path)])
}

fn at(authority: &str) -> Vec<u8> {
    pseudo(&[(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/")])
}

/// A request with a body of five bytes.
fn five_bytes(more: &[(&str, &[u8])]) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, 1, &block(more)), frame(DATA, END_STREAM, 1, b"hello")].concat()
}

fn trailed(flags: u8, trailers: &[(&str, &str)]) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, 1, &block(&[]));
    [head, frame(HEADERS, flags, 1, &fields(trailers))].concat()
}

/// As many fields of 400 bytes, over as many frames as that takes.
fn many(count: usize) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_STREAM, 1, &block(&[]));
    for first in (0..count).step_by(40) {
        let end = count.min(first + 40);
        let block: Vec<u8> = (first..end).flat_map(|index| field(&format!("x-{index}"), &[b'a'; 390])).collect();
        bytes.extend(frame(CONTINUATION, if end == count { END_HEADERS } else { 0 }, 1, &block));
    }
    bytes
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Vec<u8>, Told)> {
    let smuggled = "/ HTTP/1.1\r\nhost: app\r\n\r\nGET /smuggled";
    vec![
        // RFC 9113 8.2.2: fields of one connection.
        ("Connection", with_field("connection", "close"), MALFORMED),
        ("Keep-Alive", with_field("keep-alive", "timeout=5"), MALFORMED),
        ("Proxy-Connection", with_field("proxy-connection", "keep-alive"), MALFORMED),
        ("Transfer-Encoding", with_field("transfer-encoding", "chunked"), MALFORMED),
        ("Upgrade", with_field("upgrade", "websocket"), MALFORMED),
        ("TE other than trailers", with_field("te", "gzip"), MALFORMED),
        ("TE: trailers", with_field("te", "trailers"), SERVED),
        // RFC 9113 8.2.1: names and values. White space around a value makes a message malformed too, but gRPC has it and allows for its loss.
        ("a name in upper case", with_field("X-Upper", "1"), FATAL),
        ("a name with a space", with_field("x y", "1"), FATAL),
        ("a name with a colon", with_field("x:y", "1"), FATAL),
        ("a name with a line's end", with_field("x\r\ny", "1"), FATAL),
        ("no name", with_field("", "1"), FATAL),
        ("CR LF in a value", with_field("x", "1\r\ny: 2"), FATAL),
        ("LF in a value", with_field("x", "1\ny"), FATAL),
        ("CR in a value", with_field("x", "1\ry"), FATAL),
        ("NUL in a value", with_field("x", "1\0"), FATAL),
        ("a value that begins with a space, which goes", with_field("x", " 1"), SERVED),
        ("a value that ends with a tab, which goes", with_field("x", "1\t"), SERVED),
        ("spaces inside a value", with_field("x", "1 \t 2"), SERVED),
        ("an empty value", with_field("x", ""), SERVED),
        ("bytes past ASCII in a value", bare(&block(&[("x", b"\xc3\xa4")])), SERVED),
        // RFC 9113 8.3.1: pseudo-headers of requests.
        ("a path without a slash", to("hello"), MALFORMED),
        ("a path that is a URL", to("http://other/"), MALFORMED),
        ("an asterisk for GET", to("*"), REFUSED),
        (
            "an asterisk for OPTIONS",
            pseudo(&[(":method", "OPTIONS"), (":scheme", "http"), (":authority", "app"), (":path", "*")]),
            SERVED,
        ),
        ("an empty path", to(""), MALFORMED),
        ("a space in a path", to("/a b"), MALFORMED),
        ("a request in a path", to(smuggled), MALFORMED),
        (
            "a request in a method",
            pseudo(&[
                (":method", &format!("GET {smuggled}")),
                (":scheme", "http"),
                (":authority", "app"),
                (":path", "/"),
            ]),
            FATAL,
        ),
        ("a request in a value", with_field("x", &format!("1\r\n\r\nGET {smuggled}")), FATAL),
        ("a request in an authority", at("app\r\n\r\nGET /smuggled HTTP/1.1"), MALFORMED),
        ("an authority with a path", at("app/x"), MALFORMED),
        ("an authority with a space", at("a b"), MALFORMED),
        ("an authority with a user", at("user@app"), REFUSED),
        // RFC 9113 8.3.1: each once, except that the authority may be left out; 8.3: known ones, before all fields.
        ("no method", pseudo(&[(":scheme", "http"), (":authority", "app"), (":path", "/")]), MALFORMED),
        ("no scheme", pseudo(&[(":method", "GET"), (":authority", "app"), (":path", "/")]), MALFORMED),
        ("no path", pseudo(&[(":method", "GET"), (":scheme", "http"), (":authority", "app")]), MALFORMED),
        (
            "two methods",
            pseudo(&[(":method", "GET"), (":method", "GET"), (":scheme", "http"), (":path", "/")]),
            MALFORMED,
        ),
        (
            "two schemes",
            pseudo(&[(":method", "GET"), (":scheme", "http"), (":scheme", "http"), (":path", "/")]),
            MALFORMED,
        ),
        ("two paths", pseudo(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":path", "/x")]), MALFORMED),
        (
            "two authorities",
            pseudo(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
                (":authority", "b"),
            ]),
            MALFORMED,
        ),
        ("a response's pseudo-header", with_field(":status", "200"), MALFORMED),
        ("a pseudo-header that nobody knows", with_field(":x", "1"), FATAL),
        (
            "a pseudo-header after a field",
            pseudo(&[(":method", "GET"), (":scheme", "http"), ("x", "1"), (":path", "/")]),
            MALFORMED,
        ),
        // RFC 9113 8.3.1: Host and authority; RFC 9110 7.2: one Host.
        ("Host beside the same authority", with_field("host", "app"), SERVED),
        ("Host beside another authority", with_field("host", "other"), REFUSED),
        ("two Hosts", bare(&block(&[("host", b"app"), ("host", b"app")])), REFUSED),
        (
            "Host without authority",
            pseudo(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "app")]),
            SERVED,
        ),
        (
            "a Host that is none",
            pseudo(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a/b")]),
            REFUSED,
        ),
        // RFC 9113 8.1.1: as long as its Content-Length; RFC 9110 8.6: which is one number.
        ("a length of a body that is not there", with_field("content-length", "5"), MALFORMED),
        ("a length of nothing", with_field("content-length", "0"), SERVED),
        ("the right length", five_bytes(&[("content-length", b"5")]), SERVED),
        ("more than the length", five_bytes(&[("content-length", b"4")]), MALFORMED),
        ("less than the length", five_bytes(&[("content-length", b"6")]), MALFORMED),
        ("the same length twice", five_bytes(&[("content-length", b"5"), ("content-length", b"5")]), REFUSED),
        ("two lengths", five_bytes(&[("content-length", b"5"), ("content-length", b"6")]), MALFORMED),
        ("a list of lengths", five_bytes(&[("content-length", b"5, 5")]), MALFORMED),
        ("a signed length", five_bytes(&[("content-length", b"+5")]), MALFORMED),
        // RFC 9113 8.5: CONNECT has an authority, no scheme and no path. RFC 8441 4: `:protocol` only for a server that has offered it, and the proxy does not.
        ("CONNECT", pseudo(&[(":method", "CONNECT"), (":authority", "app")]), SERVED),
        (
            "CONNECT with a path",
            pseudo(&[(":method", "CONNECT"), (":scheme", "http"), (":authority", "app:1"), (":path", "/")]),
            MALFORMED,
        ),
        ("CONNECT to nowhere", pseudo(&[(":method", "CONNECT")]), REFUSED),
        (
            "extended CONNECT, which was not offered",
            pseudo(&[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "app"),
                (":path", "/"),
            ]),
            MALFORMED,
        ),
        (
            "a protocol for GET",
            pseudo(&[
                (":method", "GET"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":authority", "app"),
                (":path", "/"),
            ]),
            MALFORMED,
        ),
        // RFC 9113 8.1: trailers; the caller is vouched for in a head of the proxy's alone.
        ("trailers", trailed(END_STREAM | END_HEADERS, &[("x-sum", "1")]), SERVED),
        (
            "trailers that vouch for the caller",
            trailed(END_STREAM | END_HEADERS, &[("weft-client-id", "forged"), ("x-sum", "1")]),
            SERVED,
        ),
        ("trailers that do not end", trailed(END_HEADERS, &[("x-sum", "1")]), MALFORMED),
        // RFC 9113 8.1 calls this malformed; the framing library leaves the field out and lets the rest pass.
        ("a pseudo-header in trailers", trailed(END_STREAM | END_HEADERS, &[(":path", "/x")]), SERVED),
        (
            "a field of the connection in trailers",
            trailed(END_STREAM | END_HEADERS, &[("transfer-encoding", "chunked")]),
            MALFORMED,
        ),
        // RFC 9113 6.5.2 and 10.5.1: larger than the proxy takes.
        ("a head of 40 kB", many(100), SERVED),
        ("a head past 64 kB", many(165), Told::Status(431)),
        ("ten thousand fields", many(10_000), Told::Goaway(11)),
        // RFC 9113 5.1.1, 5.1, 6.5 (whose own code is FRAME_SIZE_ERROR) and 4.2.
        (
            "a stream of the server's",
            frame(HEADERS, END_STREAM | END_HEADERS, 2, &block(&[])),
            Told::Goaway(PROTOCOL_ERROR),
        ),
        ("DATA on a stream that nobody opened", frame(DATA, END_STREAM, 1, b"hello"), Told::Goaway(PROTOCOL_ERROR)),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), FATAL),
        (
            "a frame past its length",
            [frame(HEADERS, END_HEADERS, 1, &block(&[])), frame(DATA, 0, 1, &[0; 16_385])].concat(),
            Told::Goaway(6),
        ),
    ]
}

/// By way of both proxies, and plain to the server's alone.
fn ways(pair: &Pair) -> [(&'static str, SocketAddr); 2] {
    [("pair", pair.client.outbound), ("plain", pair.server.inbound)]
}

#[test]
fn what_breaks_the_protocol_is_refused_and_nothing_else_arrives() {
    run(async {
        let (app, requests) = application().await;
        let pair = Pair::start(app.address);
        let mut wrong = Vec::new();
        for (name, bytes, want) in cases() {
            for (way, address) in ways(&pair) {
                pair.server.inbound_origin.set(if way == "plain" { app.address } else { pair.server.inbound });
                requests.borrow_mut().clear();
                let mut client = Client::connect(address).await;
                let told = client.tell(&bytes, 1).await;
                if told != want {
                    wrong.push(format!("{name}, {way}: {told:?}, not {want:?}"));
                    continue;
                }
                let served = usize::from(want == SERVED);
                if matches!(want, Told::Goaway(_)) {
                    // A last request shows that everything before it has been seen.
                    client = Client::connect(address).await;
                }
                let mut last = vec![GET, HTTP];
                last.extend(fields(&[(":path", "/last"), (":authority", "app")]));
                let after = frame(HEADERS, END_STREAM | END_HEADERS, 3, &last);
                assert_eq!(client.tell(&after, 3).await, SERVED, "{name}, {way}: the next request");
                let arrived: Vec<_> =
                    requests.borrow().iter().map(|request| request.head.uri.path().to_owned()).collect();
                assert_eq!(arrived.len(), served + 1, "{name}, {way}: {arrived:?}");
                for Arrived { head, trailers } in requests.borrow().iter() {
                    assert_eq!(head.uri.authority().unwrap(), "app", "{name}, {way}");
                    let vouched = usize::from(way == "pair");
                    assert_eq!(head.headers.get_all("weft-client-id").iter().count(), vouched, "{name}, {way}");
                    assert!(!trailers.contains_key("weft-client-id"), "{name}, {way}: forged in trailers");
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        eventually("nothing is left", || pair.client.active() == 0).await;
    });
}

#[test]
fn floods_end_their_own_connection_and_no_other() {
    run(async {
        let (app, _requests) = application().await;
        let pair = Pair::start(app.address);
        let rapid_resets: Vec<u8> = (0..2_000_u32)
            .flat_map(|index| {
                let id = 2 * index + 1;
                let request = frame(HEADERS, END_STREAM | END_HEADERS, id, &block(&[]));
                [request, common::frames::reset(id, 8)].concat()
            })
            .collect();
        let mut endless = frame(HEADERS, 0, 1, &block(&[]));
        for _ in 0..2_000 {
            endless.extend(frame(CONTINUATION, 0, 1, &field("x", &[b'a'; 1000])));
        }
        for (name, bytes) in [("resets", rapid_resets), ("CONTINUATION without end", endless)] {
            let mut bystander = Client::connect(pair.client.outbound).await;
            assert_eq!(bystander.tell(&bare(&block(&[])), 1).await, SERVED, "{name}");
            let mut flooding = Client::connect(pair.client.outbound).await;
            assert!(matches!(flooding.tell(&bytes, u32::MAX).await, Told::Goaway(11)), "{name}");
            let next = frame(HEADERS, END_STREAM | END_HEADERS, 3, &block(&[]));
            assert_eq!(bystander.tell(&next, 3).await, SERVED, "{name}: the bystander");
        }
    });
}
