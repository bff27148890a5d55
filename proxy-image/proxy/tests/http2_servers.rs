//! Servers that break HTTP/2: the proxy's client side survives each of them, tells its own client what it may know, and serves the next request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use common::app::App;
use common::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PREFACE, PUSH_PROMISE, SETTINGS, field, frame,
    goaway, integer, read_frame, reset, settings, window_update,
};
use common::node::Pair;
use common::{eventually, run};
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// `:status: 200` of the static table.
const OK: u8 = 0x88;

/// What the client of the pair is to see of the first request.
#[derive(Clone, Copy, Debug)]
enum Want {
    Exactly(Seen),
    /// A response that is no whole 200: how much of it had passed when it broke is a matter of how the bytes came.
    Failure,
}

impl Want {
    fn is(self, seen: Seen) -> bool {
        match self {
            Self::Exactly(want) => seen == want,
            Self::Failure => matches!(seen, Seen::Whole(502, Some("upstream"), 0) | Seen::Broken(200)),
        }
    }
}

/// What it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A response to its end: status, `weft-error`, and the length of its body.
    Whole(u16, Option<&'static str>, usize),
    /// A response's head with this status, then a reset.
    Broken(u16),
}

const SERVED: Seen = Seen::Whole(200, None, 0);
const UNHARMED: Want = Want::Exactly(SERVED);
const UPSTREAM: Want = Want::Exactly(Seen::Whole(502, Some("upstream"), 0));
const FOUR_BYTES: Want = Want::Exactly(Seen::Whole(200, None, 4));

struct Case {
    name: &'static str,
    /// Said before anything is read.
    greeting: Vec<u8>,
    /// Said to the first request, whose stream is given.
    answer: fn(u32) -> Vec<u8>,
    /// The connection ends after that.
    ends: bool,
    want: Want,
}

fn case(name: &'static str, answer: fn(u32) -> Vec<u8>, want: Want) -> Case {
    Case { name, greeting: settings(&[]), answer, ends: false, want }
}

fn greeted(name: &'static str, greeting: Vec<u8>, want: Want) -> Case {
    Case { name, greeting, answer: good, ends: false, want }
}

fn good(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &[OK])
}

/// The head of a 200 whose body is to come.
fn opened(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &[OK])
}

fn headed(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value.as_bytes())).collect();
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// One entry of 4,000 bytes in the dynamic table, named so often that the list is far past any bound.
fn bomb(stream: u32) -> Vec<u8> {
    let mut block = vec![OK, 0x40];
    block.extend(integer(1, 7));
    block.extend(b"x");
    block.extend(integer(4000, 7));
    block.extend(vec![b'a'; 4000]);
    block.extend(vec![0xbe; 8000]);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

fn endless_continuations(stream: u32) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_STREAM, stream, &[OK]);
    let fields = field("x", &[b'a'; 1000]).repeat(16);
    for _ in 0..200 {
        bytes.extend(frame(CONTINUATION, 0, stream, &fields));
    }
    bytes
}

