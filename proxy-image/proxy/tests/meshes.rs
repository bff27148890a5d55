//! Two meshes that trust each other: each speaks for its own trust domain and for no other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use common::app::{App, Seen};
use common::certs::{Ca, DOMAIN, spiffe};
use common::node::{Pair, identities, rule, workload};
use common::{GET, eventually, get, run, status};
use weft_control::Credentials;
use weft_policy::model::Protocol;
use weft_proxy_core::exchange::Direction;
use weft_proxy_core::refusal::Refusal;

const OTHER: &str = "other.test";

fn stranger(account: &str) -> String {
    format!("spiffe://{OTHER}/ns/demo/sa/{account}")
}

fn dns(account: &str, domain: &str) -> String {
    format!("{account}.demo.serviceaccount.identity.weft-system.{domain}")
}

/// A pair whose server is of mesh `cluster.local` and whose client is of mesh `other.test`.
struct Meshes {
    app: App,
    seen: Seen,
    pair: Pair,
    other: Ca,
}

impl Meshes {
    async fn start() -> Self {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let meshes = Self { app, seen, other: Ca::new(), pair };
        meshes.pair.server.setter.set_credentials(meshes.trusting(meshes.pair.ca.credentials(&spiffe("server"))));
        meshes.client(meshes.other.credentials(&stranger("client")));
        meshes
    }

    /// The roots of both, each for its own domain.
    fn trusting(&self, mut credentials: Credentials) -> Credentials {
        credentials.trust_domains = vec![self.pair.ca.trust(DOMAIN), self.other.trust(OTHER)];
        credentials
    }

    fn client(&self, credentials: Credentials) {
        self.pair.client.setter.set_credentials(self.trusting(credentials));
    }

    fn admit(&self, identity: &str) {
        let port = rule(self.app.address.port(), Protocol::Detect, identities(&[identity]));
        self.pair.server.setter.set_workload(workload("server", vec![port]));
    }

    async fn ask(&self) -> String {
        get(self.pair.client.outbound, GET).await
    }

    async fn let_in_as(&self, identity: &str) {
        let answer = self.ask().await;
        assert_eq!(status(&answer), 200, "{answer}");
        let request = self.seen.last();
        assert!(request.contains(&format!("weft-client-id: {identity}\r\n")), "{request}");
    }
}

#[test]
fn an_identity_of_the_other_mesh_is_seen_and_authorized_as_what_it_is() {
    run(async {
        let meshes = Meshes::start().await;
        meshes.let_in_as(&stranger("client")).await;
        meshes.admit(&stranger("client"));
        meshes.let_in_as(&stranger("client")).await;
        // The account of the same name in the own mesh is another one.
        meshes.admit(&spiffe("client"));
        assert_eq!(status(&meshes.ask().await), 403);
    });
}

#[test]
fn an_identity_of_one_domain_under_the_root_of_another_is_refused() {
    run(async {
        let meshes = Meshes::start().await;
        meshes.client(meshes.other.credentials(&spiffe("client")));
        assert_eq!(status(&meshes.ask().await), 502);
        let counters = &meshes.pair.server.proxy.counters;
        let counted = || counters.refusals(Direction::Inbound, Refusal::UntrustedRoot) == 1;
        eventually("the forged identity is counted", counted).await;
        assert_eq!(meshes.seen.count(), 0);
        meshes.client(meshes.other.credentials(&stranger("client")));
        meshes.let_in_as(&stranger("client")).await;
    });
}

#[test]
fn a_server_that_forges_an_identity_of_the_other_domain_gets_nothing() {
    run(async {
        let meshes = Meshes::start().await;
        let server = |credentials| meshes.pair.server.setter.set_credentials(meshes.trusting(credentials));
        server(meshes.other.credentials(&spiffe("server")));
        assert_eq!(status(&meshes.ask().await), 502);
        assert_eq!(meshes.seen.count(), 0);
        server(meshes.pair.ca.credentials(&spiffe("server")));
        meshes.let_in_as(&stranger("client")).await;
    });
}

#[test]
fn a_dns_name_of_a_domain_that_the_root_does_not_speak_for_grants_nothing() {
    run(async {
        // Each in meshes of its own: a connection that stands goes on with the certificate that it began with.
        for (own_root, account, named, admitted) in [
            (false, stranger("client"), dns("client", DOMAIN), false),
            (true, spiffe("somebody"), dns("client", DOMAIN), false),
            (true, spiffe("client"), dns("client", DOMAIN), true),
            (false, stranger("client"), dns("client", OTHER), true),
        ] {
            let meshes = Meshes::start().await;
            let root = if own_root { &meshes.pair.ca } else { &meshes.other };
            meshes.client(root.named(&account, &[&named]));
            meshes.admit(&named);
            if admitted {
                meshes.let_in_as(&account).await;
            } else {
                assert_eq!(status(&meshes.ask().await), 403, "{account} as {named}");
            }
        }
    });
}
