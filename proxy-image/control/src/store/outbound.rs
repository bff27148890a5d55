//! Outbound resources: asked for by address, staged until complete, then in force.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use weft_policy::model::{BackendTarget, Outbound, OutboundKind};

use super::{Nack, Store};
use crate::types::Resolution;

/// Names of the endpoints resources that an outbound resource needs.
pub(super) type Names = BTreeSet<Arc<str>>;

/// One address.
pub(crate) struct OutboundSlot {
    sender: watch::Sender<Resolution>,
    /// Of what is in force; empty while nothing is.
    pub(super) version: String,
    pub(super) needs: Names,
    pub(super) staged: Option<Staged>,
    pub(super) last_used: Instant,
}

pub(super) struct Staged {
    outbound: Arc<Outbound>,
    version: String,
    nonce: u64,
    pub(super) needs: Names,
}

/// The resource's name: `outbound/<ip>:<port>`, IPv6 in brackets.
pub(crate) fn name(address: SocketAddr) -> String {
    format!("outbound/{address}")
}

fn needs(outbound: &Outbound) -> Names {
    let routed = match &outbound.kind {
        OutboundKind::Routed(routed) => Some(routed),
        OutboundKind::Endpoint(_) => outbound.named.as_ref(),
        OutboundKind::PassThrough | OutboundKind::Refused(_) => None,
    };
    routed
        .into_iter()
        .flat_map(|routed| routed.routes.iter().flat_map(|route| &route.backends).chain(&routed.default_backends))
        .filter_map(|backend| match &backend.target {
            BackendTarget::Endpoints(name) => Some(Arc::clone(name)),
            BackendTarget::Error(_) => None,
        })
        .collect()
}

impl OutboundSlot {
    pub(super) fn new(initial: Resolution, now: Instant) -> Self {
        Self {
            sender: watch::Sender::new(initial),
            version: String::new(),
            needs: Names::new(),
            staged: None,
            last_used: now,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Resolution> {
        self.sender.subscribe()
    }

    pub(super) fn resolution(&self) -> Resolution {
        self.sender.borrow().clone()
    }

    pub(super) fn in_use(&self) -> bool {
        self.sender.receiver_count() > 0
    }
}

impl Store {
    /// Stages an outbound resource and asks for the endpoints that it needs; in force at once if all are held.
    pub(crate) fn apply_outbound(&mut self, address: SocketAddr, version: String, nonce: u64, outbound: Outbound) {
        let needs = needs(&outbound);
        if !self.outbounds.contains_key(&address) {
            // Let go while the answer was under way.
            return self.acknowledge(nonce);
        }
        if !self.has_room_for(&needs) {
            let reason = format!("it needs more than the {} endpoints resources of a proxy", self.limits.endpoints);
            return self.refuse(Nack { nonce, resource: name(address), reason });
        }
        let Some(slot) = self.outbounds.get_mut(&address) else { return };
        let staged = Staged { outbound: Arc::new(outbound), version, nonce, needs: needs.clone() };
        let superseded = slot.staged.replace(staged);
        for name in needs {
            self.retain_endpoints(name, address);
        }
        self.release_endpoints(superseded.map(|staged| staged.needs).unwrap_or_default());
        self.publish_if_complete(address);
    }

    /// Unknown from now on, and still asked about.
    pub(crate) fn remove_outbound(&mut self, address: SocketAddr, nonce: u64) {
        if let Some(slot) = self.outbounds.get_mut(&address) {
            slot.version.clear();
            slot.sender.send_replace(Resolution::Unknown);
            let mut released = vec![std::mem::take(&mut slot.needs)];
            released.extend(slot.staged.take().map(|staged| staged.needs));
            released.into_iter().for_each(|names| self.release_endpoints(names));
        }
        self.acknowledge(nonce);
    }

    /// The wait for a first answer is over: unknown until there is one.
    pub(crate) fn give_up(&mut self, address: SocketAddr) {
        let Some(slot) = self.outbounds.get(&address) else { return };
        let given_up = slot.sender.send_if_modified(|resolution| {
            let pending = matches!(resolution, Resolution::Pending);
            if pending {
                *resolution = Resolution::Unknown;
            }
            pending
        });
        self.stats.unanswered += u64::from(given_up);
    }

    pub(super) fn publish_if_complete(&mut self, address: SocketAddr) {
        let Some(slot) = self.outbounds.get_mut(&address) else { return };
        let held = |name: &Arc<str>| self.endpoints.get(name).is_some_and(super::EndpointsSlot::is_held);
        let complete = slot.staged.take_if(|staged| staged.needs.iter().all(held));
        let Some(staged) = complete else { return };
        slot.version = staged.version;
        let released = std::mem::replace(&mut slot.needs, staged.needs);
        slot.sender.send_replace(Resolution::Known(staged.outbound));
        self.release_endpoints(released);
        self.acknowledge(staged.nonce);
    }

    /// What waits for endpoints belongs to the stream that it came on: the next one sends it again.
    pub(super) fn unstage_all(&mut self) {
        let staged: Vec<_> = self.outbounds.values_mut().filter_map(|slot| slot.staged.take()).collect();
        staged.into_iter().for_each(|staged| self.release_endpoints(staged.needs));
    }

    pub(super) fn forget_outbound(&mut self, address: SocketAddr) {
        if let Some(slot) = self.outbounds.remove(&address) {
            self.outbox.unsubscribe(name(address));
            self.release_endpoints(slot.needs);
            self.release_endpoints(slot.staged.map(|staged| staged.needs).unwrap_or_default());
            // Endpoints that never come must not remember everybody who ever asked for them.
            self.endpoints.values_mut().for_each(|slot| slot.waiting.retain(|waiting| *waiting != address));
        }
    }

    fn retain_endpoints(&mut self, name: Arc<str>, address: SocketAddr) {
        let slot = self.endpoints_slot(&name);
        slot.users += 1;
        slot.unused_since = None;
        if !slot.is_held() && !slot.waiting.contains(&address) {
            slot.waiting.push(address);
        }
        if !std::mem::replace(&mut slot.subscribed, true) {
            self.outbox.subscribe(name.to_string());
        }
    }

    /// Only counts down; the sweep lets go of what stays unused.
    fn release_endpoints(&mut self, names: Names) {
        for name in names {
            if let Some(slot) = self.endpoints.get_mut(&name) {
                slot.users = slot.users.saturating_sub(1);
            }
        }
    }
}
