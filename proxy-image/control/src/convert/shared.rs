//! Types that several resources share.

use std::net::{IpAddr, SocketAddr};

use weft_policy::model::{Labels, Protocol, Ref};

use super::error::invalid;
use super::{At, ConvertError, missing};
use crate::wire::config as wire;

impl TryFrom<wire::Ref> for Ref {
    type Error = ConvertError;

    fn try_from(wire: wire::Ref) -> Result<Self, ConvertError> {
        let port = u16::try_from(wire.port).map_err(|_| invalid(wire.port, "a port")).at("port")?;
        Ok(Self { group: wire.group, kind: wire.kind, namespace: wire.namespace, name: wire.name, port })
    }
}

pub(super) fn reference(field: &str, wire: Option<wire::Ref>) -> Result<Ref, ConvertError> {
    wire.ok_or_else(|| missing(field)).and_then(|wire| Ref::try_from(wire).at(field))
}

pub(super) fn protocol(value: i32) -> Result<Protocol, ConvertError> {
    let known = wire::Protocol::try_from(value).unwrap_or_default();
    Ok(match known {
        wire::Protocol::Unspecified => return Err(invalid(value, "a protocol that this proxy knows")).at("protocol"),
        wire::Protocol::Detect => Protocol::Detect,
        wire::Protocol::Http1 => Protocol::Http1,
        wire::Protocol::Http2 => Protocol::Http2,
        wire::Protocol::Grpc => Protocol::Grpc,
        wire::Protocol::Opaque => Protocol::Opaque,
        wire::Protocol::Tls => Protocol::Tls,
    })
}

/// In name order whatever order they came in.
pub(super) fn labels(wire: Vec<wire::Label>) -> Labels {
    let mut labels: Vec<_> =
        wire.into_iter().map(|label| (label.name.into_boxed_str(), label.value.into_boxed_str())).collect();
    labels.sort_unstable();
    labels.into()
}

/// A TCP port other than 0.
pub(super) fn port(value: u32) -> Result<u16, ConvertError> {
    u16::try_from(value).ok().filter(|port| *port != 0).ok_or_else(|| invalid(value, "a port from 1 to 65535"))
}

pub(super) fn ip(text: &str) -> Result<IpAddr, ConvertError> {
    text.parse().map_err(|_| invalid(text, "an IP address"))
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, ConvertError> {
    text.parse().map_err(|_| invalid(text, "address:port"))
}

/// A spiffe:// URI of a workload: a trust domain and a path.
pub(super) fn spiffe(identity: String) -> Result<String, ConvertError> {
    let parts = identity.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
    match parts {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => Ok(identity),
        _ => Err(invalid(identity, "spiffe://<trust domain>/<path>")),
    }
}
