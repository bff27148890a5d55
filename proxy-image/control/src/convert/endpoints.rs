//! Endpoints and their changes.

use std::net::SocketAddr;

use weft_policy::model::{Balancing, Endpoint, Transport};

use super::error::{each, invalid};
use super::shared::{ip, labels, port, socket_address, spiffe};
use super::{At, ConvertError};
use crate::store::EndpointsChange;
use crate::wire::config as wire;

impl TryFrom<wire::Endpoints> for EndpointsChange {
    type Error = ConvertError;

    fn try_from(wire: wire::Endpoints) -> Result<Self, ConvertError> {
        let balancing = wire.balancing.map(Balancing::try_from).transpose().at("balancing")?;
        Ok(Self::Full {
            endpoints: each("endpoints", wire.endpoints, Endpoint::try_from)?,
            balancing: balancing.unwrap_or_default(),
        })
    }
}

/// A change on top of a version; whether that is the one held is for the store to say.
pub(crate) fn delta(wire: wire::EndpointsDelta) -> Result<EndpointsChange, ConvertError> {
    Ok(EndpointsChange::Delta {
        base_version: wire.base_version,
        upserted: each("upserted", wire.upserted, Endpoint::try_from)?,
        removed: each("removed", wire.removed, |text| socket_address(&text))?,
    })
}

impl TryFrom<wire::Endpoint> for Endpoint {
    type Error = ConvertError;

    fn try_from(wire: wire::Endpoint) -> Result<Self, ConvertError> {
        let transport = transport(wire.transport)?;
        // Only plain endpoints may do without: mesh TLS to nobody in particular would accept anybody.
        let identity = if wire.identity.is_empty() && transport == Transport::Plain {
            wire.identity
        } else {
            spiffe(wire.identity).at("identity")?
        };
        Ok(Self {
            address: SocketAddr::new(ip(&wire.address).at("address")?, port(wire.port).at("port")?),
            pod_uid: wire.pod_uid,
            identity,
            transport,
            zone: wire.zone,
            labels: labels(wire.labels),
        })
    }
}

fn transport(value: i32) -> Result<Transport, ConvertError> {
    match wire::Transport::try_from(value).unwrap_or_default() {
        wire::Transport::Unspecified => Err(invalid(value, "a transport that this proxy knows")).at("transport"),
        wire::Transport::Plain => Ok(Transport::Plain),
        wire::Transport::Direct => Ok(Transport::Direct),
        wire::Transport::Redirect => Ok(Transport::Redirect),
    }
}
