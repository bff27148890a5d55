//! What is to be told to the operator.

use std::collections::BTreeSet;

/// Answers that may wait for an operator that does not read; what is held bounds everything else.
const WAITING_ANSWERS: usize = 65_536;

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
    /// The certificate in hand is to be told.
    pub(crate) leaf: bool,
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

    /// More of them wait than a proxy keeps: the operator does not read.
    pub(crate) fn is_stalled(&self) -> bool {
        self.answers() > WAITING_ANSWERS
    }
}

#[cfg(test)]
mod tests {
    use super::{Outbox, WAITING_ANSWERS};

    #[test]
    fn one_answer_too_many_means_that_the_operator_does_not_read() {
        let mut outbox = Outbox { acks: vec![1; WAITING_ANSWERS], ..Outbox::default() };
        assert!(!outbox.is_stalled());
        outbox.acks.push(1);
        assert!(outbox.is_stalled());
    }
}
