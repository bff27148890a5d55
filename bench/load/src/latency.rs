//! Latencies in buckets of less than one per cent: the memory is the same however many there are.

use std::time::Duration;

/// Steps between two powers of two.
const STEPS: u32 = 128;
/// Up to 2^40 ns, about 18 minutes.
const POWERS: u32 = 40;

/// Latencies of one run, and the requests that failed.
#[derive(Clone)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    pub errors: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: vec![0; (STEPS * POWERS) as usize], count: 0, errors: 0 }
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.max(u64::from(STEPS));
    let power = ns.ilog2();
    let shift = power - STEPS.ilog2();
    let step = (ns >> shift) - u64::from(STEPS);
    (shift * STEPS) as usize + usize::try_from(step).unwrap_or_default()
}

/// Upper end of a bucket.
fn value(bucket: usize) -> u64 {
    let (shift, step) = (bucket / STEPS as usize, bucket % STEPS as usize);
    ((u64::from(STEPS) + step as u64 + 1) << shift) - 1
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let index = bucket(ns).min(self.buckets.len() - 1);
        self.buckets[index] += 1;
        self.count += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += others;
        }
        self.count += other.count;
        self.errors += other.errors;
    }

    fn percentile_us(&self, percent: f64) -> f64 {
        let rank = (self.count as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return value(index) as f64 / 1_000.0;
            }
        }
        0.0
    }

    /// One line of JSON.
    pub fn report(&self, elapsed: Duration) {
        println!(
            "{{\"requests\":{},\"seconds\":{:.4},\"p50Us\":{:.1},\"p99Us\":{:.1},\"errors\":{}}}",
            self.count,
            elapsed.as_secs_f64(),
            self.percentile_us(50.0),
            self.percentile_us(99.0),
            self.errors
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_one_per_cent() {
        let mut latencies = Latencies::default();
        for us in 1..=1_000 {
            latencies.record(Duration::from_micros(us));
        }
        assert!((latencies.percentile_us(50.0) - 500.0).abs() < 5.0, "{}", latencies.percentile_us(50.0));
        assert!((latencies.percentile_us(99.0) - 990.0).abs() < 10.0, "{}", latencies.percentile_us(99.0));
    }

    #[test]
    fn every_latency_has_a_bucket_whose_end_is_not_below_it() {
        for ns in [0, 1, 127, 128, 129, 255, 256, 1_000, 999_999, 1 << 39] {
            assert!(value(bucket(ns)) >= ns, "{ns}");
        }
    }
}
