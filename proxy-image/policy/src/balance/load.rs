//! The estimate of one endpoint: peak EWMA of latency, requests in hand, failure rate, health.

use std::cell::Cell;
use std::time::Duration;

use super::{Cause, Discipline, Outcome, Tuning};
use crate::carry::{Window, nanoseconds, patience};
use crate::model::SuccessRate;

/// Share of the estimate that survives one better answer, however soon it comes.
const MEMORY: f64 = 0.9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Admitted,
    /// No traffic until this time, then one probe.
    Ejected(u64),
    /// The probe is under way.
    Probing,
    /// The probe's response has begun; admitted at this time unless it fails before.
    Trial(u64),
}

/// What one endpoint's past says about the next request. Single-threaded; all times in nanoseconds.
#[derive(Debug)]
pub struct Load {
    tuning: Cell<Tuning>,
    rtt_ns: Cell<f64>,
    observed_at: Cell<u64>,
    sampled: Cell<bool>,
    pending: Cell<u32>,
    /// Connections of bytes and upgraded ones.
    held: Cell<u32>,
    /// Last time that something was answered, or that waiting began.
    progress_at: Cell<u64>,
    failure_rate: Cell<f64>,
    failure_at: Cell<u64>,
    failures_in_row: Cell<u32>,
    ejections: Cell<u32>,
    health: Cell<Health>,
    connect_failures: Cell<u32>,
    last_until: Cell<u64>,
    /// Until then the server itself asked for patience; no connection changes that.
    wait_until: Cell<u64>,
    /// Of the pause that it asked for last: one draw for all that asked together, or the longest of many would be all that is left of chance.
    wait_random: Cell<u64>,
    /// Start of slow start; None once over or never begun.
    started_at: Cell<Option<u64>>,
    /// Outcomes of the last while, for the success rate.
    window: Window,
    /// Still in the pool; what ended after its removal must not count there.
    member: Cell<bool>,
}

impl Load {
    pub(super) fn new(tuning: Tuning, rtt_ns: f64, now_ns: u64, slow_start: bool) -> Self {
        Self {
            tuning: Cell::new(tuning),
            window: Window::default(),
            rtt_ns: Cell::new(rtt_ns),
            observed_at: Cell::new(now_ns),
            sampled: Cell::new(false),
            pending: Cell::new(0),
            held: Cell::new(0),
            progress_at: Cell::new(now_ns),
            failure_rate: Cell::new(0.0),
            failure_at: Cell::new(now_ns),
            failures_in_row: Cell::new(0),
            ejections: Cell::new(0),
            health: Cell::new(Health::Admitted),
            connect_failures: Cell::new(0),
            last_until: Cell::new(0),
            wait_until: Cell::new(0),
            wait_random: Cell::new(0),
            started_at: Cell::new(slow_start.then_some(now_ns)),
            member: Cell::new(false),
        }
    }

