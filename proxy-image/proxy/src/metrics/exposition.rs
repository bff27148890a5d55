//! The Prometheus text format, version 0.0.4, written in pieces.

use std::fmt::{Display, Write};
use std::rc::Rc;

use super::Metrics;
use super::http::{BUCKETS_MS, RequestSeries, ResponseSeries};
use super::labels::{SeriesLabels, append};
use super::scalar::{Counter, Descriptor, Gauge, Kind};
use super::tcp::TcpSeries;

/// A piece ends with the first series that takes it past this.
const PIECE: usize = 32 * 1024;

type Rows<T> = Vec<(SeriesLabels, Rc<T>)>;

/// A scrape under way. Holds the series it will print, so a sweep in between takes nothing away.
pub struct Exposition {
    steps: std::vec::IntoIter<Step>,
    current: Option<(Step, usize)>,
    metrics: Metrics,
    collected: bool,
}

enum Step {
    Requests(Rc<Rows<RequestSeries>>),
    Responses(Rc<Rows<RequestSeries>>),
    Latency(Rc<Rows<RequestSeries>>),
    Tcp(Rc<Rows<TcpSeries>>, TcpColumn),
    Counters(&'static Descriptor, Rows<Counter>),
    Gauges(&'static Descriptor, Rows<Gauge>),
}

#[derive(Clone, Copy)]
enum TcpColumn {
    Opened,
    Open,
    Read,
    Written,
    Closed,
}

impl Exposition {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let registry = &metrics.0;
        let requests = Rc::new(registry.requests.borrow().snapshot());
        let tcp = Rc::new(registry.tcp.borrow().snapshot());
        let mut steps = vec![
            Step::Requests(Rc::clone(&requests)),
            Step::Responses(Rc::clone(&requests)),
            Step::Latency(requests),
            Step::Tcp(Rc::clone(&tcp), TcpColumn::Opened),
            Step::Tcp(Rc::clone(&tcp), TcpColumn::Open),
            Step::Tcp(Rc::clone(&tcp), TcpColumn::Closed),
            Step::Tcp(Rc::clone(&tcp), TcpColumn::Read),
            Step::Tcp(tcp, TcpColumn::Written),
        ];
        steps.extend(registry.counters.borrow().iter().map(|(d, family)| Step::Counters(d, family.snapshot())));
        steps.extend(registry.gauges.borrow().iter().map(|(d, family)| Step::Gauges(d, family.snapshot())));
        Self { steps: steps.into_iter(), current: None, metrics: metrics.clone(), collected: false }
    }

    /// Appends the next piece, at most a few kilobytes past 32 KiB; false when there was nothing left to append.
    pub fn write_next(&mut self, text: &mut String) -> bool {
        let end = text.len() + PIECE;
        let start = text.len();
        while text.len() < end {
            if let Some((step, row)) = self.current.as_mut() {
                if *row == 0 && step.rows() > 0 {
                    step.header(text);
                }
                if *row < step.rows() {
                    step.row(*row, text);
                    *row += 1;
                    continue;
                }
                self.current = None;
            }
            match self.steps.next() {
                Some(step) => self.current = Some((step, 0)),
                None if self.collected => break,
                None => {
                    self.collected = true;
                    let mut sampler = Sampler { text, last: "" };
                    for collector in self.metrics.0.collectors.borrow().iter() {
                        collector(&mut sampler);
                    }
                }
            }
        }
        text.len() > start
    }
}

impl Step {
    fn rows(&self) -> usize {
        match self {
            Self::Requests(rows) | Self::Responses(rows) | Self::Latency(rows) => rows.len(),
            Self::Tcp(rows, _) => rows.len(),
            Self::Counters(_, rows) => rows.len(),
            Self::Gauges(_, rows) => rows.len(),
        }
    }

    fn header(&self, text: &mut String) {
        match self {
            Self::Requests(_) => header(text, "request_total", "Requests begun.", Kind::Counter),
            Self::Responses(_) => header(text, "response_total", "Requests ended.", Kind::Counter),
            Self::Latency(_) => header(
                text,
                "response_latency_ms",
                "Milliseconds from a request's head to the end of its response.",
                Kind::Histogram,
            ),
            Self::Tcp(_, column) => match column {
                TcpColumn::Opened => header(text, "tcp_open_total", "Connections opened.", Kind::Counter),
                TcpColumn::Open => header(text, "tcp_open_connections", "Connections open now.", Kind::Gauge),
                TcpColumn::Read => header(text, "tcp_read_bytes_total", "Bytes read from peers.", Kind::Counter),
                TcpColumn::Written => header(text, "tcp_write_bytes_total", "Bytes written to peers.", Kind::Counter),
                TcpColumn::Closed => header(text, "tcp_close_total", "Connections closed.", Kind::Counter),
            },
            Self::Counters(d, _) | Self::Gauges(d, _) => header(text, d.name, d.help, d.kind),
        }
    }

