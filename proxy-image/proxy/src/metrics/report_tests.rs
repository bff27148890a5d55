use std::collections::HashMap;
use std::time::Duration;

use weft_control::Counted;
use weft_control::wire::telemetry::ReportRequest;

use super::*;

const MS: u64 = 1_000_000;

fn labels(name: &str) -> SeriesLabels {
    LabelBuilder::new(Direction::Inbound).with("name", name).build()
}

/// An operator: adds reports up, by the names that the stream has given.
#[derive(Default)]
struct Operator {
    names: HashMap<u32, String>,
    begun: HashMap<String, u64>,
    responses: HashMap<(String, u32, Option<u32>), u64>,
    read: f64,
    closed: u64,
}

impl Operator {
    fn stream(&mut self, report: &mut Report) {
        self.names.clear();
        report.begin();
    }

    fn count(&mut self, report: &ReportRequest) {
        self.names.extend(report.names.iter().map(|name| (name.id, name.labels.clone())));
        for requests in &report.requests {
            let name = &self.names[&requests.name];
            *self.begun.entry(name.clone()).or_default() += u64::from(requests.begun);
            for responses in &requests.responses {
                let kind = (name.clone(), responses.status, responses.grpc_status);
                let count: u32 = responses.buckets.chunks(2).map(|pair| pair[1]).sum();
                *self.responses.entry(kind).or_default() += u64::from(count);
            }
        }
        for connections in &report.connections {
            self.read += connections.read_bytes;
            self.closed += connections.closed.iter().map(|closed| u64::from(closed.count)).sum::<u64>();
        }
    }

    fn begun(&self, name: &str) -> u64 {
        self.begun.get(labels(name).as_str()).copied().unwrap_or(0)
    }
}

fn request(metrics: &Metrics, name: &str, status: u16, latency_ns: u64) {
    let series = metrics.request_series(&labels(name));
    series.begin();
    series.finish(Response::classified(status, None), latency_ns);
}

#[test]
fn a_report_says_what_is_new_and_names_each_label_set_once() {
    let metrics = Metrics::new(Limits::default());
    let mut report = Report::new(&metrics);
    report.begin();
    request(&metrics, "a", 200, 3 * MS + MS / 2);
    request(&metrics, "a", 500, 60_000 * MS);
    let first = report.report();
    assert_eq!(first.names.iter().map(|name| name.labels.as_str()).collect::<Vec<_>>(), [labels("a").as_str()]);
    let [requests] = &*first.requests else { panic!("{:?}", first.requests) };
    assert_eq!(requests.begun, 2);
    let told: Vec<_> = requests
        .responses
        .iter()
        .map(|one| (one.status, one.failure, one.buckets.clone(), one.latency_sum_us))
        .collect();
    assert_eq!(told, [(200, false, vec![3, 1], 3_500.0), (500, true, vec![25, 1], 60_000_000.0)]);
    report.acknowledged();
    assert_eq!(report.report(), ReportRequest::default(), "nothing is new");
    report.acknowledged();
    request(&metrics, "a", 200, 2 * MS);
    let second = report.report();
    assert_eq!(second.names, []);
    assert_eq!(second.requests.iter().map(|one| (one.begun, one.responses.len())).collect::<Vec<_>>(), [(1, 1)]);
}

#[test]
fn a_report_that_was_not_acknowledged_is_the_same_on_the_next_stream_and_what_came_since_is_in_the_next() {
    let metrics = Metrics::new(Limits::default());
    let mut report = Report::new(&metrics);
    let mut operator = Operator::default();
    operator.stream(&mut report);
    request(&metrics, "a", 200, MS);
    let lost = report.report();
    request(&metrics, "a", 200, MS);
    request(&metrics, "b", 200, MS);
    operator.stream(&mut report);
    let again = report.report();
    assert_eq!(again, lost);
    operator.count(&again);
    report.acknowledged();
    assert_eq!((operator.begun("a"), operator.begun("b")), (1, 0));
    operator.count(&report.report());
    report.acknowledged();
    assert_eq!((operator.begun("a"), operator.begun("b")), (2, 1));
}

#[test]
fn connections_are_reported_with_their_bytes_and_ends() {
    let metrics = Metrics::new(Limits::default());
    let mut report = Report::new(&metrics);
    let mut operator = Operator::default();
    operator.stream(&mut report);
    let open = metrics.tcp_series(&labels("a")).open();
    open.add_read(1 << 40);
    operator.count(&report.report());
    report.acknowledged();
    assert_eq!((operator.read, operator.closed), (f64::from(1_u32 << 20) * f64::from(1_u32 << 20), 0));
    open.set_errno("ECONNRESET");
    drop(open);
    operator.count(&report.report());
    assert_eq!(operator.closed, 1);
}

#[test]
fn more_series_than_fit_in_one_report_come_in_turn_even_while_all_go_on_changing() {
    let metrics = Metrics::new(Limits::default());
    let mut report = Report::new(&metrics);
    let mut operator = Operator::default();
    operator.stream(&mut report);
    let names: Vec<_> = (0..1_200).map(|index| index.to_string()).collect();
    for _ in 0..3 {
        names.iter().for_each(|name| request(&metrics, name, 200, MS));
        let one = report.report();
        assert!(one.requests.len() <= 500, "{}", one.requests.len());
        operator.count(&one);
        report.acknowledged();
    }
    assert!(names.iter().all(|name| operator.begun(name) > 0), "somebody was never told");
    for _ in 0..4 {
        operator.count(&report.report());
        report.acknowledged();
    }
    assert!(names.iter().all(|name| operator.begun(name) == 3));
}

#[test]
fn a_series_that_was_dropped_and_made_anew_counts_from_zero() {
    let metrics = Metrics::new(Limits::default());
    let mut report = Report::new(&metrics);
    let mut operator = Operator::default();
    operator.stream(&mut report);
    for _ in 0..5 {
        request(&metrics, "a", 200, MS);
    }
    operator.count(&report.report());
    report.acknowledged();
    metrics.sweep(Duration::ZERO);
    metrics.sweep(Duration::from_hours(1));
    request(&metrics, "a", 200, MS);
    operator.count(&report.report());
    report.acknowledged();
    assert_eq!(operator.begun("a"), 6);
    metrics.sweep(Duration::from_hours(1));
    metrics.sweep(Duration::from_hours(2));
    assert_eq!(report.report(), ReportRequest::default());
    assert!(report.is_empty(), "what is known of dropped series is dropped with them");
}
