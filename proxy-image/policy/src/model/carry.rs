//! How requests are carried: timeouts, retries, breakers, limits and faults. Mirrors `RequestPolicy` of the contract.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use super::{HttpMatch, Ref};

/// How some requests are carried to whatever backend serves them.
#[derive(Clone, Debug, Default)]
pub struct RequestPolicy {
    /// The TrafficPolicy behind it, or the Service whose annotations say so.
    pub policy: Ref,
    /// Name of the rule within it; with `policy` the key under which budgets, breakers and counts are kept.
    pub rule: String,
    /// Alternatives; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// None: nothing is sent again that a server may have seen.
    pub retry: Option<Retry>,
    /// With one, failures count here and against no endpoint.
    pub breaker: Option<Breaker>,
    /// Requests under way at one time; None: no limit.
    pub max_requests: Option<u32>,
    /// The first that applies is injected.
    pub faults: Vec<Fault>,
}

/// None: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request's head to the end of the response, all tries together.
    pub request: Option<Duration>,
    /// From the sending of one try to the head of its response.
    pub per_try: Option<Duration>,
    /// From the end of the request to the end of the response.
    pub response: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
}

/// When a request is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further tries of one request; above 0.
    pub limit: u32,
    /// Response statuses that are tried again.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// The same for gRPC.
    pub grpc_codes: Vec<u16>,
    /// No connection, or one that broke before a response.
    pub on_connection_error: bool,
    /// The head of the response did not come in time.
    pub on_timeout: bool,
    /// Methods that may be sent twice; empty: GET, HEAD, OPTIONS and TRACE.
    pub methods: Vec<String>,
    /// Longest body, in bytes, that is kept to be sent again.
    pub max_body: usize,
    /// What all requests of the policy may spend together.
    pub budget: RetryBudget,
    /// Wait before the first further try; doubled for each.
    pub backoff: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
    /// Longest pause that a server may ask for.
    pub max_retry_after: Duration,
}

/// Further tries that all requests of one policy may make together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Per hundred requests of the last `ttl`.
    pub percent: u32,
    /// Beside that, each second.
    pub min_per_second: u32,
    /// How far is looked back.
    pub ttl: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, min_per_second: 10, ttl: Duration::from_secs(10) }
    }
}

/// When requests are answered without being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub consecutive_failures: Option<u32>,
    /// The rate below which it opens.
    pub success_rate: Option<SuccessRate>,
    /// First pause until a probe; doubled for each that fails.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
}

/// Too small a share of successes over some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuccessRate {
    /// In thousandths.
    pub threshold_permille: u32,
    /// How far is looked back.
    pub window: Duration,
    /// Fewer requests than this say nothing.
    pub min_requests: u32,
}

/// What is done to some requests on purpose.
#[derive(Clone, Debug)]
pub struct Fault {
    /// For labels and the log.
    pub name: String,
    /// Alternatives; empty matches every request of the policy.
    pub matches: Vec<HttpMatch>,
    /// Identities of callers, spiffe:// or DNS form; empty: every caller.
    pub identities: Vec<String>,
    /// Share of the requests in millionths.
    pub share_ppm: u32,
    /// Before the request goes on.
    pub delay: Duration,
    /// Instead of sending it on.
    pub abort: Option<Abort>,
    /// Ends by itself then.
    pub until: SystemTime,
    /// Ends by itself below this share of successes, in thousandths.
    pub success_floor_permille: Option<u32>,
}

/// The answer in a server's stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// For HTTP.
    pub status: u16,
    /// For gRPC.
    pub grpc: u16,
}
