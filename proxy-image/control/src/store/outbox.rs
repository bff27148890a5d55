//! What is to be told to the operator.

use std::collections::BTreeSet;

/// A resource that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nack {
    pub(crate) nonce: u64,
    pub(crate) resource: String,
    pub(crate) reason: String,
}

/// Sets rather than a queue, so that what waits is bounded by what is held. Unsubscribe is sent before subscribe.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) subscribe: BTreeSet<String>,
    pub(crate) unsubscribe: BTreeSet<String>,
    pub(crate) acks: Vec<u64>,
    pub(crate) nacks: Vec<Nack>,
}

impl Outbox {
    pub(crate) fn subscribe(&mut self, name: String) {
        // A name that was let go and not told yet stays in both sets: the operator would not send again what it believes is held.
        self.subscribe.insert(name);
    }

    pub(crate) fn unsubscribe(&mut self, name: String) {
        if !self.subscribe.remove(&name) {
            self.unsubscribe.insert(name);
        }
    }

    /// Acknowledgements and refusals that wait to be sent.
    pub(crate) fn answers(&self) -> usize {
        self.acks.len() + self.nacks.len()
    }
}
