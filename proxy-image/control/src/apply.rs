//! One message of the operator, taken into force or refused.

use std::net::SocketAddr;
use std::sync::Arc;

use prost::Message;
use weft_policy::model::{Outbound, Workload};

use crate::convert::{ConvertError, Trusted, delta};
use crate::handle::Shared;
use crate::store::{EndpointsChange, Nack, Store, TRUST, WORKLOAD};
use crate::trust;
use crate::wire::config::server_message::Kind;
use crate::wire::config::upsert::Resource;
use crate::wire::config::{ServerMessage, Upsert};

/// A nack's reason is for people.
pub(crate) const REASON_BYTES: usize = 1024;
/// Longest name of a resource: `endpoints/`, a namespace, a Service and a port stay far below.
pub(crate) const NAME_BYTES: usize = 512;

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Convert(#[from] ConvertError),
    #[error("the resource is of another kind than its name says, or of a kind that this proxy does not know")]
    Kind,
    #[error("the name is none that this proxy knows")]
    Name,
    #[error("the version is empty")]
    Version,
    #[error("{0} cannot be removed")]
    NotRemovable(&'static str),
}

pub(crate) fn apply(shared: &Shared, message: ServerMessage) {
    let nonce = message.nonce;
    let (name, outcome) = match message.kind {
        Some(Kind::Upsert(upsert)) => (upsert.name.clone(), apply_upsert(shared, nonce, upsert)),
        Some(Kind::Remove(remove)) => {
            let outcome = apply_remove(&mut shared.store(), nonce, &remove.name);
            (remove.name, outcome)
        }
        None => (String::new(), Err(Refusal::Kind)),
    };
    if let Err(refusal) = outcome {
        let reason = cut(refusal.to_string(), REASON_BYTES);
        let resource = cut(name, NAME_BYTES);
        tracing::warn!(resource = %resource, err = %reason, "resource refused");
        shared.store().refuse(Nack { nonce, resource, reason });
    }
    shared.outgoing.notify_one();
}

/// At most `bytes` of the front.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text.shrink_to_fit();
    text
}

/// One encoded `Upsert` without a stream around it; the error is for people.
pub(crate) fn apply_encoded(shared: &Shared, encoded: &[u8]) -> Result<(), String> {
    let upsert = Upsert::decode(encoded).map_err(|error| error.to_string())?;
    apply_upsert(shared, 0, upsert).map_err(|refusal| refusal.to_string())
}

/// The address that an encoded outbound resource is about.
pub(crate) fn outbound_address(encoded: &[u8]) -> Option<SocketAddr> {
    let upsert = Upsert::decode(encoded).ok()?;
    upsert.name.strip_prefix("outbound/")?.parse().ok()
}

fn apply_upsert(shared: &Shared, nonce: u64, upsert: Upsert) -> Result<(), Refusal> {
    let Upsert { name, version, resource } = upsert;
    // An empty version means "nothing held" here and in the hello.
    if version.is_empty() {
        return Err(Refusal::Version);
    }
    let resource = resource.ok_or(Refusal::Kind)?;
    match (kind(&name)?, resource) {
        (Name::Workload, Resource::Workload(wire)) => {
            let workload = Arc::new(Workload::try_from(wire)?);
            shared.store().set_workload(workload, version, nonce);
        }
        (Name::Trust, Resource::Trust(wire)) => {
            trust::received(shared, Trusted::try_from(wire)?);
            shared.store().set_trust_version(version, nonce);
        }
        (Name::Outbound(address), Resource::Outbound(wire)) => {
            let outbound = Outbound::try_from(wire)?;
            shared.store().apply_outbound(address, version, nonce, outbound);
        }
        (Name::Endpoints, Resource::Endpoints(wire)) => {
            let change = EndpointsChange::try_from(wire)?;
            shared.store().apply_endpoints(&name, version, nonce, change);
        }
        (Name::Endpoints, Resource::EndpointsDelta(wire)) => {
            let change = delta(wire)?;
            shared.store().apply_endpoints(&name, version, nonce, change);
        }
        _ => return Err(Refusal::Kind),
    }
    Ok(())
}

fn apply_remove(store: &mut Store, nonce: u64, name: &str) -> Result<(), Refusal> {
    match kind(name)? {
        // Without them the proxy would admit nobody: that is for a new version to say.
        Name::Workload => return Err(Refusal::NotRemovable(WORKLOAD)),
        Name::Trust => return Err(Refusal::NotRemovable(TRUST)),
        Name::Outbound(address) => store.remove_outbound(address, nonce),
        Name::Endpoints => store.remove_endpoints(name, nonce),
    }
    Ok(())
}

enum Name {
    Workload,
    Trust,
    Outbound(SocketAddr),
    Endpoints,
}

fn kind(name: &str) -> Result<Name, Refusal> {
    match name.split_once('/') {
        None if name == WORKLOAD => Ok(Name::Workload),
        None if name == TRUST => Ok(Name::Trust),
        Some(("outbound", address)) => address.parse().map(Name::Outbound).map_err(|_| Refusal::Name),
        Some(("endpoints", rest)) if !rest.is_empty() && name.len() <= NAME_BYTES => Ok(Name::Endpoints),
        _ => Err(Refusal::Name),
    }
}