fn repeated(one: &[u8], stream: u32) -> Vec<u8> {
    let mut bytes = one.repeat(10_000);
    bytes.extend(good(stream));
    bytes
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    vec![
        // RFC 9113 3.4 calls this an error of the connection; the framing library does not insist, and nothing hangs on it.
        greeted("a greeting that is no SETTINGS", frame(PING, 0, 0, &[0; 8]), UNHARMED),
        // RFC 9113 6.5 and 6.5.2: SETTINGS.
        greeted("HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec(), UPSTREAM),
        greeted("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), UPSTREAM),
        greeted("SETTINGS of a stream", frame(SETTINGS, 0, 1, &[]), UPSTREAM),
        greeted("an acknowledgement that says something", frame(SETTINGS, END_STREAM, 0, &[0; 6]), UPSTREAM),
        greeted("a window past 2^31-1", settings(&[(4, 1 << 31)]), UPSTREAM),
        greeted("frames below 2^14", settings(&[(5, 100)]), UPSTREAM),
        greeted("ENABLE_PUSH of 2", settings(&[(2, 2)]), UPSTREAM),
        greeted("frames past 2^24-1", settings(&[(5, 1 << 24)]), UPSTREAM),
        greeted("an unknown setting", settings(&[(0xff, 1)]), UNHARMED),
        greeted("one stream at a time", settings(&[(3, 1)]), UNHARMED),
        greeted("no window, which a request without a body does not need", settings(&[(4, 0)]), UNHARMED),
        greeted("no dynamic table", settings(&[(1, 0)]), UNHARMED),
        greeted("a bound on header lists, which is advice (RFC 9113 6.5.2)", settings(&[(6, 10)]), UNHARMED),
        greeted("extended CONNECT", settings(&[(8, 1)]), UNHARMED),
        case(
            "SETTINGS in the middle",
            |id| [opened(id), settings(&[(3, 7), (4, 100)]), frame(DATA, END_STREAM, id, b"body")].concat(),
            FOUR_BYTES,
        ),
        case(
            "103, and the response",
            |id| [frame(HEADERS, END_HEADERS, id, &field(":status", b"103")), good(id)].concat(),
            UNHARMED,
        ),
        case(
            "an interim response that ends",
            |id| frame(HEADERS, END_STREAM | END_HEADERS, id, &field(":status", b"103")),
            UPSTREAM,
        ),
        case(
            "the same length twice",
            |id| headed(id, &[(":status", "200"), ("content-length", "0"), ("content-length", "0")]),
            Want::Exactly(Seen::Whole(502, Some("bad-response"), 0)),
        ),
        // RFC 9113 5.5, 6.7, 5.1, 6.6, 6.1, 4.2: frames out of place or of a wrong size.
        case("an unknown frame", |id| [frame(0xff, 0xff, id, b"what"), good(id)].concat(), UNHARMED),
        case("a PING of five bytes", |_| frame(PING, 0, 0, &[0; 5]), UPSTREAM),
        case("HEADERS on a stream that nobody opened", |id| good(id + 2), UPSTREAM),
        case("HEADERS on a stream of its own", |_| good(2), UPSTREAM),
        case("a promise that was forbidden", |id| frame(PUSH_PROMISE, END_HEADERS, id, &[0, 0, 0, 2, OK]), UPSTREAM),
        case("DATA before HEADERS", |id| frame(DATA, END_STREAM, id, b"early"), UPSTREAM),
        case("DATA on a stream that nobody opened", |id| frame(DATA, END_STREAM, id + 2, b"lost"), UPSTREAM),
        case("DATA on stream 0", |_| frame(DATA, 0, 0, b"lost"), UPSTREAM),
        case(
            "a frame past its length",
            |id| [opened(id), frame(DATA, END_STREAM, id, &[0; 16_385])].concat(),
            Want::Failure,
        ),
        case(
            "padding as long as its frame",
            |id| [opened(id), frame(DATA, PADDED, id, &[4, 0, 0, 0])].concat(),
            Want::Failure,
        ),
        case("DATA after the end", |id| [good(id), frame(DATA, END_STREAM, id, b"more")].concat(), UNHARMED),
        // RFC 9113 6.9: windows.
        case(
            "a body past the window",
            |id| {
                let mut bytes = opened(id);
                for _ in 0..5 {
                    bytes.extend(frame(DATA, 0, id, &[0; 16_384]));
                }
                bytes
            },
            Want::Failure,
        ),
        case("a window of the connection past 2^31-1", |_| window_update(0, 0x7fff_ffff), UPSTREAM),
        // Nothing is left to be sent on it, so no window can be wrong.
        case(
            "a window past 2^31-1 of a stream that is sent",
            |id| [window_update(id, 0x7fff_ffff), good(id)].concat(),
            UNHARMED,
        ),
        case("a window that opens by nothing", |_| window_update(0, 0), UPSTREAM),
        case("a window of a stream that nobody opened", |id| window_update(id + 2, 1), UPSTREAM),
        // RFC 9113 4.3, 6.10 and 10.5.1: header blocks.
        case(
            "a field that is in no table",
            |id| frame(HEADERS, END_STREAM | END_HEADERS, id, &[OK, 0xff, 0xff, 0x01]),
            UPSTREAM,
        ),
        case("a header list past any bound", bomb, UPSTREAM),
        case("CONTINUATION without end", endless_continuations, UPSTREAM),
        case("CONTINUATION of nothing", |id| frame(CONTINUATION, END_HEADERS, id, &[OK]), UPSTREAM),
        case(
            "a head that is interrupted",
            |id| [frame(HEADERS, 0, id, &[OK]), frame(PING, 0, 0, &[0; 8])].concat(),
            UPSTREAM,
        ),
        // RFC 9113 8.3.2, 8.2.1, 8.2.2: heads.
        case("no status", |id| headed(id, &[("x", "1")]), UPSTREAM),
        case("two statuses", |id| headed(id, &[(":status", "200"), (":status", "404")]), UPSTREAM),
        case("a status that is no number", |id| headed(id, &[(":status", "2xx")]), UPSTREAM),
        case("a status below 100", |id| headed(id, &[(":status", "099")]), UPSTREAM),
        case("a status after a field", |id| headed(id, &[("x", "1"), (":status", "200")]), UPSTREAM),
        // Malformed by RFC 9113 8.3; the library leaves the field out, so it is not passed on.
        case("a request's pseudo-header", |id| headed(id, &[(":status", "200"), (":path", "/")]), UNHARMED),
        case("a name in upper case", |id| headed(id, &[(":status", "200"), ("X", "1")]), UPSTREAM),
        case("a field of the connection", |id| headed(id, &[(":status", "200"), ("connection", "close")]), UPSTREAM),
        case("a line's end in a value", |id| headed(id, &[(":status", "200"), ("x", "1\r\ny: 2")]), UPSTREAM),
        case("white space around a value", |id| headed(id, &[(":status", "200"), ("x", " 1\t")]), UNHARMED),
        // RFC 9113 8.6 and RFC 9110 15.2: interim responses.
        case("101", |id| [frame(HEADERS, END_HEADERS, id, &field(":status", b"101")), good(id)].concat(), UNHARMED),
        // RFC 9113 8.1.1 and 8.1: bodies and trailers.
        case(
            "less than its Content-Length",
            |id| {
                let head = [vec![OK], field("content-length", b"10")].concat();
                [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, END_STREAM, id, b"half")].concat()
            },
            Want::Failure,
        ),
        case(
            "more than its Content-Length",
            |id| {
                let head = [vec![OK], field("content-length", b"2")].concat();
                [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, END_STREAM, id, b"three")].concat()
            },
            Want::Failure,
        ),
        case(
            "a pseudo-header in trailers",
            |id| [opened(id), frame(DATA, 0, id, b"body"), headed(id, &[(":status", "200")])].concat(),
            FOUR_BYTES,
        ),
        case(
            "trailers that do not end",
            |id| [opened(id), frame(HEADERS, END_HEADERS, id, &field("x", b"1"))].concat(),
            Want::Failure,
        ),
        // RFC 9113 6.4 and 8.7: resets.
        case("a reset instead of an answer", |id| reset(id, 2), UPSTREAM),
        case("a reset without an error", |id| reset(id, 0), UPSTREAM),
        case("a stream refused unseen", |id| reset(id, 7), UNHARMED),
        case(
            "a reset in the middle",
            |id| [opened(id), frame(DATA, 0, id, b"half"), reset(id, 2)].concat(),
            Want::Failure,
        ),
        case(
            "a reset in the middle without an error",
            |id| [opened(id), frame(DATA, 0, id, b"half"), reset(id, 0)].concat(),
            Want::Failure,
        ),
        case("a reset of a stream that nobody opened", |id| reset(id + 2, 2), UPSTREAM),
        // RFC 9113 6.8: GOAWAY.
        case(
            "GOAWAY in the middle, and the rest",
            |id| [opened(id), goaway(id, 0), frame(DATA, END_STREAM, id, b"body")].concat(),
            FOUR_BYTES,
        ),
        case("GOAWAY that has not seen the request", |_| goaway(0, 0), UNHARMED),
        case("GOAWAY with an error", |_| goaway(0, 2), UPSTREAM),
        Case {
            ends: true,
            ..case(
                "GOAWAY in the middle with an error, and the end",
                |id| [opened(id), frame(DATA, 0, id, b"half"), goaway(id, 2)].concat(),
                Want::Failure,
            )
        },
        // RFC 9113 10.5: much that costs the sender little.
        case("ten thousand resets", |id| repeated(&reset(id, 2), id), UPSTREAM),
        case("ten thousand SETTINGS", |id| repeated(&settings(&[]), id), UNHARMED),
        case("ten thousand PINGs", |id| repeated(&frame(PING, 0, 0, &[0; 8]), id), UNHARMED),
        case(
            "ten empty DATA frames",
            |id| [opened(id), frame(DATA, 0, id, &[]).repeat(10), frame(DATA, END_STREAM, id, b"body")].concat(),
            FOUR_BYTES,
        ),
        case(
            "ten thousand empty DATA frames",
            |id| [opened(id), frame(DATA, 0, id, &[]).repeat(10_000), frame(DATA, END_STREAM, id, b"body")].concat(),
            Want::Failure,
        ),
        Case { ends: true, ..case("an end instead of an answer", |_| Vec::new(), UPSTREAM) },
        Case { ends: true, ..case("an end inside a frame", |id| good(id)[..5].to_vec(), UPSTREAM) },
        Case {
            ends: true,
            ..case("an end in the middle", |id| [opened(id), frame(DATA, 0, id, b"half")].concat(), Want::Failure)
        },
    ]
}

