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
use crate::metrics::{Counter, LabelBuilder, Metrics, descriptors};

type Key = (Ref, String);

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
        Rc::new(Carrier { policy: Arc::clone(policy), state })
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

impl State {
    fn new(metrics: &Metrics, policy: &RequestPolicy, stamp: u64) -> Self {
        let labels = LabelBuilder::empty().with_ref("policy", &policy.policy).with("rule", &policy.rule).build();
        let counter = |descriptor| metrics.counter(descriptor, &labels);
        Self {
            budget: BudgetState::default(),
            breaker: BreakerState::default(),
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
