//! The golden signals as differences: what was counted since the operator last said that it has counted it too.
//!
//! Worked out from the counters themselves when a report is due, so that a request pays nothing. For each series that is known to the operator a
//! copy of its counters is kept, and a second one while a report is under way.

use std::cell::Cell;
use std::collections::HashMap;

use weft_control::Counted;
use weft_control::wire::telemetry::{Closed, Connections, Name, ReportRequest, Requests, Responses};

use super::Metrics;
use super::http::{BUCKETS_MS, Classification, RequestSeries, Response, ResponseSeries};
use super::labels::SeriesLabels;
use super::tcp::TcpSeries;

/// Series in one report; others wait for the next, in turn.
const SERIES: usize = 500;

/// Kept counters of all series, of requests and of connections.
pub struct Report {
    metrics: Metrics,
    requests: Told<RequestCounts>,
    tcp: Told<TcpCounts>,
    /// Of the last label set that this stream has named.
    last_name: u32,
    /// A report is not acknowledged yet.
    under_way: bool,
}

#[derive(Default)]
struct Told<C> {
    entries: HashMap<SeriesLabels, Entry<C>>,
    /// Series passed over in the next report, because the last ended with them.
    skip: usize,
}

#[derive(Default)]
struct Entry<C> {
    /// 0: not named on this stream yet.
    name: u32,
    base: C,
    sent: Option<C>,
    seen: Cell<bool>,
}

#[derive(Clone, Default, PartialEq)]
struct RequestCounts {
    begun: u64,
    responses: Vec<ResponseCounts>,
}

#[derive(Clone, PartialEq)]
struct ResponseCounts {
    response: Option<Response>,
    buckets: [u64; BUCKETS_MS.len() + 1],
    latency_sum_us: u64,
}

#[derive(Clone, Default, PartialEq)]
struct TcpCounts {
    opened: u64,
    read: u64,
    written: u64,
    closed: Vec<(&'static str, u64)>,
}

/// What can be told apart from an earlier state of itself.
trait Counts: Clone + Default + PartialEq {
    /// Some counter is smaller than it was: the series was dropped in between and is a new one.
    fn began_anew(&self, base: &Self) -> bool;
}

impl Counts for RequestCounts {
    fn began_anew(&self, base: &Self) -> bool {
        self.begun < base.begun || self.responses.len() < base.responses.len()
    }
}

impl Counts for TcpCounts {
    fn began_anew(&self, base: &Self) -> bool {
        self.opened < base.opened || self.read < base.read || self.written < base.written
    }
}

impl Report {
    /// Of everything that is counted from now on and was before.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            requests: Told::default(),
            tcp: Told::default(),
            last_name: 0,
            under_way: false,
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.requests.entries.is_empty() && self.tcp.entries.is_empty()
    }

    fn take(&mut self) {
        let registry = &self.metrics.0;
        let requests = registry.requests.borrow();
        self.requests
            .take(requests.len(), |visit| requests.each_labelled(|labels, series| visit(labels, series.into())));
        let tcp = registry.tcp.borrow();
        self.tcp.take(tcp.len(), |visit| tcp.each_labelled(|labels, series| visit(labels, series.into())));
    }
}

impl Counted for Report {
    fn begin(&mut self) {
        self.last_name = 0;
        self.requests.entries.values_mut().for_each(|entry| entry.name = 0);
        self.tcp.entries.values_mut().for_each(|entry| entry.name = 0);
    }

    fn report(&mut self) -> ReportRequest {
        if !self.under_way {
            self.take();
            self.under_way = true;
        }
        let mut report = ReportRequest::default();
        let (names, last) = (&mut report.names, &mut self.last_name);
        self.requests.each_sent(names, last, |name, base, sent| report.requests.push(requests(name, base, sent)));
        self.tcp.each_sent(names, last, |name, base, sent| report.connections.push(connections(name, base, sent)));
        report
    }

    fn acknowledged(&mut self) {
        self.under_way = false;
        self.requests.settle();
        self.tcp.settle();
    }
}