/// Plays `case` once, and behaves from then on.
async fn server(case: &Case) -> App {
    let fresh = Rc::new(Cell::new(true));
    let (greeting, answer, ends) = (case.greeting.clone(), case.answer, case.ends);
    App::start(move |mut stream| {
        let (fresh, greeting) = (Rc::clone(&fresh), greeting.clone());
        async move {
            let mut preface = [0; PREFACE.len()];
            if stream.read_exact(&mut preface).await.is_err() {
                return;
            }
            assert_eq!(preface, PREFACE, "the proxy speaks HTTP/2");
            let greets = fresh.get();
            let hello = if greets { greeting } else { settings(&[]) };
            if stream.write_all(&hello).await.is_err() {
                return;
            }
            while let Some(got) = read_frame(&mut stream).await {
                let reply = match got.kind {
                    SETTINGS if got.flags & END_STREAM == 0 => frame(SETTINGS, END_STREAM, 0, &[]),
                    PING if got.flags & END_STREAM == 0 => frame(PING, END_STREAM, 0, &got.payload),
                    HEADERS if fresh.replace(false) => {
                        // A peer that has had enough closes while much is still to be said.
                        let _ = stream.write_all(&answer(got.stream)).await;
                        if ends {
                            return;
                        }
                        continue;
                    }
                    HEADERS => good(got.stream),
                    _ => continue,
                };
                if stream.write_all(&reply).await.is_err() {
                    return;
                }
            }
            // A greeting may have been enough.
            fresh.set(fresh.get() && !greets);
        }
    })
    .await
}

