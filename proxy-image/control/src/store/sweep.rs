//! Letting go of what nobody uses.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Store;

impl Store {
    /// Lets go of what has been unused for long enough; called every few seconds.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let idle = self.limits.outbound_idle;
        let mut lapsed = Vec::new();
        for (address, slot) in &mut self.outbounds {
            if slot.in_use() {
                slot.last_used = now;
            } else if now.saturating_duration_since(slot.last_used) >= idle {
                lapsed.push(*address);
            }
        }
        lapsed.into_iter().for_each(|address| self.forget_outbound(address));
        self.sweep_endpoints(now);
    }

    fn sweep_endpoints(&mut self, now: Instant) {
        let idle = self.limits.endpoints_idle;
        let outbox = &mut self.outbox;
        self.endpoints.retain(|name, slot| {
            if slot.in_use() {
                slot.unused_since = None;
                return true;
            }
            let unused_since = *slot.unused_since.get_or_insert(now);
            let keep = now.saturating_duration_since(unused_since) < idle;
            if !keep && slot.subscribed {
                outbox.unsubscribe(name.to_string());
            }
            keep
        });
    }

    /// The same for endpoints that nobody uses, however short a time, but for the `wanted`.
    pub(super) fn let_go_of_unused_endpoints(&mut self, wanted: &BTreeSet<&str>) {
        let outbox = &mut self.outbox;
        self.endpoints.retain(|name, slot| {
            let keep = slot.in_use() || wanted.contains(&**name);
            if !keep && slot.subscribed {
                outbox.unsubscribe(name.to_string());
            }
            keep
        });
    }

    /// Lets go of the addresses that were unused for longest, a tenth of the bound at once so that the search for them is rare.
    /// False when every one is in use.
    pub(super) fn make_room(&mut self) -> bool {
        let mut unused: Vec<_> = self
            .outbounds
            .iter()
            .filter(|(_, slot)| !slot.in_use())
            .map(|(address, slot)| (slot.last_used, *address))
            .collect();
        unused.sort_unstable();
        let count = (self.limits.outbounds / 10).max(1);
        let freed = unused.into_iter().take(count).map(|(_, address)| self.forget_outbound(address)).count();
        freed > 0
    }
}
