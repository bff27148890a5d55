//! Two proxies and mutual TLS between them.

use super::*;
use crate::config::Origin;
use crate::exchange::Direction;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use weft_control::{Credentials, TrustDomain};

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    anchor: CertificateDer<'static>,
}

fn spiffe(account: &str) -> String {
    format!("spiffe://mesh/ns/demo/sa/{account}")
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), anchor }
    }

    fn credentials(&self, account: &str) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(spiffe(account).as_str().try_into().unwrap())];
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&secret).unwrap();
        Credentials {
            certified_key: Arc::new(rustls::sign::CertifiedKey::new(vec![leaf.der().clone()], signer)),
            identity: Arc::from(spiffe(account)),
            not_after: std::time::SystemTime::now() + Duration::from_secs(3_600),
            trust_domains: vec![TrustDomain {
                mesh: "default".into(),
                trust_domain: "mesh".into(),
                anchors: vec![self.anchor.clone()],
            }],
        }
    }
}

/// A server proxy before `application`, which admits the client alone, and a client proxy that expects `expected` there.
async fn pair(application: SocketAddr, expected: &str) -> (World, World, Rc<Session>) {
    let ca = Ca::new();
    let listener = crate::serve::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let origin = Origin::Given(Rc::new(Cell::new(address)));
    let server = World::with(Config { inbound: vec![address], inbound_origin: origin, ..Config::default() });
    let clients = Clients::Identities { exact: vec![spiffe("client")], suffixes: Vec::new() };
    let only = vec![Authorization { clients, ..anybody().remove(0) }];
    server.set_workload(only, vec![application.port()]);
    server.setter.set_credentials(ca.credentials("server"));
    spawn_local(crate::serve::accept(Rc::clone(&server.proxy), listener, Direction::Inbound));

    let client = World::with(Config { direct_port: address.port(), ..Config::default() });
    client.setter.set_credentials(ca.credentials("client"));
    let session = client.route_to(&[application]).await;
    let endpoint = Endpoint {
        address: application,
        pod_uid: "uid".into(),
        identity: spiffe(expected),
        transport: Transport::Direct,
        zone: String::new(),
        labels: Arc::from([]),
    };
    client.setter.set_endpoints(SERVICE, vec![endpoint]);
    (server, client, session)
}

#[tokio::test]
async fn streams_of_many_callers_share_one_mesh_connection_and_arrive_with_the_verified_identity() {
    local(async {
        let backend = Backend::echo().await;
        let (server, client, session) = pair(backend.address, "server").await;
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (sender, _) = connect(Rc::clone(&session)).await;
            for _ in 0..4 {
                let sender = sender.clone();
                tasks.push(spawn_local(async move {
                    for _ in 0..20 {
                        let (response, mut body) =
                            sender.clone().ready().await.unwrap().send_request(grpc(), false).unwrap();
                        body.send_data(Bytes::from(vec![1; 1_000]), false).unwrap();
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        body.send_trailers(trailers).unwrap();
                        let (length, trailers) = drain(response.await.unwrap().body_mut()).await;
                        assert_eq!((length, &trailers.unwrap()["grpc-status"]), (1_000, &"0".parse().unwrap()));
                    }
                }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(backend.served(), 320);
        assert_eq!((client.proxy.http2.len(), server.proxy.drain.active(Direction::Inbound)), (1, 1));
        for seen in backend.requests.borrow().iter() {
            assert_eq!(seen.headers["weft-client-id"], spiffe("client"));
        }
        assert!(server.metric("response_total{|tls=\"true\"|client_id=\"spiffe://mesh/ns/demo/sa/client\"|} 320"));
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_is_somebody_else_is_sent_nothing() {
    local(async {
        let backend = Backend::plain().await;
        let (_server, client, session) = pair(backend.address, "impostor").await;
        let (sender, _) = connect(session).await;
        for (request, name, value) in [(grpc(), "grpc-status", "14"), (get("/"), "weft-error", "identity")] {
            assert_eq!(ask(&sender, request).await.unwrap().headers()[name], value);
        }
        assert_eq!(backend.served(), 0);
        assert!(client.metric("outbound_http_errors_total{|error=\"identity\"|} 2"));
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_drains_loses_no_request() {
    local(async {
        let backend = Backend::plain().await;
        let (server, _client, session) = pair(backend.address, "server").await;
        let (sender, _) = connect(session).await;
        for number in 0..200 {
            if number == 100 {
                server.proxy.drain.begin();
            }
            assert_eq!(ask(&sender, get("/")).await.unwrap().status(), 200, "request {number}");
        }
        assert_eq!(backend.served(), 200);
    })
    .await;
}
