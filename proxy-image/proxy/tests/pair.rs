//! A client proxy and a server proxy, end to end over mutual TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::app::App;
use common::certs::spiffe;
use common::node::{Pair, SERVICE, identities, rule};
use common::{GET, get, is_whole, run, status, talk};
use tokio::net::TcpStream;
use weft_policy::model::Protocol;

#[test]
fn a_request_goes_through_both_proxies_over_mutual_tls() {
    run(async {
        let (app, seen) = App::ok().await;
        let allowed = identities(&[&spiffe("client")]);
        let pair = Pair::with(app.address, rule(app.address.port(), Protocol::Detect, allowed));
        let answer = get(pair.client.outbound, GET).await;
        assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        let request = seen.last();
        let want = format!("GET /hello HTTP/1.1\r\nHost: app\r\nweft-client-id: {}\r\n\r\n", spiffe("client"));
        assert_eq!(request, want);
    });
}

#[test]
fn connections_are_kept_and_reused_on_every_leg() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        for _ in 0..3 {
            let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
            for _ in 0..10 {
                assert!(is_whole(&talk(&mut stream, GET.as_bytes(), is_whole).await));
            }
        }
        assert_eq!(seen.count(), 30);
        assert_eq!(app.connections(), 1, "one connection to the application");
        assert_eq!(pair.server.active(), 1, "one mesh connection");
    });
}

#[test]
fn forged_identity_headers_never_arrive() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let forged = "GET / HTTP/1.1\r\nHost: app\r\nWeft-Client-Id: spiffe://cluster.local/ns/kube-system/sa/root\r\n\
                      L5d-client-id: root\r\nConnection: weft-client-id\r\nX-Kept: 1\r\n\r\n";
        assert_eq!(status(&get(pair.client.outbound, forged).await), 200);
        let request = seen.last();
        assert_eq!(request.matches("client-id").count(), 1, "{request}");
        assert!(request.contains(&format!("weft-client-id: {}\r\n", spiffe("client"))), "{request}");
        assert!(
            request.contains("X-Kept: 1\r\n") && !request.to_ascii_lowercase().contains("connection:"),
            "{request}"
        );

        // A plain client has no identity: nothing vouches for it.
        pair.server.inbound_origin.set(app.address);
        assert_eq!(status(&get(pair.server.inbound, forged).await), 200);
        assert!(!seen.last().contains("client-id"), "{}", seen.last());

        // Nor by a request line that only a lenient server takes for one.
        let count = seen.count();
        for start in ["get /", "G(ET /", "GET  /", "GET /a b"] {
            let answer = get(pair.server.inbound, &forged.replacen("GET /", start, 1)).await;
            assert!(!answer.is_empty(), "{start}");
        }
        assert_eq!(seen.count(), count + 1, "a method in lower case is a method; the others are refused");
        assert!(seen.last().starts_with("get / ") && !seen.last().contains("client-id"), "{}", seen.last());
    });
}

#[test]
fn a_destination_nobody_knows_is_refused_or_passed_through_as_the_mesh_says() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        pair.client.setter.remove_outbound(SERVICE.parse().unwrap());
        pair.client.outbound_origin.set(app.address);
        assert_eq!(get(pair.client.outbound, GET).await, "");
        let mut workload = common::node::workload("client", Vec::new());
        workload.unknown_destination = weft_policy::model::UnknownDestination::PassThrough;
        pair.client.setter.set_workload(workload);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200);
        assert_eq!(seen.count(), 1);
    });
}
