//! The same bytes to Weft's pair, to nginx as a proxy and to hyper: who passes on what. What the application behind them got decides, not what the client is told.
//!
//! Weft may refuse what others serve. Where it serves what nginx or hyper refuses, the table says why that is right. Whatever it passes on is one request to all
//! of three who read it: hyper, nginx, and a recorder that knows no leniency.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod oracles;
mod recorder;
mod table;

use common::node::Pair;
use common::run;
use oracles::{Answer, Application, Nginx, Requests, Way, exchange};
use recorder::{framed, recorder};
use table::Case;

/// Follows every case: whoever kept the frame of what came before serves it too.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What of the three origins behind Weft got: nothing, or one request for each that Weft's client got an answer to.
fn disagreements(case: &Case, origin: &str, weft: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    let mut complain = |what: &str| found.push(format!("{} before {origin}: {what}: {weft:?}", case.name));
    // What nginx refuses by itself it refuses behind Weft as well.
    let refused = origin == "nginx" && case.why.is_some();
    if weft.statuses() != case.weft && !refused {
        complain(&format!("not {}", case.weft));
    }
    if !weft.ended {
        complain("the connection stays");
    }
    let served = weft.statuses().split(' ').filter(|status| *status == "200").count();
    if weft.arrived.len() != served {
        complain("answers and requests are not as many");
    }
    let smuggled = weft.arrived.iter().any(|line| line.contains("smuggled"));
    if smuggled != case.pipelined {
        complain("smuggled");
    }
    found
}

#[test]
fn nothing_is_passed_on_that_two_parsers_could_read_differently() {
    run(async {
        let requests = Requests::default();
        let app = Application::start(requests.clone()).await;
        let nginx = Nginx::start(app.address).await;
        let recorder = recorder(requests.clone()).await;
        let forwarder = nginx.forwarder().await;
        let origins = [("hyper", app.address), ("nginx", forwarder.address), ("the recorder", recorder.address)];
        let pairs = origins.map(|(origin, address)| (origin, Pair::start(address)));
        let mut failures = Vec::new();
        for case in table::cases() {
            let bytes = [&case.bytes[..], LAST.as_bytes()].concat();
            let mut arrived = 0;
            for (origin, pair) in &pairs {
                let weft = exchange(&requests, Way::Tcp(pair.client.outbound), &bytes).await;
                failures.extend(disagreements(&case, origin, &weft));
                arrived = arrived.max(weft.arrived.len());
            }
            let mut bolder_than = Vec::new();
            for (peer, way) in [("nginx", Way::Unix(nginx.socket.clone())), ("hyper", Way::Tcp(app.address))] {
                let answer = exchange(&requests, way, &bytes).await;
                println!("{:44} {peer} {:12} weft {}", case.name, answer.statuses(), case.weft);
                if answer.arrived.len() < arrived {
                    bolder_than.push(peer);
                }
            }
            if bolder_than.is_empty() == case.why.is_some() {
                let why = case.why;
                failures.push(format!(
                    "{}: Weft serves what {bolder_than:?} refuse, and the table says {why:?}",
                    case.name
                ));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

#[test]
fn the_recorder_takes_nothing_for_a_request_that_is_not_exactly_one() {
    let whole = |bytes: &str| framed(bytes.as_bytes()).map(|length| length == Some(bytes.len()));
    for one in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: 1\r\n\r\n",
    ] {
        assert_eq!(whole(one), Ok(true), "{one:?}");
        assert_eq!(framed(&one.as_bytes()[..one.len() - 1]), Ok(None), "{one:?} is cut");
        assert_eq!(framed(format!("{one}GET").as_bytes()), Ok(Some(one.len())), "{one:?} and more");
    }
    for none in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: 1\r2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n x: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nx: 1\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +2\r\n\r\nok",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    ] {
        assert!(framed(none.as_bytes()).is_err(), "{none:?}");
    }
}
