//! Where connections go.

use std::sync::Arc;

use weft_policy::model::{
    Backend, BackendTarget, Endpoint, HttpMatch, Outbound, OutboundKind, OutboundRoute, RequestPolicy, Routed,
};

use super::error::{each, invalid};
use super::matches::few_expressions;
use super::shared::{labels, protocol, reference};
use super::{At, ConvertError, missing};
use crate::wire::config as wire;

impl TryFrom<wire::Outbound> for Outbound {
    type Error = ConvertError;

    fn try_from(wire: wire::Outbound) -> Result<Self, ConvertError> {
        use wire::outbound::Kind;
        let kind = match wire.kind.ok_or_else(|| missing("kind"))? {
            Kind::Routed(wire) => OutboundKind::Routed(Routed::try_from(wire).at("routed")?),
            Kind::Endpoint(wire) => OutboundKind::Endpoint(Arc::new(Endpoint::try_from(wire).at("endpoint")?)),
            Kind::PassThrough(_) => OutboundKind::PassThrough,
            Kind::Refused(wire) => OutboundKind::Refused(wire.reason),
        };
        Ok(Self {
            destination: reference("destination", wire.destination)?,
            protocol: protocol(wire.protocol)?,
            kind,
            labels: labels(wire.labels),
            named: wire.named.map(Routed::try_from).transpose().at("named")?,
        })
    }
}

impl TryFrom<wire::Routed> for Routed {
    type Error = ConvertError;

    fn try_from(wire: wire::Routed) -> Result<Self, ConvertError> {
        few_expressions(wire.routes.iter().flat_map(|route| &route.matches)).at("routes")?;
        Ok(Self {
            routes: each("routes", wire.routes, OutboundRoute::try_from)?,
            default_backends: each("default_backends", wire.default_backends, Backend::try_from)?,
            policies: each("policies", wire.policies, |wire| RequestPolicy::try_from(wire).map(Arc::new))?,
        })
    }
}

impl TryFrom<wire::OutboundRoute> for OutboundRoute {
    type Error = ConvertError;

    fn try_from(wire: wire::OutboundRoute) -> Result<Self, ConvertError> {
        Ok(Self {
            route: reference("route", wire.route)?,
            matches: each("matches", wire.matches, HttpMatch::try_from)?,
            backends: each("backends", wire.backends, Backend::try_from)?,
            cede_unavailable: wire.cede_unavailable,
        })
    }
}

impl TryFrom<wire::Backend> for Backend {
    type Error = ConvertError;

    fn try_from(wire: wire::Backend) -> Result<Self, ConvertError> {
        if wire.weight == 0 {
            return Err(invalid(wire.weight, "above 0")).at("weight");
        }
        Ok(Self {
            weight: wire.weight,
            backend: reference("backend", wire.backend)?,
            target: wire.target.ok_or_else(|| missing("target")).and_then(BackendTarget::try_from)?,
            labels: labels(wire.labels),
        })
    }
}

impl TryFrom<wire::backend::Target> for BackendTarget {
    type Error = ConvertError;

    fn try_from(wire: wire::backend::Target) -> Result<Self, ConvertError> {
        use wire::backend::Target;
        match wire {
            Target::Endpoints(name) if name.starts_with("endpoints/") => Ok(Self::Endpoints(name.into())),
            Target::Endpoints(name) => Err(invalid(name, "an endpoints resource")).at("endpoints"),
            Target::ErrorStatus(status) => u16::try_from(status)
                .ok()
                .filter(|status| (400..600).contains(status))
                .map(Self::Error)
                .ok_or_else(|| invalid(status, "a status from 400 to 599"))
                .at("error_status"),
        }
    }
}
