//! Balancers that follow the control plane: one per endpoints resource, shared by every connection and protocol.
//!
//! Owns the wiring of `weft_policy::balance` to `weft_control`, the clock and the randomness that it takes, and the guard of a try. Imports
//! those two crates and `metrics`. Nothing here runs by itself: a pick looks whether the endpoints have changed, which costs one
//! atomic load.

mod balancer;
mod picked;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_control::Control;

pub use balancer::Balancer;
pub use picked::{Attachments, Held, Picked};
pub use weft_policy::balance::{Discipline, Outcome, Tuning};

use crate::metrics::{Descriptor, LabelBuilder, Metrics, SeriesLabels};

/// A balancer that nobody has used for this long is forgotten, with its estimates and connections.
const IDLE: Duration = Duration::from_mins(5);

/// Balancers told in a scrape; the rest are told together.
const ROWS: usize = 1_000;

static ENDPOINTS: Descriptor = Descriptor::gauge(
    "outbound_http_balancer_endpoints",
    "Endpoints of each balancer: ready, or ejected after a run of failures.",
);

static EJECTIONS: Descriptor = Descriptor::counter(
    "outbound_http_balancer_ejections_total",
    "Ejections of endpoints of each balancer: after failures in a row, for a poor success rate, or again because a probe failed.",
);

/// What an endpoint is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// `PeakEwma` for a request, `LeastPending` for what is to stay: a connection of bytes, or one that asks to be upgraded.
    pub discipline: Discipline,
    /// What [`Balancer::keyed`] wants told.
    pub key: Option<u64>,
}

/// All balancers of the proxy. Belongs to one thread.
pub struct Balancers {
    control: Control,
    tuning: Tuning,
    named: RefCell<HashMap<Arc<str>, Entry>>,
}

struct Entry {
    balancer: Rc<Balancer>,
    used_at: Cell<u64>,
}

impl Balancers {
    /// None yet.
    #[must_use]
    pub fn new(control: Control) -> Rc<Self> {
        Rc::new(Self { control, tuning: Tuning::default(), named: RefCell::default() })
    }

    /// The balancer over the endpoints resource `name`. Costs a lookup: resolve once per route and hold.
    #[must_use]
    pub fn get(&self, name: &Arc<str>) -> Rc<Balancer> {
        let now = now_ns();
        let mut named = self.named.borrow_mut();
        if let Some(entry) = named.get(name) {
            entry.used_at.set(now);
            return Rc::clone(&entry.balancer);
        }
        let balancer = Rc::new(Balancer::following(Arc::clone(name), self.control.endpoints(name), self.tuning));
        named.insert(Arc::clone(name), Entry { balancer: Rc::clone(&balancer), used_at: Cell::new(now) });
        balancer
    }

    /// Forgets balancers that nobody holds and nobody has asked for in five minutes. Call about once a minute.
    pub fn sweep(&self) {
        let now = now_ns();
        let idle = u64::try_from(IDLE.as_nanos()).unwrap_or(u64::MAX);
        self.named.borrow_mut().retain(|_, entry| {
            if Rc::strong_count(&entry.balancer) > 1 {
                entry.used_at.set(now);
            }
            // Endpoints that are gone take their idle connections with them, traffic or not.
            entry.balancer.refresh(now);
            now.saturating_sub(entry.used_at.get()) < idle
        });
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.named.borrow().len()
    }

    /// None is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells the number of endpoints, and how many were ejected, at every scrape.
    pub fn collect(self: &Rc<Self>, metrics: &Metrics) {
        self.collect_endpoints(metrics);
        self.collect_ejections(metrics);
    }

    fn collect_ejections(self: &Rc<Self>, metrics: &Metrics) {
        let balancers = Rc::clone(self);
        metrics.collect_from(move |sampler| {
            let mut rows: Vec<(SeriesLabels, u64)> = Vec::new();
            let mut rest = None;
            for (index, (name, entry)) in balancers.named.borrow().iter().enumerate() {
                let ejections = entry.balancer.ejections();
                if index >= ROWS {
                    *rest.get_or_insert(0) += ejections.iter().map(|(_, count)| count).sum::<u64>();
                    continue;
                }
                let labels = |reason| LabelBuilder::empty().with("name", name).with("reason", reason).build();
                rows.extend(ejections.into_iter().map(|(cause, count)| (labels(cause.name()), count)));
            }
            rows.sort();
            rows.extend(rest.map(|count| (SeriesLabels::overflow(), count)));
            for (labels, count) in rows {
                sampler.sample(&EJECTIONS, &labels, count);
            }
        });
    }

    fn collect_endpoints(self: &Rc<Self>, metrics: &Metrics) {
        let balancers = Rc::clone(self);
        metrics.collect_from(move |sampler| {
            let mut rows: Vec<(SeriesLabels, usize)> = Vec::new();
            let mut rest = None;
            for (index, (name, entry)) in balancers.named.borrow().iter().enumerate() {
                let (ready, ejected) = entry.balancer.counts();
                if index >= ROWS {
                    *rest.get_or_insert(0) += ready + ejected;
                    continue;
                }
                let labels = |state| LabelBuilder::empty().with("name", name).with("endpoint_state", state).build();
                rows.push((labels("ready"), ready));
                rows.push((labels("ejected"), ejected));
            }
            rows.sort();
            rows.extend(rest.map(|count| (SeriesLabels::overflow(), count)));
            for (labels, count) in rows {
                sampler.sample(&ENDPOINTS, &labels, count);
            }
        });
    }
}

thread_local! {
    static EPOCH: Instant = Instant::now();
    static RANDOM: Cell<u64> = Cell::new(seed());
}

/// Nanoseconds since the thread first asked: the clock of balancers and latencies.
#[must_use]
pub fn now_ns() -> u64 {
    EPOCH.with(|epoch| u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Uniform over u64, quick, not secret (splitmix64 with a seed of the process).
#[must_use]
pub fn random() -> u64 {
    RANDOM.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// The standard library's hasher keys are the only randomness at hand without a dependency.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests;
