//! Which endpoint gets the next request: power of two choices over a peak-sensitive, failure-aware estimate of latency.
//!
//! Owns the estimate ([`Load`]), the set of endpoints with their estimates ([`Pool`]) and ejection. Imports the domain model only; the
//! clock (`now_ns`, nanoseconds since any fixed moment) and randomness are arguments, so every decision can be replayed.
//!
//! What a plain latency average gets wrong, and what is done here:
//! - A fast 5xx looks like a fast endpoint and draws traffic: a failure never lowers the estimate, raises a failure rate that multiplies the
//!   cost, and a run of failures ejects the endpoint until a single probe succeeds.
//! - An endpoint that stops answering looks as good as its last answer: the time since it last answered anything bounds the estimate from below.
//! - A new endpoint without any estimate draws everything at once: it joins with its peers' mean and takes part in draws ever more often.

mod draw;
mod hash;
mod load;
mod pool;
mod spread;

pub use draw::Draw;
pub use hash::{key_of, key_of_connection};
pub use load::Load;
pub use pool::{Node, Pool};
pub use spread::Spread;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// The constants of balancing. The default is the product's; others are for tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Estimate of an endpoint about which nothing is known, in nanoseconds.
    pub default_rtt_ns: u64,
    /// Time in which an observation loses all but 1/e of its weight.
    pub decay_ns: u64,
    /// Weight of one outcome in the failure rate.
    pub failure_weight: f64,
    /// Cost factor of an endpoint that always fails, less one.
    pub failure_penalty: f64,
    /// A new endpoint's share rises over this time.
    pub slow_start_ns: u64,
    /// Failures in a row that eject an endpoint.
    pub eject_after: u32,
    /// First time until a probe; doubles with each failed probe.
    pub eject_ns: u64,
    /// Longest time until a probe.
    pub eject_max_ns: u64,
    /// First time that an endpoint which refused a connection is tried last; doubles.
    pub connect_backoff_ns: u64,
    /// Longest such time.
    pub connect_backoff_max_ns: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            default_rtt_ns: 30 * MS,
            decay_ns: 10_000 * MS,
            failure_weight: 0.1,
            failure_penalty: 50.0,
            slow_start_ns: 10_000 * MS,
            eject_after: 5,
            eject_ns: 1_000 * MS,
            eject_max_ns: 30_000 * MS,
            connect_backoff_ns: 100 * MS,
            connect_backoff_max_ns: 10_000 * MS,
        }
    }
}

/// What is compared between two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Latency times work in hand: requests.
    PeakEwma,
    /// Work in hand, and what is held: connections of bytes and upgraded ones, whose length says nothing about the endpoint.
    LeastPending,
}

/// Why an endpoint was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A run of failures.
    Failures,
    /// Too few of its requests succeed.
    SuccessRate,
    /// It was ejected already, and its probe failed.
    Probe,
}

impl Cause {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Failures, Self::SuccessRate, Self::Probe];

    /// For metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Failures => "consecutive_failures",
            Self::SuccessRate => "success_rate",
            Self::Probe => "failed_probe",
        }
    }
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// From sending to the response's head, in nanoseconds.
    pub latency_ns: u64,
    /// 5xx, a failure status of gRPC, a reset or a timeout.
    pub failed: bool,
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod spread_tests;
#[cfg(test)]
mod tests;
