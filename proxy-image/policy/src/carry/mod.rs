//! What decides how a request is carried: budgets of retries, breakers, faults, pauses between tries.
//!
//! Each is a small state that outlives the settings it is asked with: a changed TrafficPolicy forgets nothing. Times are nanoseconds since any
//! fixed moment, randomness is an argument.

mod backoff;
mod breaker;
mod budget;
mod fault;
mod window;

pub use backoff::{backoff, patience};
pub use breaker::{Admission, BreakerState};
pub use budget::BudgetState;
pub use fault::{Asked, FaultState, Injection, inject};
pub use window::Window;

use std::sync::Arc;
use std::time::Duration;

use crate::http_match::any_matches;
use crate::model::{RequestPolicy, Retry, Routed};
use crate::request::RequestView;

/// The first policy that matches and its index.
#[must_use]
pub fn select_policy<'a>(routed: &'a Routed, request: &impl RequestView) -> Option<(usize, &'a Arc<RequestPolicy>)> {
    routed.policies.iter().enumerate().find(|(_, policy)| any_matches(&policy.matches, request))
}

/// Whether a request may be sent twice at all. gRPC calls are all POST: naming codes to retry opts them in.
#[must_use]
pub fn may_repeat(retry: &Retry, method: &str, grpc: bool) -> bool {
    if grpc && !retry.grpc_codes.is_empty() {
        return true;
    }
    if retry.methods.is_empty() {
        // RFC 9110 9.2.1.
        return matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
    }
    retry.methods.iter().any(|allowed| allowed == method)
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
