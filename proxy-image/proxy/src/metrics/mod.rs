//! What the proxy counts, and how it is told.
//!
//! Owns counters, gauges, histograms, their labels, bounds, the Prometheus text and what the operator is told of them. Imports
//! `weft_policy::model` for labels, `weft_control` for the messages to the operator, and nothing else of the project. One thread: cells instead of atomics, and a series is resolved once (per connection, route or endpoint) and
//! held, so that a request pays for additions only, never for a hash or an allocation.
//!
//! Bounds: each family holds at most [`Limits::series_per_family`] series; what comes after shares one series labelled
//! `overflow="true"`. A series that nobody has held or looked up for [`Limits::idle`] is dropped by [`Metrics::sweep`].

mod exposition;
mod family;
mod http;
mod labels;
mod process;
mod report;
mod scalar;
mod tcp;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub use exposition::{Exposition, Sampler};
pub use http::{Classification, Direction, Labelled, RequestSeries, Response, classify, classify_grpc};
pub use labels::{LabelBuilder, SeriesLabels, Tls};
pub use process::{BuildInfo, ProcessMetrics};
pub use report::Report;
pub use scalar::{Counter, Descriptor, Gauge, Kind, descriptors};
pub use tcp::{OpenConnection, TcpSeries};

use family::Family;

/// Bounds of the memory that series may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Series of one family; what comes after goes to the overflow series.
    pub series_per_family: usize,
    /// Distinct (status, grpc status, classification, error) of one request series.
    pub responses_per_series: usize,
    /// A series unused for this long is dropped.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series_per_family: 2_000, responses_per_series: 32, idle: Duration::from_mins(10) }
    }
}

type Collector = Box<dyn Fn(&mut Sampler<'_>)>;

/// The registry. Cheap to clone; belongs to one thread.
#[derive(Clone)]
pub struct Metrics(Rc<Registry>);

struct Registry {
    limits: Limits,
    requests: RefCell<Family<RequestSeries>>,
    tcp: RefCell<Family<TcpSeries>>,
    counters: RefCell<Vec<(&'static Descriptor, Family<Counter>)>>,
    gauges: RefCell<Vec<(&'static Descriptor, Family<Gauge>)>>,
    collectors: RefCell<Vec<Collector>>,
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Rc::new(Registry {
            limits,
            requests: RefCell::new(Family::new()),
            tcp: RefCell::new(Family::new()),
            counters: RefCell::default(),
            gauges: RefCell::default(),
            collectors: RefCell::default(),
        }))
    }

    /// `request_total`, `response_total` and `response_latency_ms` under these labels. Resolve once and hold.
    #[must_use]
    pub fn request_series(&self, labels: &SeriesLabels) -> Rc<RequestSeries> {
        let limit = self.0.limits.responses_per_series;
        self.0
            .requests
            .borrow_mut()
            .resolve(labels, self.0.limits.series_per_family, |labels| RequestSeries::new(labels, limit))
    }

    /// The `tcp_*` families under these labels. Resolve once and hold.
    #[must_use]
    pub fn tcp_series(&self, labels: &SeriesLabels) -> Rc<TcpSeries> {
        self.0.tcp.borrow_mut().resolve(labels, self.0.limits.series_per_family, TcpSeries::new)
    }

    /// The counter of a family under these labels. Resolve once and hold where it is hot.
    #[must_use]
    pub fn counter(&self, descriptor: &'static Descriptor, labels: &SeriesLabels) -> Rc<Counter> {
        resolve_scalar(&self.0.counters, descriptor, labels, self.0.limits.series_per_family)
    }

    /// The gauge of a family under these labels.
    #[must_use]
    pub fn gauge(&self, descriptor: &'static Descriptor, labels: &SeriesLabels) -> Rc<Gauge> {
        resolve_scalar(&self.0.gauges, descriptor, labels, self.0.limits.series_per_family)
    }

    /// Adds a source that is asked at each scrape, for values that somebody else keeps (certificate expiry, balancer sizes).
    pub fn collect_from(&self, collector: impl Fn(&mut Sampler<'_>) + 'static) {
        self.0.collectors.borrow_mut().push(Box::new(collector));
    }

    /// Drops series that were idle for [`Limits::idle`] at `now` (time since any fixed moment). Call about once a minute.
    /// A series somebody holds is never dropped.
    pub fn sweep(&self, now: Duration) {
        let idle = self.0.limits.idle;
        self.0.requests.borrow_mut().sweep(now, idle);
        self.0.tcp.borrow_mut().sweep(now, idle);
        for (_, family) in self.0.counters.borrow_mut().iter_mut() {
            family.sweep(now, idle);
        }
        for (_, family) in self.0.gauges.borrow_mut().iter_mut() {
            family.sweep(now, idle);
        }
    }

    /// How many series are kept, overflow series included.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.0.requests.borrow().len()
            + self.0.tcp.borrow().len()
            + self.0.counters.borrow().iter().map(|(_, family)| family.len()).sum::<usize>()
            + self.0.gauges.borrow().iter().map(|(_, family)| family.len()).sum::<usize>()
    }

    /// Visits every request series, for a summary other than the Prometheus text.
    pub fn each_request_series(&self, mut visit: impl FnMut(&RequestSeries)) {
        self.0.requests.borrow().each(|series| visit(series));
    }

    /// The text exposition, written piece by piece so that a scrape never holds the thread for long.
    #[must_use]
    pub fn exposition(&self) -> Exposition {
        Exposition::new(self)
    }

    /// The whole text exposition at once, for tests and small registries.
    #[must_use]
    pub fn render(&self) -> String {
        let mut exposition = self.exposition();
        let mut text = String::new();
        while exposition.write_next(&mut text) {}
        text
    }
}

fn resolve_scalar<T: Default>(
    families: &RefCell<Vec<(&'static Descriptor, Family<T>)>>,
    descriptor: &'static Descriptor,
    labels: &SeriesLabels,
    limit: usize,
) -> Rc<T> {
    let mut families = families.borrow_mut();
    if let Some((_, family)) = families.iter_mut().find(|(known, _)| known.name == descriptor.name) {
        return family.resolve(labels, limit, |_| T::default());
    }
    let mut family = Family::new();
    let series = family.resolve(labels, limit, |_| T::default());
    families.push((descriptor, family));
    series
}

#[cfg(test)]
mod report_tests;
#[cfg(test)]
mod tests;
