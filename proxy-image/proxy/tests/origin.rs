//! What an application is told of where a request has come from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::app::App;
use common::node::{Pair, anybody, rule, workload};
use common::{get, run, status};
use weft_policy::model::Protocol;

/// As the test's callers seem to come from.
const CALLER: &str = "10.1.2.3";

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: app\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\nX-Kept: 1\r\n\
                       X-Real-Ip: 192.0.2.3\r\nx-forwarded-for: 192.0.2.4, 192.0.2.5\r\n\r\n";

/// The fields of a request that say where it has come from, in lower case and sorted.
fn origins(request: &str) -> Vec<String> {
    let is_origin =
        |line: &&str| ["x-forwarded-for:", "forwarded:", "x-real-ip:"].iter().any(|name| line.starts_with(name));
    let lower = request.to_ascii_lowercase();
    let mut lines: Vec<String> = lower.split("\r\n").filter(is_origin).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn an_application_that_asks_for_it_is_told_who_called_and_only_callers_that_are_known_are_believed() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let untouched = [
            "forwarded: for=192.0.2.2",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-for: 192.0.2.4, 192.0.2.5",
            "x-real-ip: 192.0.2.3",
        ];
        let ask = async |address| {
            let answer = get(address, REQUEST).await;
            assert_eq!(status(&answer), 200);
            let request = seen.last();
            assert!(request.contains("X-Kept: 1\r\n"), "{request}");
            origins(&request)
        };
        // Both callers, while nobody asks for it.
        pair.server.inbound_origin.set(app.address);
        assert_eq!(ask(pair.server.inbound).await, untouched);
        pair.server.inbound_origin.set(pair.server.inbound);
        assert_eq!(ask(pair.client.outbound).await, untouched);

        let mut told = workload("server", vec![rule(app.address.port(), Protocol::Detect, anybody())]);
        told.forwarded_for = true;
        pair.server.setter.set_workload(told);
        let known = format!("x-forwarded-for: 192.0.2.1, 192.0.2.4, 192.0.2.5, {CALLER}");
        assert_eq!(ask(pair.client.outbound).await, ["forwarded: for=192.0.2.2", &known, "x-real-ip: 192.0.2.3"]);
        pair.server.inbound_origin.set(app.address);
        assert_eq!(ask(pair.server.inbound).await, [format!("x-forwarded-for: {CALLER}")]);
    });
}
