//! Bounds how often something is logged that a stranger can cause as often as they like.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A bucket of one second's worth of lines, which fills again at that rate.
pub struct Throttle {
    per_second: u32,
    left: Cell<u32>,
    filled: Cell<Instant>,
    omitted: Cell<u64>,
}

impl Throttle {
    /// A full bucket.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        Self { per_second, left: Cell::new(per_second), filled: Cell::new(Instant::now()), omitted: Cell::new(0) }
    }

    /// Whether one more may be logged at `now`: how many were left out since the last that was. None: this one is left out.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let one = Duration::from_secs(1) / self.per_second;
        let passed = now.saturating_duration_since(self.filled.get()).as_nanos() / one.as_nanos().max(1);
        if passed > 0 {
            let passed = u32::try_from(passed).unwrap_or(u32::MAX);
            self.left.set(self.left.get().saturating_add(passed).min(self.per_second));
            // What has begun of the next one counts, unless the bucket ran over anyway.
            let full = self.left.get() == self.per_second;
            self.filled.set(if full { now } else { self.filled.get() + one * passed });
        }
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Some(self.omitted.take())
            }
            None => {
                self.omitted.set(self.omitted.get().saturating_add(1));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_its_count_is_told() {
        let throttle = Throttle::new(10);
        let now = Instant::now();
        let admitted = (0..1000).filter(|_| throttle.admit(now).is_some()).count();
        assert_eq!(admitted, 10);
        assert_eq!(throttle.admit(now + Duration::from_millis(99)), None);
        assert_eq!(throttle.admit(now + Duration::from_millis(101)), Some(991));
        assert_eq!(throttle.admit(now + Duration::from_millis(102)), None);
        let later = now + Duration::from_secs(60);
        assert_eq!(
            (0..20).filter(|_| throttle.admit(later).is_some()).count(),
            10,
            "silence saves up no more than one second's"
        );
    }
}
