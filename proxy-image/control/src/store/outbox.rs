//! What is to be told to the operator.

use std::collections::BTreeSet;

/// A resource that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nack {
    pub(crate) nonce: u64,
    pub(crate) resource: String,
    pub(crate) reason: String,
}

/// Sets rather than a queue: subscribing and letting go in the same breath cancel out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) subscribe: BTreeSet<String>,
    pub(crate) unsubscribe: BTreeSet<String>,
    pub(crate) acks: Vec<u64>,
    pub(crate) nacks: Vec<Nack>,
}

impl Outbox {
    pub(crate) fn subscribe(&mut self, name: String) {
        // Let go but not told yet: the operator still has the subscription, but would not send again what it believes is held.
        // So the pair is sent in order (unsubscribe first) rather than cancelled.
        self.subscribe.insert(name);
    }

    pub(crate) fn unsubscribe(&mut self, name: String) {
        if !self.subscribe.remove(&name) {
            self.unsubscribe.insert(name);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribe.is_empty() && self.unsubscribe.is_empty() && self.acks.is_empty() && self.nacks.is_empty()
    }
}
