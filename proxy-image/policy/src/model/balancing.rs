//! How requests are spread over the endpoints of one resource. Mirrors `Balancing` of the contract; None is the proxy's own default.

use std::time::Duration;

use super::SuccessRate;

/// How requests are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// Who gets the next one.
    pub algorithm: Algorithm,
    /// What requests are told apart by, for [`Algorithm::RingHash`].
    pub hash_key: Option<HashKey>,
    /// Time in which the share of a new endpoint rises; zero: at once.
    pub slow_start: Option<Duration>,
    /// When an endpoint gets nothing for a while.
    pub ejection: Ejection,
    /// The caller's zone, whose endpoints are preferred; empty: zones mean nothing.
    pub local_zone: String,
}

/// Who gets the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Power of two choices by latency and requests in hand.
    #[default]
    PeakEwma,
    /// Power of two choices by requests in hand.
    LeastRequest,
    /// Equal keys go to one endpoint, and few move when endpoints change.
    RingHash,
    /// In turn.
    RoundRobin,
}

/// What requests are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// Value of this header, lower case.
    Header(String),
    /// Value of this cookie.
    Cookie(String),
    /// The caller's service account.
    Identity,
    /// The caller's pod.
    Source,
}

/// When an endpoint gets no requests for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row; 0: a run of failures ejects nobody.
    pub consecutive_failures: Option<u32>,
    /// The rate below which an endpoint is ejected.
    pub success_rate: Option<SuccessRate>,
    /// First time until a probe.
    pub pause: Option<Duration>,
    /// Longest time until a probe.
    pub pause_max: Option<Duration>,
    /// Share of the endpoints, per hundred, that may be ejected at one time.
    pub max_percent: Option<u32>,
    /// While fewer than this share, per hundred, are usable, all are used; 0: never.
    pub panic_percent: Option<u32>,
}
