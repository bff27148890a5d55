//! The pause before a further try.

use std::time::Duration;

use crate::model::Retry;

/// Doubles with each try that was made (`tries` is 1 before the first further one) up to its bound; a random half is left out, so that clients
/// that failed together do not come back together. `random` is uniform over u64.
#[must_use]
pub fn backoff(retry: &Retry, tries: u32, random: u64) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = retry.backoff.saturating_mul(factor).min(retry.backoff_max);
    let half = u64::try_from(full.as_nanos() / 2).unwrap_or(u64::MAX);
    let jitter = u64::try_from((u128::from(random) * u128::from(half)) >> 64).unwrap_or(0);
    Duration::from_nanos(half.saturating_add(jitter))
}