impl<C: Counts> Told<C> {
    /// Decides what the next report says: of `total` series, which `each` visits, those that have changed, up to the bound.
    fn take(&mut self, total: usize, each: impl FnOnce(&mut dyn FnMut(&SeriesLabels, C))) {
        let skip = if self.skip < total { self.skip } else { 0 };
        let (mut position, mut taken, mut next) = (0_usize, 0_usize, 0_usize);
        each(&mut |labels, now| {
            let entry = self.entries.entry(labels.clone()).or_default();
            entry.seen.set(true);
            position += 1;
            if now.began_anew(&entry.base) {
                entry.base = C::default();
            }
            if position <= skip || taken >= SERIES || now == entry.base {
                return;
            }
            entry.sent = Some(now);
            taken += 1;
            next = position;
        });
        // All that is left comes next time; with nothing left, the next begins at the first.
        self.skip = if taken >= SERIES { next } else { 0 };
        self.entries.retain(|_, entry| entry.seen.replace(false));
    }

    fn each_sent(&mut self, names: &mut Vec<Name>, last: &mut u32, mut visit: impl FnMut(u32, &C, &C)) {
        for (labels, entry) in &mut self.entries {
            let Some(sent) = &entry.sent else { continue };
            if entry.name == 0 {
                *last = last.saturating_add(1);
                entry.name = *last;
                names.push(Name { id: *last, labels: labels.as_str().to_owned() });
            }
            visit(entry.name, &entry.base, sent);
        }
    }

    fn settle(&mut self) {
        for entry in self.entries.values_mut() {
            if let Some(sent) = entry.sent.take() {
                entry.base = sent;
            }
        }
    }
}

impl From<&RequestSeries> for RequestCounts {
    fn from(series: &RequestSeries) -> Self {
        let mut counts = Self { begun: series.requests(), responses: Vec::new() };
        series.with_responses(|all| counts.responses.extend(all.iter().map(ResponseCounts::from)));
        counts
    }
}

impl From<&ResponseSeries> for ResponseCounts {
    fn from(series: &ResponseSeries) -> Self {
        Self { response: series.response, buckets: series.buckets, latency_sum_us: series.latency_sum_ns / 1_000 }
    }
}

impl From<&TcpSeries> for TcpCounts {
    fn from(series: &TcpSeries) -> Self {
        Self {
            opened: series.opened(),
            read: series.read.get(),
            written: series.written.get(),
            closed: series.closed.borrow().clone(),
        }
    }
}

/// More than fits in one report, after years without an operator, is not told.
fn difference(now: u64, base: u64) -> u32 {
    u32::try_from(now.saturating_sub(base)).unwrap_or(u32::MAX)
}

/// Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn amount(now: u64, base: u64) -> f64 {
    now.saturating_sub(base) as f64
}

fn requests(name: u32, base: &RequestCounts, sent: &RequestCounts) -> Requests {
    let responses = sent.responses.iter().filter_map(|now| {
        let before = base.responses.iter().find(|before| before.response == now.response);
        (before != Some(now)).then(|| responses(now, before))
    });
    Requests { name, begun: difference(sent.begun, base.begun), responses: responses.collect() }
}

fn responses(now: &ResponseCounts, before: Option<&ResponseCounts>) -> Responses {
    let mut buckets = Vec::new();
    for (index, count) in now.buckets.iter().enumerate() {
        let was = before.and_then(|before| before.buckets.get(index)).copied().unwrap_or(0);
        let grown = difference(*count, was);
        if let (Ok(index), 1..) = (u32::try_from(index), grown) {
            buckets.extend([index, grown]);
        }
    }
    let response = now.response;
    Responses {
        status: response.map_or(0, |response| u32::from(response.status)),
        grpc_status: response.and_then(|response| response.grpc).map(u32::from),
        failure: response.is_some_and(|response| response.classification == Classification::Failure),
        error: response.and_then(|response| response.error).unwrap_or_default().to_owned(),
        overflow: response.is_none(),
        buckets,
        latency_sum_us: amount(now.latency_sum_us, before.map_or(0, |before| before.latency_sum_us)),
    }
}

fn connections(name: u32, base: &TcpCounts, sent: &TcpCounts) -> Connections {
    let closed = sent.closed.iter().filter_map(|(errno, count)| {
        let was = base.closed.iter().find(|(known, _)| known == errno).map_or(0, |(_, was)| *was);
        let count = difference(*count, was);
        (count > 0).then(|| Closed { errno: (*errno).to_owned(), count })
    });
    Connections {
        name,
        opened: difference(sent.opened, base.opened),
        closed: closed.collect(),
        read_bytes: amount(sent.read, base.read),
        written_bytes: amount(sent.written, base.written),
    }
}
