//! Wire resources with sensible content.

use std::time::Duration;

use crate::wire::config::backend::Target;
use crate::wire::config::upsert::Resource;
use crate::wire::config::{
    Authorization, Backend, Endpoint, Endpoints, EndpointsDelta, InboundPort, Outbound, Protocol, Ref, Routed,
    Transport, Trust, TrustDomain, Unauthenticated, UnknownDestination, Workload, authorization, outbound,
};

pub(crate) fn reference(name: &str) -> Option<Ref> {
    Some(Ref { kind: "service".to_owned(), namespace: "demo".to_owned(), name: name.to_owned(), ..Ref::default() })
}

pub(crate) fn wire_workload() -> Workload {
    Workload {
        mesh: "default".to_owned(),
        namespace: "demo".to_owned(),
        pod: "web-1".to_owned(),
        pod_uid: "6f1c".to_owned(),
        identity: super::IDENTITY.to_owned(),
        default_port: Some(InboundPort {
            protocol: Protocol::Detect.into(),
            server: reference("all-unauthenticated"),
            authorizations: vec![Authorization {
                authorization: reference("all-unauthenticated"),
                networks: Vec::new(),
                clients: Some(authorization::Clients::Unauthenticated(Unauthenticated {})),
            }],
            ..InboundPort::default()
        }),
        unknown_destination: UnknownDestination::PassThrough.into(),
        ..Workload::default()
    }
}

pub(super) fn workload() -> Resource {
    Resource::Workload(wire_workload())
}

pub(crate) fn wire_outbound(backends: &[&str]) -> Outbound {
    let backend = |name: &&str| Backend {
        weight: 1,
        backend: reference(name),
        target: Some(Target::Endpoints(format!("endpoints/demo/{name}:80"))),
        labels: Vec::new(),
    };
    Outbound {
        destination: reference("web"),
        protocol: Protocol::Http1.into(),
        kind: Some(outbound::Kind::Routed(Routed {
            default_backends: backends.iter().map(backend).collect(),
            ..Routed::default()
        })),
        ..Outbound::default()
    }
}

pub(super) fn outbound(backends: &[&str]) -> Resource {
    Resource::Outbound(wire_outbound(backends))
}

pub(crate) fn endpoint(address: &str) -> Endpoint {
    Endpoint {
        address: address.to_owned(),
        port: 8080,
        pod_uid: "uid".to_owned(),
        identity: super::IDENTITY.to_owned(),
        transport: Transport::Direct.into(),
        ..Endpoint::default()
    }
}

pub(super) fn endpoints(addresses: &[&str]) -> Resource {
    Resource::Endpoints(Endpoints {
        endpoints: addresses.iter().map(|address| endpoint(address)).collect(),
        balancing: None,
    })
}

pub(super) fn delta(base_version: &str, upserted: &[&str], removed: &[&str]) -> Resource {
    Resource::EndpointsDelta(EndpointsDelta {
        base_version: base_version.to_owned(),
        upserted: upserted.iter().map(|address| endpoint(address)).collect(),
        removed: removed.iter().map(|address| format!("{address}:8080")).collect(),
    })
}

pub(super) fn trust(roots: &[Vec<u8>]) -> Resource {
    let domain =
        TrustDomain { mesh: "default".to_owned(), trust_domain: "td.example".to_owned(), anchors: roots.to_vec() };
    Resource::Trust(Trust { domains: vec![domain], ..Trust::default() })
}

/// As `trust`, with the generation that signs now and how long proxies may take to follow it.
pub(crate) fn trust_with_issuer(anchors: &[Vec<u8>], issuer: &str, renew_within: Duration) -> Resource {
    let Resource::Trust(trust) = trust(anchors) else { unreachable!("made as trust") };
    let renew_within_ms = u64::try_from(renew_within.as_millis()).unwrap();
    Resource::Trust(Trust { issuer: issuer.to_owned(), renew_within_ms, ..trust })
}
