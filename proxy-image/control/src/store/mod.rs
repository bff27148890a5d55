//! The resources held, and the rules by which they change; no I/O and no clock.
//!
//! Make before break: an outbound resource is staged until every endpoints resource that it names is held, the one in force stays
//! until then, and what the old one alone needed is let go last. Newest wins: one staged slot per resource. What is to be told to
//! the operator is collected in an `Outbox`, whose size is bounded by what is held.
//!
//! States of an outbound slot: asked (nothing in force) -> staged -> in force -> (staged beside it -> in force)*; `Remove` makes it
//! unknown, still asked; unused for a while it is let go.

#[cfg(any(test, feature = "fuzzing"))]
mod check;
mod endpoints;
mod outbound;
mod outbox;
mod sweep;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use weft_policy::model::Workload;

use crate::types::{Held, Resolution, Stats};
pub(crate) use endpoints::EndpointsChange;
use endpoints::EndpointsSlot;
use outbound::OutboundSlot;
pub(crate) use outbox::{Nack, Outbox};

/// Name of the workload resource.
pub(crate) const WORKLOAD: &str = "workload";
/// Name of the trust resource.
pub(crate) const TRUST: &str = "trust";
/// How many refused resources are remembered for people.
const REFUSED_KEPT: usize = 16;

/// Bounds on what is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Addresses asked about at a time.
    pub(crate) outbounds: usize,
    /// Endpoints resources at a time; what would need one more is refused.
    pub(crate) endpoints: usize,
    /// Endpoints of one resource; a version that has more is refused.
    pub(crate) endpoints_each: usize,
    /// Endpoints of all resources together; a version that would exceed it is refused.
    pub(crate) endpoints_total: usize,
    /// How long an outbound subscription outlives its last user.
    pub(crate) outbound_idle: Duration,
    /// How long an endpoints subscription outlives its last user: weights that go to zero and back should not cost a round trip.
    pub(crate) endpoints_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outbounds: 10_000,
            endpoints: 10_000,
            endpoints_each: 10_000,
            endpoints_total: 100_000,
            outbound_idle: Duration::from_secs(300),
            endpoints_idle: Duration::from_secs(60),
        }
    }
}

/// Everything held.
pub(crate) struct Store {
    limits: Limits,
    /// Without an operator (tests, benches) what is not set is unknown at once.
    answers_unknown: bool,
    workload: watch::Sender<Option<Arc<Workload>>>,
    workload_version: String,
    trust_version: String,
    outbounds: BTreeMap<SocketAddr, OutboundSlot>,
    endpoints: BTreeMap<Arc<str>, EndpointsSlot>,
    pub(crate) outbox: Outbox,
    pub(crate) stats: Stats,
    refused: VecDeque<(String, String)>,
}

impl Store {
    pub(crate) fn new(limits: Limits, answers_unknown: bool) -> Self {
        Self {
            limits,
            answers_unknown,
            workload: watch::Sender::new(None),
            workload_version: String::new(),
            trust_version: String::new(),
            outbounds: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            outbox: Outbox::default(),
            stats: Stats::default(),
            refused: VecDeque::new(),
        }
    }

    pub(crate) fn workload(&self) -> watch::Receiver<Option<Arc<Workload>>> {
        self.workload.subscribe()
    }

    pub(crate) fn set_workload(&mut self, workload: Arc<Workload>, version: String, nonce: u64) {
        self.workload.send_replace(Some(workload));
        self.workload_version = version;
        self.acknowledge(nonce);
    }

    /// The trust resource itself lives with the credentials; its version is needed for the next hello.
    pub(crate) fn set_trust_version(&mut self, version: String, nonce: u64) {
        self.trust_version = version;
        self.acknowledge(nonce);
    }

    /// Keeps what is held and tells the operator why.
    pub(crate) fn refuse(&mut self, nack: Nack) {
        self.stats.nacks += 1;
        if self.refused.len() == REFUSED_KEPT {
            self.refused.pop_front();
        }
        self.refused.push_back((nack.resource.clone(), nack.reason.clone()));
        self.outbox.nacks.push(nack);
    }

    fn acknowledge(&mut self, nonce: u64) {
        self.stats.acks += 1;
        self.outbox.acks.push(nonce);
    }

    /// For the hello of a new stream: every resource in force, with its version.
    pub(crate) fn versions(&self) -> Vec<(String, String)> {
        let fixed = [(WORKLOAD, &self.workload_version), (TRUST, &self.trust_version)];
        let mut versions: Vec<_> =
            fixed.into_iter().map(|(name, version)| (name.to_owned(), version.clone())).collect();
        versions.extend(self.outbounds.iter().map(|(address, slot)| (outbound::name(*address), slot.version.clone())));
        versions.extend(self.endpoints.iter().map(|(name, slot)| (name.to_string(), slot.version.clone())));
        versions.retain(|(_, version)| !version.is_empty());
        versions
    }

    /// Forgets what belonged to a stream that ended, and asks again for what has no version yet.
    pub(crate) fn begin_stream(&mut self) {
        self.outbox = Outbox::default();
        self.unstage_all();
        let asked = self.outbounds.iter().filter(|(_, slot)| slot.version.is_empty());
        self.outbox.subscribe.extend(asked.map(|(address, _)| outbound::name(*address)));
        let asked = self.endpoints.iter().filter(|(_, slot)| slot.subscribed && slot.version.is_empty());
        self.outbox.subscribe.extend(asked.map(|(name, _)| name.to_string()));
    }

    pub(crate) fn stats(&self) -> Stats {
        let endpoints = self.endpoints.values().filter(|slot| slot.is_held()).count();
        Stats { outbounds: self.outbounds.len(), endpoints, ..self.stats.clone() }
    }

    pub(crate) fn held(&self) -> Held {
        let mut versions = self.versions();
        versions.sort();
        Held {
            versions,
            outbounds: self.outbounds.iter().map(|(address, slot)| (*address, slot.resolution())).collect(),
            endpoints: self
                .endpoints
                .iter()
                .filter_map(|(name, slot)| slot.set().map(|set| (name.to_string(), set)))
                .collect(),
            refused: self.refused.iter().cloned().collect(),
        }
    }

    /// The receiver of an address, asked about if it is new.
    pub(crate) fn outbound(&mut self, address: SocketAddr, now: Instant) -> watch::Receiver<Resolution> {
        if let Some(slot) = self.outbounds.get_mut(&address) {
            slot.last_used = now;
            return slot.subscribe();
        }
        if self.outbounds.len() >= self.limits.outbounds && !self.make_room() {
            self.stats.overflows += 1;
            return watch::Sender::new(Resolution::Unknown).subscribe();
        }
        let initial = if self.answers_unknown { Resolution::Unknown } else { Resolution::Pending };
        let slot = OutboundSlot::new(initial, now);
        let receiver = slot.subscribe();
        self.outbounds.insert(address, slot);
        if !self.answers_unknown {
            self.outbox.subscribe(outbound::name(address));
        }
        receiver
    }
}
