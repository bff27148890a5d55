//! A circuit breaker for the requests of one policy.

use std::cell::Cell;

use super::{Window, nanoseconds};
use crate::model::Breaker;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Requests pass.
    #[default]
    Closed,
    /// None passes until then; the next after it is a probe.
    Open { until_ns: u64 },
    /// The probe is under way; should it never end, the next may begin then.
    Probing { until_ns: u64 },
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is sent.
    Pass,
    /// It is answered 503.
    Refuse,
}

/// What a breaker remembers.
#[derive(Debug, Default)]
pub struct BreakerState {
    state: Cell<State>,
    failures_in_row: Cell<u32>,
    /// Pauses since it last closed.
    pauses: Cell<u32>,
    window: Window,
}

impl BreakerState {
    /// Asked for each request before it is sent.
    pub fn admit(&self, breaker: &Breaker, now_ns: u64) -> Admission {
        match self.state.get() {
            State::Closed => Admission::Pass,
            State::Open { until_ns } | State::Probing { until_ns } if now_ns < until_ns => Admission::Refuse,
            State::Open { .. } | State::Probing { .. } => {
                self.state.set(State::Probing { until_ns: now_ns.saturating_add(nanoseconds(breaker.pause_max)) });
                Admission::Pass
            }
        }
    }

    /// A request that was sent has ended; true when this opened the breaker.
    pub fn record(&self, breaker: &Breaker, failed: bool, now_ns: u64) -> bool {
        match (self.state.get(), failed) {
            // Sent before it opened: says nothing that is not known.
            (State::Open { .. }, _) => false,
            (State::Probing { .. }, true) => self.open(breaker, now_ns),
            (State::Probing { .. }, false) => {
                self.close();
                false
            }
            (State::Closed, _) => {
                self.count(breaker, failed, now_ns);
                self.is_bad(breaker, now_ns) && self.open(breaker, now_ns)
            }
        }
    }

    /// A request that was sent ended without saying anything of the server: its client went away. A probe is then the next one.
    pub fn forget(&self, now_ns: u64) {
        if let State::Probing { .. } = self.state.get() {
            self.state.set(State::Open { until_ns: now_ns });
        }
    }

    /// Requests do not pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.get() != State::Closed
    }

    fn count(&self, breaker: &Breaker, failed: bool, now_ns: u64) {
        self.failures_in_row.set(if failed { self.failures_in_row.get().saturating_add(1) } else { 0 });
        if let Some(rate) = &breaker.success_rate {
            self.window.record(failed, rate.window, now_ns);
        }
    }

    fn is_bad(&self, breaker: &Breaker, now_ns: u64) -> bool {
        let run = breaker.consecutive_failures.is_some_and(|limit| self.failures_in_row.get() >= limit);
        run || breaker
            .success_rate
            .is_some_and(|rate| self.window.below(rate.threshold_permille, rate.min_requests, rate.window, now_ns))
    }

    fn open(&self, breaker: &Breaker, now_ns: u64) -> bool {
        let doubled = 1_u64.checked_shl(self.pauses.get().min(32)).unwrap_or(u64::MAX);
        let pause = nanoseconds(breaker.pause).saturating_mul(doubled).min(nanoseconds(breaker.pause_max));
        self.pauses.set(self.pauses.get().saturating_add(1));
        self.state.set(State::Open { until_ns: now_ns.saturating_add(pause) });
        true
    }

    fn close(&self) {
        self.state.set(State::Closed);
        self.failures_in_row.set(0);
        self.pauses.set(0);
        self.window.clear();
    }
}
