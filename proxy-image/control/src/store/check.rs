//! What holds between any two changes; for the fuzzer and for tests.
#![allow(clippy::panic, reason = "an invariant that does not hold is told by panicking")]

use super::{REFUSED_KEPT, Store};
use crate::types::Resolution;

impl Store {
    /// Outbound resources that wait for endpoints.
    pub(crate) fn staged(&self) -> usize {
        self.outbounds.values().filter(|slot| slot.staged.is_some()).count()
    }

    /// Panics where something does not hold.
    pub(crate) fn check(&self) {
        assert!(self.outbounds.len() <= self.limits.outbounds, "more addresses than the bound");
        assert!(self.endpoints.len() <= self.limits.endpoints, "more endpoints resources than the bound");
        assert!(self.refused.len() <= REFUSED_KEPT);
        let held = |name: &std::sync::Arc<str>| self.endpoints.get(name).is_some_and(super::EndpointsSlot::is_held);
        for (address, slot) in &self.outbounds {
            if matches!(slot.resolution(), Resolution::Known(_)) {
                assert!(slot.needs.iter().all(held), "{address} is in force without its endpoints");
                assert!(!slot.version.is_empty());
            }
            if let Some(staged) = &slot.staged {
                let missing: Vec<_> = staged.needs.iter().filter(|name| !held(name)).collect();
                assert!(!missing.is_empty(), "{address} waits for nothing");
                let waits = |name: &&std::sync::Arc<str>| {
                    self.endpoints.get(&***name).is_some_and(|slot| slot.waiting.contains(address))
                };
                assert!(missing.iter().all(waits), "{address} is not woken");
            }
        }
        for (name, slot) in &self.endpoints {
            let uses = |needs: &super::outbound::Names| usize::from(needs.contains(name));
            let users: usize = self
                .outbounds
                .values()
                .map(|outbound| {
                    uses(&outbound.needs) + outbound.staged.as_ref().map_or(0, |staged| uses(&staged.needs))
                })
                .sum();
            assert_eq!(slot.users, users, "{name}");
            assert!(slot.waiting.len() <= self.outbounds.len(), "{name} remembers who no longer waits");
            let sorted = slot.set().is_none_or(|set| set.is_sorted_by(|a, b| a.address < b.address));
            assert!(sorted, "{name} is not in order");
        }
    }
}