async fn ask(client: &SendRequest<Bytes>) -> Seen {
    let mut client = client.clone().ready().await.expect("the client's own connection stays whole");
    let request = Request::get("http://app/").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = response.await.expect("the proxy answers");
    let status = response.status().as_u16();
    let why = response.headers().get("weft-error").map(|why| match why.as_bytes() {
        b"upstream" => "upstream",
        b"bad-response" => "bad-response",
        other => panic!("{}", String::from_utf8_lossy(other)),
    });
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                length += data.len();
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            Err(error) => {
                assert!(error.is_reset() && error.reason() != Some(Reason::NO_ERROR), "{error}");
                return Seen::Broken(status);
            }
        }
    }
    match body.trailers().await {
        Ok(_) => Seen::Whole(status, why, length),
        Err(_) => Seen::Broken(status),
    }
}

#[test]
fn whatever_a_server_breaks_its_client_is_told_and_the_next_request_is_served() {
    run(async {
        let mut wrong = Vec::new();
        for case in cases() {
            let app = server(&case).await;
            let pair = Pair::start(app.address);
            let socket = TcpStream::connect(pair.client.outbound).await.unwrap();
            let (client, driver) = h2::client::handshake(socket).await.unwrap();
            let driving = spawn_local(driver);
            let asked = tokio::time::timeout(Duration::from_secs(5), ask(&client));
            let Ok(seen) = asked.await else {
                wrong.push(format!("{}: no answer", case.name));
                continue;
            };
            if !case.want.is(seen) {
                wrong.push(format!("{}: {seen:?}, not {:?}", case.name, case.want));
                continue;
            }
            assert_eq!(ask(&client).await, SERVED, "{}: the next request", case.name);
            drop(client);
            driving.await.unwrap().unwrap();
            eventually(case.name, || pair.client.active() == 0).await;
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

#[test]
fn a_response_to_head_has_a_length_and_no_body_whatever_the_server_sends() {
    // RFC 9110 9.3.2.
    for (body, want) in [(None, Some((200, "5"))), (Some(&b"hello"[..]), None)] {
        run(async {
            let app = App::start(move |mut stream| async move {
                let _ = stream.write_all(&settings(&[])).await;
                let mut preface = [0; PREFACE.len()];
                let _ = stream.read_exact(&mut preface).await;
                while let Some(got) = read_frame(&mut stream).await {
                    if got.kind == HEADERS {
                        let block = [vec![OK], field("content-length", b"5")].concat();
                        let mut bytes = frame(HEADERS, END_HEADERS | u8::from(body.is_none()), got.stream, &block);
                        bytes.extend(body.iter().flat_map(|body| frame(DATA, END_STREAM, got.stream, body)));
                        let _ = stream.write_all(&bytes).await;
                    }
                }
            })
            .await;
            let pair = Pair::start(app.address);
            let socket = TcpStream::connect(pair.client.outbound).await.unwrap();
            let (mut client, driver) = h2::client::handshake(socket).await.unwrap();
            spawn_local(driver);
            let (response, _) = client.send_request(Request::head("http://app/").body(()).unwrap(), true).unwrap();
            let response = response.await.unwrap();
            let length = response.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
            let status = response.status().as_u16();
            let whole = response.into_body().data().await.is_none();
            match want {
                Some((ok, five)) => assert_eq!((status, length.as_deref(), whole), (ok, Some(five), true)),
                None => assert!(status == 502 || !whole, "{status} {length:?}"),
            }
        });
    }
}
