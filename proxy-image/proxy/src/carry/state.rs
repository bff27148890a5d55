//! What is remembered of each policy, whatever becomes of its settings.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use weft_policy::carry::{Admission, BreakerState, BudgetState, FaultState};
use weft_policy::model::{Ref, RequestPolicy};

use super::Room;
use crate::balance::now_ns;
use crate::metrics::{Counter, Descriptor, LabelBuilder, Metrics, SeriesLabels, descriptors};

type Key = (Ref, String);

/// Breakers told in a scrape; the open ones of the rest are told together.
const ROWS: usize = 1_000;

static CIRCUIT_OPEN: Descriptor = Descriptor::gauge(
    "outbound_http_circuit_open",
    "Whether the circuit breaker of a policy is open: 1 from its opening until a probe has succeeded.",
);

/// The memory of all policies.
#[derive(Default)]
pub struct Carriers {
    states: RefCell<HashMap<Key, Rc<State>>>,
    room: Room,
    stamps: RandomState,
}

struct State {
    budget: BudgetState,
    breaker: BreakerState,
    /// The policy has one, as it is now.
    breaks: Cell<bool>,
    faults: FaultState,
    /// Of the faults that `faults` is about.
    stamp: u64,
    in_flight: Cell<u32>,
    counters: Counters,
}

struct Counters {
    retries: Rc<Counter>,
    successes: Rc<Counter>,
    over_budget: Rc<Counter>,
    opened: Rc<Counter>,
    shed: Rc<Counter>,
    faults: Rc<Counter>,
}

/// One policy as it is now, with its memory.
pub struct Carrier {
    /// The settings.
    pub policy: Arc<RequestPolicy>,
    state: Rc<State>,
}

/// The right to one request under way.
pub struct Permit(Rc<State>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
    }
}

impl Carriers {
    /// The policy with what is remembered of it. Costs a look-up: once for each version of a destination.
    #[must_use]
    pub fn carrier(&self, metrics: &Metrics, policy: &Arc<RequestPolicy>) -> Rc<Carrier> {
        let key = (policy.policy.clone(), policy.rule.clone());
        let faults: Vec<_> = policy
            .faults
            .iter()
            .map(|fault| (&fault.name, fault.share_ppm, fault.until, fault.success_floor_permille))
            .collect();
        let stamp = self.stamps.hash_one(faults);
        let mut states = self.states.borrow_mut();
        let known = states.get(&key).filter(|state| state.stamp == stamp).map(Rc::clone);
        let state = known.unwrap_or_else(|| {
            // Faults that are set anew begin anew, and all the rest is forgotten with them: that is harmless.
            let made = Rc::new(State::new(metrics, policy, stamp));
            states.insert(key, Rc::clone(&made));
            made
        });
        state.breaks.set(policy.breaker.is_some());
        Rc::new(Carrier { policy: Arc::clone(policy), state })
    }

    /// Tells which breakers are open, at every scrape.
    pub fn collect(self: &Rc<Self>, metrics: &Metrics) {
        let carriers = Rc::clone(self);
        metrics.collect_from(move |sampler| {
            let states = carriers.states.borrow();
            let breakers = || states.iter().filter(|(_, state)| state.breaks.get());
            let open = |state: &State| u64::from(state.breaker.is_open());
            let mut rows: Vec<(SeriesLabels, u64)> =
                breakers().take(ROWS).map(|((policy, rule), state)| (labels(policy, rule), open(state))).collect();
            rows.sort();
            if breakers().nth(ROWS).is_some() {
                let rest = breakers().skip(ROWS).map(|(_, state)| open(state)).sum();
                rows.push((SeriesLabels::overflow(), rest));
            }
            for (labels, open) in rows {
                sampler.sample(&CIRCUIT_OPEN, &labels, open);
            }
        });
    }

    /// Forgets policies that no destination names. Call about once a minute.
    pub fn sweep(&self) {
        self.states.borrow_mut().retain(|_, state| Rc::strong_count(state) > 1);
    }

    /// For bodies that may be sent again.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }
}

fn labels(policy: &Ref, rule: &str) -> SeriesLabels {
    LabelBuilder::empty().with_ref("policy", policy).with("rule", rule).build()
}

impl State {
    fn new(metrics: &Metrics, policy: &RequestPolicy, stamp: u64) -> Self {
        let labels = labels(&policy.policy, &policy.rule);
        let counter = |descriptor| metrics.counter(descriptor, &labels);
        Self {
            budget: BudgetState::default(),
            breaker: BreakerState::default(),
            breaks: Cell::new(false),
            faults: FaultState::default(),
            stamp,
            in_flight: Cell::new(0),
            counters: Counters {
                retries: counter(&descriptors::RETRIES),
                successes: counter(&descriptors::RETRY_SUCCESSES),
                over_budget: counter(&descriptors::RETRIES_OVER_BUDGET),
                opened: counter(&descriptors::BREAKER_OPENED),
                shed: counter(&descriptors::POLICY_SHED),
                faults: counter(&descriptors::FAULTS),
            },
        }
    }
}

