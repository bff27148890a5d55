//! What must hold for every conversation with an operator, however broken; fails by panicking.
//!
//! Compiled for the fuzzer (feature `fuzzing`, see `fuzz/`) and for tests, which replay every input that the fuzzer's corpus keeps; never
//! for the product. It lives inside the crate because what is worth fuzzing is private.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an invariant that does not hold is told by panicking"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use prost::Message;
use tokio::sync::watch;
use weft_policy::model::EndpointSet;

use crate::apply::{NAME_BYTES, REASON_BYTES, apply};
use crate::handle::Shared;
use crate::store::{Limits, Outbox};
use crate::trust::Trust;
use crate::types::Resolution;
use crate::wire::config::ServerMessage;

/// Small, so that the fuzzer reaches them.
const LIMITS: Limits = Limits {
    outbounds: 6,
    endpoints: 5,
    endpoints_each: 4,
    endpoints_total: 8,
    outbound_idle: Duration::from_secs(30),
    endpoints_idle: Duration::from_secs(10),
};
const STEPS: usize = 256;

/// Whatever the operator says and the application does: what is held is consistent and within its bounds, one message changes one resource
/// or is refused with a reason, and a refusal changes nothing.
pub fn config(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    for _ in 0..STEPS {
        let Some((&[step, argument], after)) = rest.split_first_chunk::<2>() else { return };
        rest = after;
        match step % 7 {
            0 => {
                let length = usize::from(argument) + 256 * usize::from(step / 7);
                let (message, after) = rest.split_at(length.min(rest.len()));
                rest = after;
                world.hear(message);
            }
            1 => world.call(argument),
            2 => drop(world.calls.remove(&argument)),
            3 => world.later(argument),
            4 => world.shared.store().begin_stream(),
            5 => world.shared.store().outbox = Outbox::default(),
            _ => world.watch(argument),
        }
        world.shared.store().check();
    }
}

struct World {
    shared: std::sync::Arc<Shared>,
    now: Instant,
    calls: BTreeMap<u8, watch::Receiver<Resolution>>,
    watches: BTreeMap<u8, watch::Receiver<Option<EndpointSet>>>,
}

impl World {
    fn new() -> Self {
        let shared = Shared::new(LIMITS, Trust::default(), false);
        Self { shared, now: Instant::now(), calls: BTreeMap::new(), watches: BTreeMap::new() }
    }

    fn hear(&self, encoded: &[u8]) {
        let Ok(message) = ServerMessage::decode(encoded) else { return };
        let before = self.shared.store().versions();
        let (answers, nacks) = {
            let store = self.shared.store();
            (store.outbox.answers(), store.outbox.nacks.len())
        };
        let staged = self.shared.store().staged();
        apply(&self.shared, message);
        let store = self.shared.store();
        let refused = store.outbox.nacks.get(nacks..).unwrap_or_default();
        let answered = store.outbox.answers() - answers;
        // Endpoints may complete what waited for them, and what waits is answered later.
        assert!(answered <= 1 + staged, "one message, {answered} answers");
        if let [nack] = refused {
            assert_eq!(store.versions(), before, "a refusal changes nothing");
            assert_eq!(answered, 1);
            assert!(nack.reason.len() <= REASON_BYTES && nack.resource.len() <= NAME_BYTES && !nack.reason.is_empty());
        }
        assert!(refused.len() <= 1);
    }

    fn call(&mut self, argument: u8) {
        let address = SocketAddr::from(([10, 0, 0, argument % 16], 80));
        let resolution = self.shared.store().outbound(address, self.now);
        if argument >= 128 {
            self.calls.insert(argument, resolution);
        }
    }

    fn later(&mut self, argument: u8) {
        self.now += Duration::from_secs(u64::from(argument));
        let now = self.now;
        self.shared.store().sweep(now);
    }

    fn watch(&mut self, argument: u8) {
        let name = format!("endpoints/demo/v{}:80", argument % 8);
        let watched = self.shared.store().watch_endpoints(&name);
        if argument >= 128 {
            self.watches.insert(argument % 8, watched);
        } else {
            self.watches.remove(&(argument % 8));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_input_that_the_fuzzer_keeps_passes() {
        let mut count = 0;
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/config")).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            super::config(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }
}
