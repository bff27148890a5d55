//! Delays between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Exponential with jitter: a thousand proxies that lost the same operator must not come back in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new((first, longest): (Duration, Duration)) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// `random` in 0..1 spreads the delay over the upper half of its range.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let full = self.first.saturating_mul(1_u32 << self.attempts.min(20)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// In 0..1; good enough to spread timers, not for secrets: the standard library's hash keys are random per process and differ
/// from call to call.
pub(crate) fn jitter() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Evenly drawn from the range.
pub(crate) fn between((low, high): (f64, f64), random: f64) -> f64 {
    low + (high - low) * random
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Duration, between, jitter};

    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new((Duration::from_millis(100), Duration::from_secs(10)));
        let full: Vec<_> = (0..9).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(full, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(50));
    }

    #[test]
    fn jitter_spreads_over_the_whole_range() {
        let mut quarters = [0_u32; 4];
        for _ in 0..4_000 {
            quarters[(jitter() * 4.0) as usize] += 1;
        }
        assert!(quarters.iter().all(|count| *count > 800), "{quarters:?}");
        assert!((between((0.5, 0.7), 0.5) - 0.6).abs() < 1e-9);
    }
}
