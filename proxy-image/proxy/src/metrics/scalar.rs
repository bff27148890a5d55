//! Counters and gauges, and the families of them that the proxy knows.

use std::cell::Cell;

/// What a family is called and means.
#[derive(Debug)]
pub struct Descriptor {
    /// Metric name, counters with `_total`.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// How to read it.
    pub kind: Kind,
}

impl Descriptor {
    /// A counter's description.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter }
    }

    /// A gauge's description.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge }
    }
}

/// How to read a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Comes and goes.
    Gauge,
    /// Cumulative buckets.
    Histogram,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`; wraps after 2^64.
    pub fn add(&self, n: u64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Comes and goes.
#[derive(Debug, Default)]
pub struct Gauge(Cell<i64>);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// The families that the data path counts in, named as Linkerd's.
pub mod descriptors {
    use super::Descriptor;

    macro_rules! counters {
        ($($(#[$doc:meta])* $id:ident = $name:literal, $help:literal;)*) => {
            $($(#[$doc])* pub static $id: Descriptor = Descriptor::counter($name, $help);)*
        };
    }

    counters! {
        /// `srv_*`, `route_*`, `authz_*`, `tls`, `client_id`.
        INBOUND_HTTP_ALLOW = "inbound_http_authz_allow_total", "Requests that a policy let in.";
        /// `srv_*`, `route_*`, `tls`, `client_id`.
        INBOUND_HTTP_DENY = "inbound_http_authz_deny_total", "Requests that no policy let in.";
        /// `srv_*`, `tls`, `client_id`.
        INBOUND_HTTP_NOT_FOUND = "inbound_http_route_not_found_total", "Requests that no route of their port matched.";
        /// `srv_*`, `authz_*`, `tls`, `client_id`.
        INBOUND_TCP_ALLOW = "inbound_tcp_authz_allow_total", "Connections that a policy let in.";
        /// `srv_*`, `tls`, `client_id`.
        INBOUND_TCP_DENY = "inbound_tcp_authz_deny_total", "Connections that no policy let in.";
        /// `srv_*`, `tls`, `client_id`.
        INBOUND_TCP_TERMINATE = "inbound_tcp_authz_terminate_total", "Connections closed because a policy change withdrew their admission.";
        /// `reason`.
        INBOUND_REFUSED = "inbound_refused_total", "Connections refused before any byte reached the application.";
        /// `reason`.
        OUTBOUND_REFUSED = "outbound_refused_total", "Connections of the application that were refused.";
        /// `error`.
        INBOUND_HTTP_ERRORS = "inbound_http_errors_total", "Requests from peers that the proxy answered itself.";
        /// `error`.
        OUTBOUND_HTTP_ERRORS = "outbound_http_errors_total", "Requests of the application that the proxy answered itself.";
        /// `error`.
        INBOUND_TCP_ERRORS = "inbound_tcp_errors_total", "Connections from peers that failed.";
        /// `error`.
        OUTBOUND_TCP_ERRORS = "outbound_tcp_errors_total", "Connections of the application that failed.";
        /// `result`.
        INBOUND_DETECT = "inbound_tcp_detect_http_results_total", "Outcomes of protocol detection on inbound connections.";
        /// `result`.
        OUTBOUND_DETECT = "outbound_tcp_detect_http_results_total", "Outcomes of protocol detection on outbound connections.";
        /// `policy_*`, `rule`.
        RETRIES = "outbound_http_route_retry_requests_total", "Further tries of requests.";
        /// `policy_*`, `rule`.
        RETRY_SUCCESSES = "outbound_http_route_retry_successes_total", "Requests that succeeded at a further try.";
        /// `policy_*`, `rule`.
        RETRIES_OVER_BUDGET = "outbound_http_route_retry_overflow_total", "Further tries that the budget did not allow.";
        /// `policy_*`, `rule`.
        BREAKER_OPENED = "outbound_http_circuit_opened_total", "Times that the circuit breaker of a policy opened.";
        /// `policy_*`, `rule`.
        POLICY_SHED = "outbound_http_shed_total", "Requests answered 503 because a limit was reached or a circuit was open.";
        /// `policy_*`, `rule`.
        FAULTS = "outbound_http_faults_total", "Faults injected on purpose.";
        /// `srv_*`.
        INBOUND_SHED = "inbound_http_shed_total", "Requests answered 503 because the application had its limit under way.";
        /// `reason`.
        ACCESS_LOG_DROPPED = "access_log_dropped_total", "Access log lines dropped because the reader of the output was too slow.";
    }
}