impl Carrier {
    /// One request more under way; None past the limit.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        let in_flight = self.state.in_flight.get();
        if self.policy.max_requests.is_some_and(|limit| in_flight >= limit) {
            self.state.counters.shed.increment();
            return None;
        }
        self.state.in_flight.set(in_flight + 1);
        Some(Permit(Rc::clone(&self.state)))
    }

    /// Whether the breaker lets a request pass.
    #[must_use]
    pub fn admits(&self) -> bool {
        let Some(breaker) = &self.policy.breaker else { return true };
        let admitted = self.state.breaker.admit(breaker, now_ns()) == Admission::Pass;
        if !admitted {
            self.state.counters.shed.increment();
        }
        admitted
    }

    /// A request that was sent has ended; None: its end says nothing of the server.
    pub fn ended(&self, failed: Option<bool>) {
        let now = now_ns();
        let Some(failed) = failed else {
            self.state.breaker.forget(now);
            return;
        };
        self.state.faults.record(failed, now);
        if let Some(breaker) = &self.policy.breaker
            && self.state.breaker.record(breaker, failed, now)
        {
            self.state.counters.opened.increment();
            tracing::warn!(policy.name = %self.policy.policy.name, rule = %self.policy.rule, "circuit opened");
        }
    }

    /// Failures count at the policy's own breaker and against no endpoint.
    #[must_use]
    pub fn has_breaker(&self) -> bool {
        self.policy.breaker.is_some()
    }

    /// What the faults remember.
    #[must_use]
    pub fn faults(&self) -> &FaultState {
        &self.state.faults
    }

    /// A fault was injected.
    pub fn injected(&self) {
        self.state.counters.faults.increment();
    }

    pub(super) fn requested(&self) {
        if let Some(retry) = &self.policy.retry {
            self.state.budget.request(&retry.budget, now_ns());
        }
    }

    /// Takes a further try out of the budget.
    pub(super) fn withdraw(&self) -> bool {
        let Some(retry) = &self.policy.retry else { return false };
        let granted = self.state.budget.withdraw(&retry.budget, now_ns());
        let counters = &self.state.counters;
        if granted {
            counters.retries.increment()
        } else {
            counters.over_budget.increment()
        }
        granted
    }

    pub(super) fn succeeded_again(&self) {
        self.state.counters.successes.increment();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Limits;
    use std::time::Duration;
    use weft_policy::model::Breaker;

    fn guarded(name: &str) -> Arc<RequestPolicy> {
        let policy = Ref { name: name.to_owned(), ..Ref::default() };
        let pause = Duration::from_secs(60);
        let breaker = Breaker { consecutive_failures: Some(1), success_rate: None, pause, pause_max: pause };
        Arc::new(RequestPolicy { policy, breaker: Some(breaker), ..RequestPolicy::default() })
    }

    fn scraped(carriers: &Rc<Carriers>) -> Vec<String> {
        let metrics = Metrics::new(Limits::default());
        carriers.collect(&metrics);
        metrics
            .render()
            .lines()
            .filter(|line| line.starts_with("outbound_http_circuit_open"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_breaker_tells_that_it_is_open_and_a_policy_without_one_tells_nothing() {
        let (carriers, metrics) = (Rc::new(Carriers::default()), Metrics::new(Limits::default()));
        let carrier = carriers.carrier(&metrics, &guarded("web"));
        let _without = carriers.carrier(&metrics, &Arc::new(RequestPolicy::default()));
        let row = |open| {
            format!(
                "outbound_http_circuit_open{{policy_group=\"\",policy_kind=\"\",policy_name=\"web\",rule=\"\"}} {open}"
            )
        };
        assert_eq!(scraped(&carriers), [row(0)]);
        carrier.ended(Some(true));
        assert_eq!(scraped(&carriers), [row(1)]);
    }

    #[test]
    fn breakers_past_the_bound_share_one_overflow_row() {
        let (carriers, metrics) = (Rc::new(Carriers::default()), Metrics::new(Limits::default()));
        let held: Vec<_> = (0..ROWS + 7).map(|n| carriers.carrier(&metrics, &guarded(&format!("p{n}")))).collect();
        held.iter().for_each(|carrier| carrier.ended(Some(true)));
        let rows = scraped(&carriers);
        assert_eq!(rows.len(), ROWS + 1);
        assert_eq!(rows.last().map(String::as_str), Some("outbound_http_circuit_open{overflow=\"true\"} 7"));
    }
}
