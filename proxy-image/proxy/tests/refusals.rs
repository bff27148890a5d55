//! Who is refused, each beside the twin that is let in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::sync::Arc;

use common::app::App;
use common::certs::{Ca, spiffe};
use common::node::{ENDPOINTS, Pair, identities, rule, workload};
use common::{GET, eventually, get, run, status};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use weft_policy::model::{Protocol, Transport};
use weft_proxy_core::exchange::Direction;
use weft_proxy_core::refusal::Refusal;
use weft_proxy_core::tls::Tls;

async fn refused(pair: &Pair, refusal: Refusal, what: &str) {
    eventually(what, || pair.server.proxy.counters.refusals(Direction::Inbound, refusal) == 1).await;
}

async fn accepted(pair: &Pair) {
    assert_eq!(status(&get(pair.client.outbound, GET).await), 200, "the twin is let in");
}

#[test]
fn a_client_under_another_root_is_refused() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        accepted(&pair).await;
        // The stranger believes the server, so that only the server's judgement is at stake.
        let mut credentials = Ca::new().credentials(&spiffe("client"));
        credentials.trust_domains = vec![pair.ca.trust("cluster.local")];
        let stranger = Pair::start(app.address);
        stranger.client.setter.set_credentials(credentials);
        let mut endpoint = pair.endpoint();
        endpoint.transport = Transport::Redirect;
        endpoint.address = pair.server.inbound;
        pair.server.inbound_origin.set(app.address);
        stranger.client.setter.set_endpoints(ENDPOINTS, vec![endpoint]);
        let answer = get(stranger.client.outbound, GET).await;
        assert_eq!(status(&answer), 502, "{answer}");
        refused(&pair, Refusal::UntrustedRoot, "the other root is counted").await;
        assert_eq!(seen.count(), 1);
    });
}

#[test]
fn an_expired_client_is_refused() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        pair.client.setter.set_credentials(pair.ca.expired(&spiffe("client")));
        assert_eq!(status(&get(pair.client.outbound, GET).await), 502);
        refused(&pair, Refusal::Expired, "the expired leaf is counted").await;
        assert_eq!(seen.count(), 0);
        pair.client.setter.set_credentials(pair.ca.credentials(&spiffe("client")));
        accepted(&pair).await;
    });
}

#[test]
fn a_server_that_is_somebody_else_gets_nothing() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        pair.server.setter.set_credentials(pair.ca.credentials(&spiffe("impostor")));
        let answer = get(pair.client.outbound, GET).await;
        assert_eq!(status(&answer), 502);
        assert!(answer.contains("weft-error: identity\r\n"), "{answer}");
        assert_eq!(seen.count(), 0);
        pair.server.setter.set_credentials(pair.ca.credentials(&spiffe("server")));
        accepted(&pair).await;
    });
}

#[test]
fn a_preamble_for_another_pod_or_port_is_refused_before_any_byte() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let mut endpoint = pair.endpoint();
        endpoint.pod_uid = "uid-of-the-pod-that-was-here-before".to_owned();
        pair.client.setter.set_endpoints(ENDPOINTS, vec![endpoint.clone()]);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 502);
        refused(&pair, Refusal::WrongPod, "the wrong pod is counted").await;
        endpoint = pair.endpoint();
        endpoint.address.set_port(1);
        pair.client.setter.set_endpoints(ENDPOINTS, vec![endpoint.clone()]);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 502);
        refused(&pair, Refusal::WrongPort, "the wrong port is counted").await;
        endpoint.address.set_port(pair.server.inbound.port());
        pair.client.setter.set_endpoints(ENDPOINTS, vec![endpoint]);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 502);
        refused(&pair, Refusal::ProxyPort, "the proxy's own port is counted").await;
        assert_eq!(seen.count(), 0);
        pair.client.setter.set_endpoints(ENDPOINTS, vec![pair.endpoint()]);
        accepted(&pair).await;
    });
}

