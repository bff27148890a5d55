//! The workload resource: what this pod is and whom it lets in.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use weft_policy::model::{
    AccessLog, Authorization, Clients, HttpMatch, InboundPort, InboundRoute, Network, UnknownDestination, Workload,
};

use super::carry::millis;
use super::error::{each, invalid};
use super::matches::few_expressions;
use super::shared::{ip, labels, port, protocol, reference, spiffe};
use super::{At, ConvertError, missing};
use crate::wire::config as wire;

/// What the contract says for an unset detection time.
const DETECT_TIMEOUT_MS: u32 = 10_000;
/// A mesh preamble cannot name a longer one.
const POD_UID_BYTES: usize = 64;

impl TryFrom<wire::Workload> for Workload {
    type Error = ConvertError;

    fn try_from(wire: wire::Workload) -> Result<Self, ConvertError> {
        if wire.pod_uid.is_empty() || wire.pod_uid.len() > POD_UID_BYTES {
            return Err(invalid(wire.pod_uid, "a pod UID of 1 to 64 bytes")).at("pod_uid");
        }
        let rules = wire.ports.iter().chain(&wire.default_port);
        few_expressions(rules.flat_map(|rule| &rule.routes).flat_map(|route| &route.matches)).at("ports")?;
        let default_port = wire.default_port.ok_or_else(|| missing("default_port"))?;
        if default_port.port != 0 {
            return Err(invalid(default_port.port, "0")).at("default_port.port");
        }
        let mut inbound_ports = each("inbound_ports", wire.inbound_ports, port)?;
        inbound_ports.sort_unstable();
        inbound_ports.dedup();
        Ok(Self {
            mesh: wire.mesh,
            namespace: wire.namespace,
            pod: wire.pod,
            pod_uid: wire.pod_uid,
            identity: spiffe(wire.identity).at("identity")?,
            labels: labels(wire.labels),
            ports: ports(wire.ports)?,
            default_port: Arc::new(InboundPort::try_from(default_port).at("default_port")?),
            inbound_ports,
            unknown_destination: unknown_destination(wire.unknown_destination)?,
            access_log: access_log(wire.access_log)?,
            log_level: wire.log_level,
            pod_ips: each("pod_ips", wire.pod_ips, |text| ip(&text))?,
            forwarded_for: wire.forwarded_for,
            detect_timeout_ms: if wire.detect_timeout_ms == 0 { DETECT_TIMEOUT_MS } else { wire.detect_timeout_ms },
            application_ended: wire.application_ended,
        })
    }
}

/// Sorted; each port once, since two rules for one port have no meaning.
fn ports(wire: Vec<wire::InboundPort>) -> Result<Vec<Arc<InboundPort>>, ConvertError> {
    let mut ports = each("ports", wire, |wire| {
        port(wire.port).at("port")?;
        InboundPort::try_from(wire).map(Arc::new)
    })?;
    let mut seen = BTreeSet::new();
    if let Some(repeated) = ports.iter().find(|rule| !seen.insert(rule.port)) {
        return Err(invalid(repeated.port, "given once")).at("ports");
    }
    ports.sort_unstable_by_key(|rule| rule.port);
    Ok(ports)
}

fn unknown_destination(value: i32) -> Result<UnknownDestination, ConvertError> {
    match wire::UnknownDestination::try_from(value).unwrap_or_default() {
        wire::UnknownDestination::Unspecified => {
            Err(invalid(value, "a rule that this proxy knows")).at("unknown_destination")
        }
        wire::UnknownDestination::PassThrough => Ok(UnknownDestination::PassThrough),
        wire::UnknownDestination::Refuse => Ok(UnknownDestination::Refuse),
    }
}

fn access_log(value: i32) -> Result<AccessLog, ConvertError> {
    match wire::AccessLog::try_from(value) {
        Ok(wire::AccessLog::Unspecified | wire::AccessLog::Off) => Ok(AccessLog::Off),
        Ok(wire::AccessLog::Apache) => Ok(AccessLog::Apache),
        Ok(wire::AccessLog::Json) => Ok(AccessLog::Json),
        Err(_) => Err(invalid(value, "a format that this proxy knows")).at("access_log"),
    }
}

impl TryFrom<wire::InboundPort> for InboundPort {
    type Error = ConvertError;

    fn try_from(wire: wire::InboundPort) -> Result<Self, ConvertError> {
        Ok(Self {
            port: u16::try_from(wire.port).map_err(|_| invalid(wire.port, "a port")).at("port")?,
            protocol: protocol(wire.protocol)?,
            server: reference("server", wire.server)?,
            authorizations: each("authorizations", wire.authorizations, Authorization::try_from)?,
            routes: each("routes", wire.routes, InboundRoute::try_from)?,
            unmatched_not_found: wire.unmatched_not_found,
            audit: wire.audit,
            max_requests: (wire.max_requests != 0).then_some(wire.max_requests),
            max_connection_age: (wire.max_connection_age_ms != 0).then(|| millis(wire.max_connection_age_ms)),
        })
    }
}

impl TryFrom<wire::InboundRoute> for InboundRoute {
    type Error = ConvertError;

    fn try_from(wire: wire::InboundRoute) -> Result<Self, ConvertError> {
        Ok(Self {
            route: reference("route", wire.route)?,
            matches: each("matches", wire.matches, HttpMatch::try_from)?,
            authorizations: each("authorizations", wire.authorizations, Authorization::try_from)?,
        })
    }
}

impl TryFrom<wire::Authorization> for Authorization {
    type Error = ConvertError;

    fn try_from(wire: wire::Authorization) -> Result<Self, ConvertError> {
        use wire::authorization::Clients as Wire;
        let clients = match wire.clients.ok_or_else(|| missing("clients"))? {
            Wire::Unauthenticated(_) => Clients::Unauthenticated,
            Wire::UnauthenticatedTls(_) => Clients::UnauthenticatedTls,
            Wire::MeshTls(wire) => Clients::try_from(wire).at("mesh_tls")?,
        };
        Ok(Self {
            authorization: reference("authorization", wire.authorization)?,
            networks: each("networks", wire.networks, Network::try_from)?,
            clients,
        })
    }
}

impl TryFrom<wire::MeshTls> for Clients {
    type Error = ConvertError;

    fn try_from(wire: wire::MeshTls) -> Result<Self, ConvertError> {
        if wire.any {
            return Ok(Self::AnyIdentity);
        }
        let suffixes = each("suffixes", wire.suffixes, |suffix| {
            // Without the dot `b.example` would also admit `ab.example`.
            if suffix.len() > 1 && suffix.starts_with('.') {
                Ok(suffix)
            } else {
                Err(invalid(suffix, "a suffix after a dot"))
            }
        })?;
        let exact = each("identities", wire.identities, |identity| {
            if identity.is_empty() { Err(invalid(identity, "an identity")) } else { Ok(identity) }
        })?;
        Ok(Self::Identities { exact, suffixes })
    }
}

impl TryFrom<wire::Network> for Network {
    type Error = ConvertError;

    fn try_from(wire: wire::Network) -> Result<Self, ConvertError> {
        Ok(Self { cidr: cidr(&wire.cidr).at("cidr")?, except: each("except", wire.except, |text| cidr(&text))? })
    }
}

fn cidr(text: &str) -> Result<IpNet, ConvertError> {
    text.parse::<IpNet>().map(|net| net.trunc()).map_err(|_| invalid(text, "a CIDR"))
}
