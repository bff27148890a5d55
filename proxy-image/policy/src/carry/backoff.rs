//! The pause before a further try.

use std::time::Duration;

use super::nanoseconds;

use crate::model::Retry;

/// Doubles with each try that was made (`tries` is 1 before the first further one) up to its bound; a random half is left out, so that clients
/// that failed together do not come back together. `random` is uniform over u64.
#[must_use]
pub fn backoff(retry: &Retry, tries: u32, random: u64) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = retry.backoff.saturating_mul(factor).min(retry.backoff_max);
    let half = nanoseconds(full / 2);
    Duration::from_nanos(half.saturating_add(part(half, random)))
}

/// How long a server is left in peace that asked for a pause: never less than it asked for, and up to a quarter more, so that those it sent away
/// together do not come back together.
#[must_use]
pub fn patience(asked: Duration, random: u64) -> Duration {
    asked.saturating_add(Duration::from_nanos(part(nanoseconds(asked / 4), random)))
}

/// Evenly from nothing to the whole.
fn part(whole: u64, random: u64) -> u64 {
    u64::try_from((u128::from(random) * u128::from(whole)) >> 64).unwrap_or(0)
}
