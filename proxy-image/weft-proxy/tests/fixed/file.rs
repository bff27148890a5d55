//! Static configurations: certificates and resources made for one run.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use serde_json::json;
use weft_control::wire::config as wire;

/// What applications call; nothing listens there.
pub const SERVICE: &str = "10.99.0.10:80";
const ENDPOINTS: &str = "endpoints/demo/app:80";

pub fn spiffe(account: &str) -> String {
    format!("spiffe://cluster.local/ns/demo/sa/{account}")
}

pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    anchor: String,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), anchor }
    }

    /// Chain and key, PEM.
    fn leaf(&self, account: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(spiffe(account).try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A folder that goes with its owner.
pub struct Files(PathBuf);

impl Files {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let unique: String = key.public_key_raw().iter().skip(1).take(8).map(|byte| format!("{byte:02x}")).collect();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// A configuration with an identity of its own.
    pub fn write(&self, account: &str, ca: &Ca, resources: &[wire::Upsert]) -> PathBuf {
        let (chain, key) = ca.leaf(account);
        let resources: Vec<String> = resources.iter().map(|upsert| base64(&upsert.encode_to_vec())).collect();
        let file = json!({
            "identity": { "chain_pem": chain, "key_pem": key },
            "trust": [{ "mesh": "default", "trust_domain": "cluster.local", "anchors_pem": ca.anchor }],
            "resources": resources,
        });
        let path = self.0.join(format!("{account}.json"));
        fs::write(&path, file.to_string()).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn named(name: &str) -> wire::Ref {
    wire::Ref { kind: "test".to_owned(), name: name.to_owned(), ..wire::Ref::default() }
}

fn upsert(name: &str, resource: wire::upsert::Resource) -> wire::Upsert {
    wire::Upsert { name: name.to_owned(), version: "1".to_owned(), resource: Some(resource) }
}

/// A pod of `account`; its application's `port` admits the client's identity alone.
pub fn workload(account: &str, port: Option<u16>) -> wire::Upsert {
    let client = wire::MeshTls { identities: vec![spiffe("client")], ..wire::MeshTls::default() };
    let authorization = wire::Authorization {
        authorization: Some(named("client-only")),
        networks: vec![wire::Network { cidr: "0.0.0.0/0".to_owned(), except: Vec::new() }],
        clients: Some(wire::authorization::Clients::MeshTls(client)),
    };
    let rule = |port, authorizations| wire::InboundPort {
        port,
        protocol: wire::Protocol::Detect.into(),
        server: Some(named("rule")),
        authorizations,
        ..wire::InboundPort::default()
    };
    let workload = wire::Workload {
        mesh: "default".to_owned(),
        namespace: "demo".to_owned(),
        pod: format!("{account}-0"),
        pod_uid: format!("uid-{account}"),
        identity: spiffe(account),
        ports: port.map(|port| rule(port.into(), vec![authorization])).into_iter().collect(),
        default_port: Some(rule(0, Vec::new())),
        unknown_destination: wire::UnknownDestination::Refuse.into(),
        ..wire::Workload::default()
    };
    upsert("workload", wire::upsert::Resource::Workload(workload))
}

/// The server's application as the one endpoint.
pub fn endpoints(app: SocketAddr) -> wire::Upsert {
    let endpoint = wire::Endpoint {
        address: app.ip().to_string(),
        port: app.port().into(),
        pod_uid: "uid-server".to_owned(),
        identity: spiffe("server"),
        transport: wire::Transport::Direct.into(),
        ..wire::Endpoint::default()
    };
    upsert(ENDPOINTS, wire::upsert::Resource::Endpoints(wire::Endpoints { endpoints: vec![endpoint], balancing: None }))
}

/// The service in front of it.
pub fn outbound() -> wire::Upsert {
    let backend = wire::Backend {
        weight: 1,
        backend: Some(named("app")),
        target: Some(wire::backend::Target::Endpoints(ENDPOINTS.to_owned())),
        labels: Vec::new(),
    };
    let outbound = wire::Outbound {
        destination: Some(named("app")),
        protocol: wire::Protocol::Detect.into(),
        kind: Some(wire::outbound::Kind::Routed(wire::Routed {
            default_backends: vec![backend],
            ..wire::Routed::default()
        })),
        ..wire::Outbound::default()
    };
    upsert(&format!("outbound/{SERVICE}"), wire::upsert::Resource::Outbound(outbound))
}

/// RFC 4648 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(three.get(at).copied().unwrap_or_default()));
        for at in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * at) & 63).unwrap();
            text.push(if at <= three.len() { char::from(*ALPHABET.get(digit).unwrap()) } else { '=' });
        }
    }
    text
}
