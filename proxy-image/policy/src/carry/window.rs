//! Successes and failures of the last while, in a fixed number of buckets.

use std::cell::Cell;
use std::time::Duration;

use super::nanoseconds;

const BUCKETS: usize = 10;

/// Counts over a sliding time, forgotten a tenth of it at a time. The length is an argument, so that it may change.
#[derive(Debug, Default)]
pub struct Window {
    buckets: [Cell<(u32, u32)>; BUCKETS],
    /// Number of the newest bucket since time began.
    newest: Cell<u64>,
}

impl Window {
    /// Counts one.
    pub fn record(&self, failed: bool, length: Duration, now_ns: u64) {
        let bucket = self.turn(length, now_ns);
        if let Some(counts) = self.buckets.get(bucket) {
            let (good, bad) = counts.get();
            let one_more = if failed { (good, bad.saturating_add(1)) } else { (good.saturating_add(1), bad) };
            counts.set(one_more);
        }
    }

    /// Successes and failures of the last `length`.
    #[must_use]
    pub fn counts(&self, length: Duration, now_ns: u64) -> (u32, u32) {
        self.turn(length, now_ns);
        self.buckets.iter().map(Cell::get).fold((0, 0), |(good, bad), (more_good, more_bad)| {
            (more_good.saturating_add(good), more_bad.saturating_add(bad))
        })
    }

    /// Whether less than `permille` of at least `min` were successes.
    #[must_use]
    pub fn below(&self, permille: u32, min: u32, length: Duration, now_ns: u64) -> bool {
        let (good, bad) = self.counts(length, now_ns);
        let all = u64::from(good) + u64::from(bad);
        all >= u64::from(min.max(1)) && u64::from(good) * 1_000 < all * u64::from(permille)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.buckets.iter().for_each(|counts| counts.set((0, 0)));
    }

    /// Empties the buckets that time has passed over; the index of the one for now.
    fn turn(&self, length: Duration, now_ns: u64) -> usize {
        let count = u64::try_from(BUCKETS).unwrap_or(1);
        let number = now_ns / (nanoseconds(length) / count).max(1);
        let steps = number.abs_diff(self.newest.replace(number)).min(count);
        for step in 0..steps {
            if let Some(counts) = self.buckets.get(index(number.wrapping_sub(step) % count)) {
                counts.set((0, 0));
            }
        }
        index(number % count)
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