#[test]
fn the_direct_port_takes_mesh_tls_alone() {
    run(async {
        let (app, seen) = App::ok().await;
        let pair = Pair::start(app.address);
        assert_eq!(get(pair.server.inbound, GET).await, "", "plaintext gets no answer");
        refused(&pair, Refusal::PlaintextDirect, "plaintext is counted").await;

        let mut config = without_certificate(&pair);
        assert!(handshake(&pair, &config).await.is_err(), "no certificate, no connection");
        refused(&pair, Refusal::NoCertificate, "the missing certificate is counted").await;

        config.alpn_protocols = vec![b"h2".to_vec()];
        assert!(handshake(&pair, &config).await.is_err());
        refused(&pair, Refusal::WrongAlpn, "the other ALPN is counted").await;
        assert_eq!(seen.count(), 0);
        accepted(&pair).await;
    });
}

/// A client that speaks our ALPN, believes the server, and shows nothing of itself.
fn without_certificate(pair: &Pair) -> ClientConfig {
    let ours = Tls::new(pair.client.proxy.control.credentials()).client().unwrap();
    let mut config = ClientConfig::clone(&ours);
    config.client_auth_cert_resolver = Arc::new(Nobody);
    config
}

#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

async fn handshake(pair: &Pair, config: &ClientConfig) -> std::io::Result<()> {
    let socket = TcpStream::connect(pair.server.inbound).await?;
    let name = ServerName::IpAddress(pair.server.inbound.ip().into());
    let mut stream = TlsConnector::from(Arc::new(config.clone())).connect(name, socket).await?;
    stream.write_all(b"WFT1").await?;
    // In TLS 1.3 a client learns of its refusal with its first read.
    if stream.read(&mut [0; 1]).await? == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

#[test]
fn a_denied_caller_gets_403_and_an_allowed_one_200() {
    run(async {
        let (app, seen) = App::ok().await;
        let denied = rule(app.address.port(), Protocol::Detect, identities(&[&spiffe("other")]));
        let pair = Pair::with(app.address, denied);
        let answer = get(pair.client.outbound, GET).await;
        assert_eq!(status(&answer), 403);
        assert!(answer.contains("weft-error: denied\r\n"), "{answer}");
        assert_eq!(seen.count(), 0);
        let allowed = rule(app.address.port(), Protocol::Detect, identities(&[&spiffe("client")]));
        pair.server.setter.set_workload(workload("server", vec![allowed]));
        accepted(&pair).await;
    });
}

#[test]
fn nothing_is_admitted_before_the_first_workload() {
    run(async {
        let (app, seen) = App::ok().await;
        // An application may be quicker than its proxy and is waited for, but not for ever.
        let node = common::node::Node::tuned(1, |config| config.limits.start = std::time::Duration::from_millis(50));
        node.inbound_origin.set(app.address);
        assert!(!node.proxy.ready());
        assert_eq!(get(node.inbound, GET).await, "");
        assert_eq!(get(node.outbound, GET).await, "");
        assert_eq!(node.proxy.counters.refusals(Direction::Inbound, Refusal::NotReady), 1);
        assert_eq!(node.proxy.counters.refusals(Direction::Outbound, Refusal::NotReady), 1);
        assert_eq!(seen.count(), 0);
        let open = rule(app.address.port(), Protocol::Detect, common::node::anybody());
        node.setter.set_workload(workload("server", vec![open]));
        node.setter.set_credentials(Ca::new().credentials(&spiffe("server")));
        assert!(node.proxy.ready());
        assert_eq!(status(&get(node.inbound, GET).await), 200);
    });
}

#[test]
fn a_connection_to_the_proxy_itself_is_refused() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        pair.client.outbound_origin.set(pair.client.outbound);
        assert_eq!(get(pair.client.outbound, GET).await, "");
        pair.server.inbound_origin.set(pair.server.outbound);
        assert_eq!(get(pair.server.inbound, GET).await, "");
        assert_eq!(pair.client.proxy.counters.refusals(Direction::Outbound, Refusal::ProxyPort), 1);
        assert_eq!(pair.server.proxy.counters.refusals(Direction::Inbound, Refusal::ProxyPort), 1);
    });
}
