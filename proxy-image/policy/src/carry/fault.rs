//! Faults that are injected on purpose, and what makes them stop.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use super::Window;
use crate::http_match::any_matches;
use crate::model::{Abort, Fault};
use crate::request::RequestView;

/// What is looked back for the floor of success.
const FLOOR_WINDOW: Duration = Duration::from_secs(10);
/// Fewer requests than this do not stop a fault.
const FLOOR_REQUESTS: u32 = 10;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// First.
    pub delay: Duration,
    /// Then, instead of sending it.
    pub abort: Option<Abort>,
}

/// What the faults of one policy remember.
#[derive(Debug, Default)]
pub struct FaultState {
    /// Of the policy's requests that were sent.
    window: Window,
    /// Bit i: fault i has stopped because success fell under its floor. It stays so until its policy changes.
    stopped: Cell<u64>,
}

impl FaultState {
    /// A request that was sent has ended.
    pub fn record(&self, failed: bool, now_ns: u64) {
        self.window.record(failed, FLOOR_WINDOW, now_ns);
    }

    /// Fault `index` has stopped by itself.
    #[must_use]
    pub fn has_stopped(&self, index: usize) -> bool {
        index >= 64 || self.stopped.get() & (1 << index) != 0
    }

    fn still_runs(&self, index: usize, fault: &Fault, now_ns: u64) -> bool {
        if self.has_stopped(index) {
            return false;
        }
        let Some(floor) = fault.success_floor_permille else { return true };
        let fell = self.window.below(floor, FLOOR_REQUESTS, FLOOR_WINDOW, now_ns);
        if fell {
            self.stopped.set(self.stopped.get() | (1 << index));
        }
        !fell
    }
}

/// The caller and the moments that a fault is asked with.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// spiffe:// identity of the caller.
    pub identity: &'a str,
    /// By the wall's clock.
    pub wall: SystemTime,
    /// By the steady one.
    pub now_ns: u64,
    /// Uniform over u64.
    pub random: u64,
}

/// The first fault that is meant for this request, if it is among the share that it is for.
#[must_use]
pub fn inject(faults: &[Fault], state: &FaultState, request: &impl RequestView, asked: Asked<'_>) -> Option<Injection> {
    let applies = |(index, fault): &(usize, &Fault)| {
        asked.wall < fault.until
            && any_matches(&fault.matches, request)
            && (fault.identities.is_empty() || fault.identities.iter().any(|wanted| names(wanted, asked.identity)))
            && state.still_runs(*index, fault, asked.now_ns)
    };
    let (_, fault) = faults.iter().enumerate().find(applies)?;
    let point = (u128::from(asked.random) * 1_000_000) >> 64;
    (point < u128::from(fault.share_ppm)).then_some(Injection { delay: fault.delay, abort: fault.abort })
}

/// Whether `wanted`, a spiffe:// URI or the DNS form of one, is this identity.
fn names(wanted: &str, spiffe: &str) -> bool {
    if wanted == spiffe {
        return true;
    }
    let parts = spiffe.strip_prefix("spiffe://").and_then(|rest| {
        let (domain, path) = rest.split_once('/')?;
        let (namespace, account) = path.strip_prefix("ns/")?.split_once("/sa/")?;
        Some((domain, namespace, account))
    });
    let Some((domain, namespace, account)) = parts else { return false };
    wanted
        .strip_prefix(account)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(namespace))
        .and_then(|rest| rest.strip_prefix(".serviceaccount.identity."))
        .and_then(|rest| rest.strip_suffix(domain))
        .is_some_and(|control| control.len() > 1 && control.ends_with('.'))
}
