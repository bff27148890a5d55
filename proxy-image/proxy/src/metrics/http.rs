//! Requests, responses and their latency: `request_total`, `response_total`, `response_latency_ms`.

use std::cell::{Cell, RefCell};

use super::labels::SeriesLabels;

/// Upper bounds of the latency buckets in milliseconds, Linkerd's own, so that its dashboards and rules read ours.
pub(super) const BUCKETS_MS: [u64; 25] = [
    1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000,
    30_000, 40_000, 50_000,
];

const NS_PER_MS: u64 = 1_000_000;

/// Which way a request or connection goes, seen from the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the application.
    Inbound,
    /// From the application.
    Outbound,
}

impl Direction {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Whether a response counts against the success rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// Does not.
    Success,
    /// Does.
    Failure,
}

impl Classification {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// Linkerd's default: 5xx and the gRPC statuses unknown, deadline exceeded, internal, unavailable and data loss are failures.
#[must_use]
pub const fn classify(status: u16, grpc: Option<u16>) -> Classification {
    if status >= 500 {
        return Classification::Failure;
    }
    match grpc {
        Some(code) => classify_grpc(code),
        None => Classification::Success,
    }
}

/// The gRPC half of [`classify`].
#[must_use]
pub const fn classify_grpc(code: u16) -> Classification {
    match code {
        2 | 4 | 13 | 14 | 15 => Classification::Failure,
        _ => Classification::Success,
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status sent to the client; 0 when the exchange ended before one was (the label is left out then).
    pub status: u16,
    /// gRPC status, when the response said one.
    pub grpc: Option<u16>,
    /// Whether it counts as success.
    pub classification: Classification,
    /// Why the proxy answered itself or cut the exchange off: a word from a closed set.
    pub error: Option<&'static str>,
}

impl Response {
    /// A response classified by [`classify`].
    #[must_use]
    pub const fn classified(status: u16, grpc: Option<u16>) -> Self {
        Self { status, grpc, classification: classify(status, grpc), error: None }
    }
}

pub(super) struct ResponseSeries {
    pub(super) response: Option<Response>,
    pub(super) count: u64,
    pub(super) latency_sum_ns: u64,
    /// Not cumulative; the last one holds what exceeds every bound.
    pub(super) buckets: [u64; BUCKETS_MS.len() + 1],
}

impl ResponseSeries {
    fn new(response: Option<Response>) -> Self {
        Self { response, count: 0, latency_sum_ns: 0, buckets: [0; BUCKETS_MS.len() + 1] }
    }

    fn record(&mut self, latency_ns: u64) {
        self.count = self.count.wrapping_add(1);
        self.latency_sum_ns = self.latency_sum_ns.wrapping_add(latency_ns);
        let index = BUCKETS_MS.partition_point(|bound| latency_ns > bound * NS_PER_MS);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket = bucket.wrapping_add(1);
        }
    }
}

/// A view of one kind of response for summaries.
#[derive(Clone, Copy, Debug)]
pub struct Labelled {
    /// None: the overflow of kinds.
    pub response: Option<Response>,
    /// How many.
    pub count: u64,
    /// Sum of latencies.
    pub latency_sum_ns: u64,
}

/// The requests under one label set.
pub struct RequestSeries {
    labels: SeriesLabels,
    limit: usize,
    requests: Cell<u64>,
    responses: RefCell<Vec<ResponseSeries>>,
}

impl RequestSeries {
    pub(super) fn new(labels: SeriesLabels, limit: usize) -> Self {
        Self { labels, limit, requests: Cell::new(0), responses: RefCell::default() }
    }

    /// Counts a request; every call is followed by one [`RequestSeries::finish`].
    pub fn begin(&self) {
        self.requests.set(self.requests.get().wrapping_add(1));
    }

    /// Counts how it ended; the latency reaches from the request's head to the end of the response.
    pub fn finish(&self, response: Response, latency_ns: u64) {
        let mut responses = self.responses.borrow_mut();
        if let Some(series) = responses.iter_mut().find(|series| series.response == Some(response)) {
            return series.record(latency_ns);
        }
        let key = if responses.len() < self.limit { Some(response) } else { None };
        if key.is_none()
            && let Some(overflow) = responses.iter_mut().find(|series| series.response.is_none())
        {
            return overflow.record(latency_ns);
        }
        let mut series = ResponseSeries::new(key);
        series.record(latency_ns);
        responses.push(series);
    }

    /// What the series is about.
    #[must_use]
    pub fn labels(&self) -> &SeriesLabels {
        &self.labels
    }

    /// Requests begun.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Visits each kind of response.
    pub fn each_response(&self, mut visit: impl FnMut(Labelled)) {
        for series in self.responses.borrow().iter() {
            visit(Labelled { response: series.response, count: series.count, latency_sum_ns: series.latency_sum_ns });
        }
    }

    pub(super) fn with_responses(&self, visit: impl FnOnce(&[ResponseSeries])) {
        visit(&self.responses.borrow());
    }
}