    fn row(&self, index: usize, text: &mut String) {
        match self {
            Self::Requests(rows) => {
                if let Some((labels, series)) = rows.get(index) {
                    sample(text, "request_total", labels, &[], &series.requests());
                }
            }
            Self::Responses(rows) => {
                if let Some((labels, series)) = rows.get(index) {
                    series.with_responses(|all| {
                        for one in all {
                            with_response_labels(one, None, |extra| {
                                sample(text, "response_total", labels, extra, &one.count);
                            });
                        }
                    });
                }
            }
            Self::Latency(rows) => {
                if let Some((labels, series)) = rows.get(index) {
                    series.with_responses(|all| all.iter().for_each(|one| latency(text, labels, one)));
                }
            }
            Self::Tcp(rows, column) => {
                if let Some((labels, series)) = rows.get(index) {
                    tcp_row(text, labels, series, *column);
                }
            }
            Self::Counters(d, rows) => {
                if let Some((labels, series)) = rows.get(index) {
                    sample(text, d.name, labels, &[], &series.get());
                }
            }
            Self::Gauges(d, rows) => {
                if let Some((labels, series)) = rows.get(index) {
                    sample(text, d.name, labels, &[], &series.get());
                }
            }
        }
    }
}

/// Writes samples of values kept elsewhere; a family's samples must follow each other.
pub struct Sampler<'a> {
    text: &'a mut String,
    last: &'static str,
}

impl Sampler<'_> {
    /// Writes one sample; the family's header comes with its first.
    pub fn sample(&mut self, descriptor: &'static Descriptor, labels: &SeriesLabels, value: impl Display) {
        if self.last != descriptor.name {
            header(self.text, descriptor.name, descriptor.help, descriptor.kind);
            self.last = descriptor.name;
        }
        sample(self.text, descriptor.name, labels, &[], &value);
    }
}

fn header(text: &mut String, name: &str, help: &str, kind: Kind) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
}

fn sample(text: &mut String, name: &str, labels: &SeriesLabels, extra: &[(&str, &dyn Display)], value: &dyn Display) {
    text.push_str(name);
    if !labels.as_str().is_empty() || !extra.is_empty() {
        text.push('{');
        append(text, labels, extra);
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// Calls `write` with the labels of one kind of response, and `le` where there is one.
fn with_response_labels(
    series: &ResponseSeries,
    le: Option<&dyn Display>,
    write: impl FnOnce(&[(&str, &dyn Display)]),
) {
    let mut extra: Vec<(&str, &dyn Display)> = Vec::with_capacity(5);
    let classification = series.response.map(|response| response.classification.as_str());
    let status = series.response.map(|response| response.status).filter(|status| *status != 0);
    let grpc = series.response.and_then(|response| response.grpc);
    let error = series.response.and_then(|response| response.error);
    match &classification {
        Some(value) => extra.push(("classification", value)),
        None => extra.push(("overflow", &"true")),
    }
    if let Some(value) = &status {
        extra.push(("status_code", value));
    }
    if let Some(value) = &grpc {
        extra.push(("grpc_status", value));
    }
    if let Some(value) = &error {
        extra.push(("error", value));
    }
    if let Some(value) = le {
        extra.push(("le", value));
    }
    write(&extra);
}

fn latency(text: &mut String, labels: &SeriesLabels, series: &ResponseSeries) {
    const BUCKET: &str = "response_latency_ms_bucket";
    let mut cumulative = 0_u64;
    for (index, count) in series.buckets.iter().enumerate() {
        cumulative = cumulative.wrapping_add(*count);
        let bound = BUCKETS_MS.get(index);
        let le: &dyn Display = bound.map_or(&"+Inf", |bound| bound);
        with_response_labels(series, Some(le), |extra| sample(text, BUCKET, labels, extra, &cumulative));
    }
    let (whole, fraction) = (series.latency_sum_ns / 1_000_000, series.latency_sum_ns / 1_000 % 1_000);
    with_response_labels(series, None, |extra| {
        sample(text, "response_latency_ms_sum", labels, extra, &format_args!("{whole}.{fraction:03}"));
        sample(text, "response_latency_ms_count", labels, extra, &series.count);
    });
}

fn tcp_row(text: &mut String, labels: &SeriesLabels, series: &TcpSeries, column: TcpColumn) {
    match column {
        TcpColumn::Opened => sample(text, "tcp_open_total", labels, &[], &series.opened.get()),
        TcpColumn::Open => sample(text, "tcp_open_connections", labels, &[], &series.open.get()),
        TcpColumn::Read => sample(text, "tcp_read_bytes_total", labels, &[], &series.read.get()),
        TcpColumn::Written => sample(text, "tcp_write_bytes_total", labels, &[], &series.written.get()),
        TcpColumn::Closed => {
            for (errno, count) in series.closed.borrow().iter() {
                sample(text, "tcp_close_total", labels, &[("errno", errno)], count);
            }
        }
    }
}