    /// Requests in hand that have no response yet.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.pending.get()
    }

    /// Connections that stay: of bytes, and what was upgraded to something else than requests.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.held.get()
    }

    /// Whether ordinary traffic may go there at all.
    #[must_use]
    pub fn ejected(&self) -> bool {
        self.health.get() != Health::Admitted
    }

    /// The latency estimate as of `now_ns`, never below what the requests in hand have already waited.
    #[must_use]
    pub fn estimate_ns(&self, now_ns: u64) -> f64 {
        let estimate =
            self.rtt_ns.get() * decayed(now_ns.saturating_sub(self.observed_at.get()), self.tuning.get().decay_ns);
        if self.pending.get() == 0 {
            return estimate;
        }
        estimate.max(float(now_ns.saturating_sub(self.progress_at.get())))
    }

    /// The last estimate itself, which does not fade while nobody asks: how quick the endpoint was when it was last used.
    pub(super) fn last_rtt_ns(&self) -> f64 {
        self.rtt_ns.get()
    }

    /// Share of failures among recent outcomes, fading with time so that an endpoint left alone is tried again.
    #[must_use]
    pub fn failure_rate(&self, now_ns: u64) -> f64 {
        let rate = self.failure_rate.get();
        if rate < 1e-6 {
            return 0.0;
        }
        rate * decayed(now_ns.saturating_sub(self.failure_at.get()), self.tuning.get().decay_ns)
    }

    /// What the next request would cost here; only comparable within one discipline.
    #[must_use]
    pub fn cost(&self, now_ns: u64, discipline: Discipline) -> f64 {
        let waiting = f64::from(self.pending.get()) + 1.0;
        let penalty = self.tuning.get().failure_penalty.mul_add(self.failure_rate(now_ns), 1.0);
        match discipline {
            // What a held connection costs its endpoint shows in the latency of the others, or it costs nothing.
            Discipline::PeakEwma => self.estimate_ns(now_ns) * waiting * penalty,
            Discipline::LeastPending => (waiting + f64::from(self.held.get())) * penalty,
        }
    }

    pub(super) fn member(&self) -> bool {
        self.member.get()
    }

    pub(super) fn set_member(&self, member: bool) {
        self.member.set(member);
    }

    pub(super) fn health(&self) -> Health {
        self.health.get()
    }

    pub(super) fn set_health(&self, health: Health) {
        self.health.set(health);
    }

    /// The estimate, if any response stands behind it.
    pub(super) fn known_rtt_ns(&self, now_ns: u64) -> Option<f64> {
        self.sampled.get().then(|| self.estimate_ns(now_ns))
    }

    /// Whether connecting failed, or the server asked for patience, so recently that others go first.
    pub(super) fn tried_last(&self, now_ns: u64) -> bool {
        now_ns < self.last_until.get().max(self.wait_until.get())
    }

    /// 1 when the endpoint takes part in every draw, less while it is new.
    pub(super) fn ramp(&self, now_ns: u64) -> f64 {
        let Some(started) = self.started_at.get() else { return 1.0 };
        let age = now_ns.saturating_sub(started);
        if age >= self.tuning.get().slow_start_ns {
            self.started_at.set(None);
            return 1.0;
        }
        // Begins above nothing, or a lone new endpoint in a busy pool would never be measured.
        (float(age) / float(self.tuning.get().slow_start_ns)).max(0.05)
    }

    pub(super) fn start(&self, now_ns: u64) {
        if self.pending.get() == 0 {
            self.progress_at.set(now_ns);
        }
        self.pending.set(self.pending.get().saturating_add(1));
    }

    /// One request less to wait for.
    pub(super) fn release(&self, now_ns: u64) {
        self.pending.set(self.pending.get().saturating_sub(1));
        self.progress_at.set(now_ns);
    }

    pub(super) fn hold(&self) {
        self.held.set(self.held.get().saturating_add(1));
    }

    pub(super) fn let_go(&self) {
        self.held.set(self.held.get().saturating_sub(1));
    }

    pub(super) fn observe(&self, latency_ns: u64, now_ns: u64) {
        let current = self.rtt_ns.get();
        let weight = decayed(now_ns.saturating_sub(self.observed_at.get()), self.tuning.get().decay_ns).min(MEMORY);
        let sample = float(latency_ns);
        // A peak is believed at once, an improvement over time or over some answers, whichever is sooner: after a single hiccup an endpoint gets
        // few requests, and with time alone those few would have to prove for many seconds what ten of them show.
        let next = if sample > current * weight { sample } else { current.mul_add(weight, sample * (1.0 - weight)) };
        self.rtt_ns.set(next);
        self.observed_at.set(now_ns);
        self.sampled.set(true);
    }

    /// Whoever gave up after `waited_ns` has shown that an answer takes at least that long.
    pub(super) fn given_up(&self, waited_ns: u64, now_ns: u64) {
        if float(waited_ns) > self.estimate_ns(now_ns) {
            self.observe(waited_ns, now_ns);
        }
    }

    /// Other constants from now on; the estimate stays.
    pub(super) fn tune(&self, tuning: Tuning) {
        self.tuning.set(tuning);
    }

    /// An endpoint that asked for a pause is tried last until it is over.
    pub(super) fn wait(&self, asked: Duration, now_ns: u64, random: u64) {
        if now_ns >= self.wait_until.get() {
            self.wait_random.set(random);
        }
        let until = now_ns.saturating_add(nanoseconds(patience(asked, self.wait_random.get())));
        self.wait_until.set(self.wait_until.get().max(until));
    }

    /// Counts the outcome; the cause, when the run of failures is long enough for ejection, or the success rate low enough.
    pub(super) fn judge(&self, outcome: Outcome, rate: Option<SuccessRate>, now_ns: u64) -> Option<Cause> {
        let poor = rate.is_some_and(|rate| {
            self.window.record(outcome.failed, rate.window, now_ns);
            self.window.below(rate.threshold_permille, rate.min_requests, rate.window, now_ns)
        });
        let run = self.count(outcome, now_ns);
        match (outcome.failed, run, poor) {
            (true, true, _) => Some(Cause::Failures),
            (true, false, true) => Some(Cause::SuccessRate),
            _ => None,
        }
    }

    fn count(&self, outcome: Outcome, now_ns: u64) -> bool {
        let rate = self.failure_rate(now_ns);
        let weight = self.tuning.get().failure_weight;
        self.failure_at.set(now_ns);
        if !outcome.failed {
            self.failure_rate.set(rate * (1.0 - weight));
            self.failures_in_row.set(0);
            return false;
        }
        self.failure_rate.set(weight.mul_add(1.0 - rate, rate));
        let row = self.failures_in_row.get().saturating_add(1);
        self.failures_in_row.set(row);
        let limit = self.tuning.get().eject_after;
        limit > 0 && row >= limit
    }

    /// Ejects until the returned time.
    pub(super) fn eject(&self, now_ns: u64) -> u64 {
        let times = self.ejections.get();
        self.ejections.set(times.saturating_add(1));
        let until = now_ns.saturating_add(doubled(self.tuning.get().eject_ns, times, self.tuning.get().eject_max_ns));
        self.health.set(Health::Ejected(until));
        until
    }

    /// Back after a successful probe: known to work, not known to bear its full share.
    pub(super) fn readmit(&self, now_ns: u64) {
        self.health.set(Health::Admitted);
        self.ejections.set(0);
        self.failures_in_row.set(0);
        self.failure_rate.set(0.0);
        self.failure_at.set(now_ns);
        self.window.clear();
        self.started_at.set(Some(now_ns));
    }

    pub(super) fn connect_failed(&self, now_ns: u64) {
        let times = self.connect_failures.get();
        self.connect_failures.set(times.saturating_add(1));
        let backoff = doubled(self.tuning.get().connect_backoff_ns, times, self.tuning.get().connect_backoff_max_ns);
        self.last_until.set(now_ns.saturating_add(backoff));
    }

    pub(super) fn connected(&self) {
        self.connect_failures.set(0);
        self.last_until.set(0);
    }
}

fn doubled(base: u64, times: u32, max: u64) -> u64 {
    base.saturating_mul(1_u64.checked_shl(times.min(32)).unwrap_or(u64::MAX)).min(max)
}

fn decayed(elapsed_ns: u64, decay_ns: u64) -> f64 {
    if elapsed_ns == 0 {
        return 1.0;
    }
    (-float(elapsed_ns) / float(decay_ns.max(1))).exp()
}

/// Nanoseconds as a float: exact up to 104 days, and the estimate needs three digits.
#[allow(clippy::cast_precision_loss)]
fn float(ns: u64) -> f64 {
    ns as f64
}
