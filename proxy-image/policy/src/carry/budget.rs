//! How many further tries all requests of a policy may make together.
//!
//! Without it retries multiply the load of a server that fails because of its load.

use super::Window;
use crate::model::RetryBudget;

/// Requests (good) and their further tries (bad) of the last while.
#[derive(Debug, Default)]
pub struct BudgetState(Window);

impl BudgetState {
    /// A request begins.
    pub fn request(&self, budget: &RetryBudget, now_ns: u64) {
        self.0.record(false, budget.ttl, now_ns);
    }

    /// Takes one further try out of the budget; false when it is used up.
    #[must_use]
    pub fn withdraw(&self, budget: &RetryBudget, now_ns: u64) -> bool {
        let (requests, tries) = self.0.counts(budget.ttl, now_ns);
        let by_share = u64::from(requests) * u64::from(budget.percent) / 100;
        let by_time = u128::from(budget.min_per_second) * budget.ttl.as_millis() / 1_000;
        let allowed = u128::from(by_share) + by_time;
        if u128::from(tries) >= allowed {
            return false;
        }
        self.0.record(true, budget.ttl, now_ns);
        true
    }
}
