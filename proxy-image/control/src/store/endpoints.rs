//! Endpoints resources: held while an outbound resource names them or somebody watches them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use weft_policy::model::{Balancing, Endpoint, EndpointSet};

use super::{Limits, Nack, Store};

/// One endpoints resource.
pub(crate) struct EndpointsSlot {
    sender: watch::Sender<Option<EndpointSet>>,
    /// Empty while nothing is held.
    pub(super) version: String,
    pub(super) subscribed: bool,
    /// Outbound resources, in force or staged, that name it.
    pub(super) users: usize,
    /// Addresses whose staged outbound may be waiting for this.
    pub(super) waiting: Vec<SocketAddr>,
    pub(super) unused_since: Option<Instant>,
}

/// How a resource changes.
pub enum EndpointsChange {
    /// Everything anew.
    Full { endpoints: Vec<Endpoint>, balancing: Balancing },
    /// On top of the version named.
    Delta { base_version: String, upserted: Vec<Endpoint>, removed: Vec<SocketAddr> },
}

impl EndpointsSlot {
    fn new() -> Self {
        Self {
            sender: watch::Sender::new(None),
            version: String::new(),
            subscribed: false,
            users: 0,
            waiting: Vec::new(),
            unused_since: None,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.sender.borrow().is_some()
    }

    pub(super) fn set(&self) -> Option<EndpointSet> {
        self.sender.borrow().clone()
    }

    fn count(&self) -> usize {
        self.sender.borrow().as_ref().map_or(0, |set| set.len())
    }

    pub(super) fn in_use(&self) -> bool {
        self.users > 0 || self.sender.receiver_count() > 0
    }
}

impl Store {
    /// The receiver of a resource. Watching alone asks for nothing: an outbound resource that names it does.
    pub(crate) fn watch_endpoints(&mut self, name: &str) -> watch::Receiver<Option<EndpointSet>> {
        if !self.has_room_for([name]) {
            return watch::Sender::new(None).subscribe();
        }
        self.endpoints_slot(name).sender.subscribe()
    }

    /// Whether the resources `names` are held or can be beside those that are in use.
    pub(super) fn has_room_for<'a, N: AsRef<str> + 'a + ?Sized>(
        &mut self,
        names: impl IntoIterator<Item = &'a N>,
    ) -> bool {
        let wanted: BTreeSet<&str> = names.into_iter().map(AsRef::as_ref).collect();
        let new = wanted.iter().filter(|name| !self.endpoints.contains_key(**name)).count();
        let after = self.endpoints.len() + new;
        if after <= self.limits.endpoints {
            return true;
        }
        let unused = |(name, slot): &(&Arc<str>, &EndpointsSlot)| !slot.in_use() && !wanted.contains(&***name);
        let unused = self.endpoints.iter().filter(unused).count();
        // What is refused all the same takes nobody's place.
        let fits = after - unused <= self.limits.endpoints;
        if fits {
            self.let_go_of_unused_endpoints(&wanted);
        }
        fits
    }

    pub(super) fn endpoints_slot(&mut self, name: &str) -> &mut EndpointsSlot {
        self.endpoints.entry(Arc::from(name)).or_insert_with(EndpointsSlot::new)
    }

    /// Takes a change into force; what waited for it follows.
    pub(crate) fn apply_endpoints(&mut self, name: &str, version: String, nonce: u64, change: EndpointsChange) {
        if !self.has_room_for([name]) {
            let reason = format!("more than the {} endpoints resources of a proxy", self.limits.endpoints);
            return self.refuse(Nack { nonce, resource: name.to_owned(), reason });
        }
        let slot = self.endpoints_slot(name);
        let held = slot.set().unwrap_or_default();
        let mut balancing = Arc::clone(&held.balancing);
        let set = match change {
            EndpointsChange::Full { endpoints, balancing: new } => {
                if *balancing != new {
                    balancing = Arc::new(new);
                }
                keyed(endpoints)
            }
            EndpointsChange::Delta { base_version, .. } if base_version.is_empty() || base_version != slot.version => {
                return self.refuse(Nack { nonce, resource: name.to_owned(), reason: "base".to_owned() });
            }
            EndpointsChange::Delta { upserted, removed, .. } => {
                let mut set: BTreeMap<_, _> = held.iter().map(|held| (held.address, Arc::clone(held))).collect();
                removed.iter().for_each(|address| drop(set.remove(address)));
                set.extend(keyed(upserted));
                set
            }
        };
        let before = slot.set().map_or(0, |set| set.len());
        if let Some(reason) = self.too_many(set.len(), before) {
            return self.refuse(Nack { nonce, resource: name.to_owned(), reason });
        }
        let slot = self.endpoints_slot(name);
        slot.version = version;
        // Endpoints that did not change keep their allocation, so that a balancer may compare by pointer.
        let unchanged = |endpoint: Arc<Endpoint>| match held.binary_search_by_key(&endpoint.address, |one| one.address)
        {
            Ok(index) => held.get(index).filter(|one| **one == endpoint).map_or(endpoint, Arc::clone),
            Err(_) => endpoint,
        };
        let endpoints = set.into_values().map(unchanged).collect();
        slot.sender.send_replace(Some(EndpointSet { endpoints, balancing }));
        self.acknowledge(nonce);
        self.endpoints_held(name);
    }

    /// Why a resource cannot have `count` endpoints in place of `before`.
    fn too_many(&self, count: usize, before: usize) -> Option<String> {
        let Limits { endpoints_each, endpoints_total, .. } = self.limits;
        if count > endpoints_each {
            return Some(format!("{count} endpoints are more than the {endpoints_each} of one resource"));
        }
        // Fewer than before is welcome whatever the rest is.
        let all: usize = self.endpoints.values().map(EndpointsSlot::count).sum();
        let after = all - before + count;
        (count > before && after > endpoints_total)
            .then(|| format!("{after} endpoints are more than the {endpoints_total} that a proxy holds"))
    }

    /// The operator knows no such Service port (any more): held as empty, so that nothing waits for it for ever.
    pub(crate) fn remove_endpoints(&mut self, name: &str, nonce: u64) {
        if let Some(slot) = self.endpoints.get_mut(name) {
            slot.version.clear();
            slot.sender.send_replace(Some(EndpointSet::default()));
        }
        self.acknowledge(nonce);
        self.endpoints_held(name);
    }

    fn endpoints_held(&mut self, name: &str) {
        let waiting = self.endpoints.get_mut(name).map(|slot| std::mem::take(&mut slot.waiting));
        for address in waiting.unwrap_or_default() {
            self.publish_if_complete(address);
        }
    }
}

fn keyed(endpoints: Vec<Endpoint>) -> BTreeMap<SocketAddr, Arc<Endpoint>> {
    endpoints.into_iter().map(|endpoint| (endpoint.address, Arc::new(endpoint))).collect()
}
