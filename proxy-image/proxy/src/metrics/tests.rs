use super::http::BUCKETS_MS;
use super::process::{boot_time, max_fds};
use super::*;
use std::sync::Arc;
use weft_policy::model;

const MS: u64 = 1_000_000;

fn labels(name: &str) -> SeriesLabels {
    LabelBuilder::new(Direction::Inbound).with("name", name).build()
}

#[test]
fn the_exposition_of_requests_and_connections_is_this_text() {
    let metrics = Metrics::new(Limits::default());
    let workload: model::Labels = Arc::from([
        (Box::from("deployment"), Box::from("web")),
        (Box::from("direction"), Box::from("ignored: given before")),
    ]);
    let key = LabelBuilder::new(Direction::Inbound)
        .with_all(&workload)
        .with_tls(Tls::Verified, Direction::Inbound, Some("spiffe://m/ns/a/sa/b"))
        .build();
    let series = metrics.request_series(&key);
    for latency in [MS / 2, 5 * MS, 5 * MS + 1, 60_000 * MS] {
        series.begin();
        series.finish(Response::classified(200, None), latency);
    }
    let tcp = metrics.tcp_series(&LabelBuilder::new(Direction::Outbound).with("peer", "dst").build());
    let held = tcp.open();
    held.add_read(10);
    held.add_written(3);
    let gone = tcp.open();
    gone.set_errno("ECONNRESET");
    drop(gone);
    metrics.counter(&descriptors::INBOUND_REFUSED, &LabelBuilder::empty().with("reason", "expired").build()).add(2);
    let text = metrics.render();
    drop(held);

    let base = r#"direction="inbound",deployment="web",tls="true",client_id="spiffe://m/ns/a/sa/b""#;
    let class = r#"classification="success",status_code="200""#;
    let mut want = String::new();
    want.push_str("# HELP request_total Requests begun.\n# TYPE request_total counter\n");
    want.push_str(&format!("request_total{{{base}}} 4\n"));
    want.push_str("# HELP response_total Requests ended.\n# TYPE response_total counter\n");
    want.push_str(&format!("response_total{{{base},{class}}} 4\n"));
    want.push_str("# HELP response_latency_ms Milliseconds from a request's head to the end of its response.\n");
    want.push_str("# TYPE response_latency_ms histogram\n");
    let cumulative = [1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];
    for (bound, count) in BUCKETS_MS.iter().zip(cumulative) {
        want.push_str(&format!("response_latency_ms_bucket{{{base},{class},le=\"{bound}\"}} {count}\n"));
    }
    want.push_str(&format!("response_latency_ms_bucket{{{base},{class},le=\"+Inf\"}} 4\n"));
    want.push_str(&format!("response_latency_ms_sum{{{base},{class}}} 60010.500\n"));
    want.push_str(&format!("response_latency_ms_count{{{base},{class}}} 4\n"));
    let tcp = r#"direction="outbound",peer="dst""#;
    want.push_str("# HELP tcp_open_total Connections opened.\n# TYPE tcp_open_total counter\n");
    want.push_str(&format!("tcp_open_total{{{tcp}}} 2\n"));
    want.push_str("# HELP tcp_open_connections Connections open now.\n# TYPE tcp_open_connections gauge\n");
    want.push_str(&format!("tcp_open_connections{{{tcp}}} 1\n"));
    want.push_str("# HELP tcp_close_total Connections closed.\n# TYPE tcp_close_total counter\n");
    want.push_str(&format!("tcp_close_total{{{tcp},errno=\"ECONNRESET\"}} 1\n"));
    want.push_str("# HELP tcp_read_bytes_total Bytes read from peers.\n# TYPE tcp_read_bytes_total counter\n");
    want.push_str(&format!("tcp_read_bytes_total{{{tcp}}} 10\n"));
    want.push_str("# HELP tcp_write_bytes_total Bytes written to peers.\n# TYPE tcp_write_bytes_total counter\n");
    want.push_str(&format!("tcp_write_bytes_total{{{tcp}}} 3\n"));
    want.push_str("# HELP inbound_refused_total Connections refused before any byte reached the application.\n");
    want.push_str("# TYPE inbound_refused_total counter\ninbound_refused_total{reason=\"expired\"} 2\n");
    assert_eq!(text, want);
}

#[test]
fn a_grpc_failure_and_an_error_are_labels_of_their_own_response_series() {
    let metrics = Metrics::new(Limits::default());
    let series = metrics.request_series(&SeriesLabels::none());
    series.finish(Response::classified(200, Some(14)), MS);
    series.finish(Response { error: Some("no_endpoint"), ..Response::classified(503, None) }, MS);
    series.finish(Response { error: Some("cancelled"), ..Response::classified(0, None) }, MS);
    let text = metrics.render();
    assert!(text.contains("response_total{classification=\"failure\",status_code=\"200\",grpc_status=\"14\"} 1\n"));
    assert!(text.contains("response_total{classification=\"failure\",status_code=\"503\",error=\"no_endpoint\"} 1\n"));
    assert!(text.contains("response_total{classification=\"success\",error=\"cancelled\"} 1\n"));
    assert!(text.contains("\nrequest_total 0\n"));
}

#[test]
fn label_values_are_escaped_names_are_made_legal_and_long_values_are_cut() {
    let built = LabelBuilder::empty()
        .with("app.kubernetes.io/name", "a\"b\\c\nd")
        .with("9lives", "x")
        .with("long", &"é".repeat(300))
        .build();
    let long = "é".repeat(128);
    assert_eq!(built.as_str(), format!("app_kubernetes_io_name=\"a\\\"b\\\\c\\nd\",_lives=\"x\",long=\"{long}\""));
}

#[test]
fn a_set_has_no_more_labels_than_its_bound_and_no_longer_names() {
    let many = (0..100).fold(LabelBuilder::empty(), |labels, index| labels.with(&format!("n{index}"), "x")).build();
    assert_eq!(many.as_str().split(',').count(), 64);
    assert!(many.as_str().ends_with(r#",n63="x""#));
    let long = LabelBuilder::empty().with(&"n".repeat(1000), "x").build();
    assert_eq!(long.as_str(), format!("{}=\"x\"", "n".repeat(128)));
}

#[test]
fn a_reference_becomes_group_kind_name_and_only_then_namespace_and_port() {
    let reference = model::Ref {
        kind: "service".into(),
        namespace: "a".into(),
        name: "b".into(),
        port: 80,
        ..model::Ref::default()
    };
    let text = LabelBuilder::empty().with_ref("srv", &reference).with_ref("route", &model::Ref::default()).build();
    assert_eq!(
        text.as_str(),
        r#"srv_group="",srv_kind="service",srv_name="b",srv_namespace="a",srv_port="80",route_group="",route_kind="",route_name="""#
    );
}

#[test]
fn series_past_the_bound_share_one_overflow_series() {
    let metrics = Metrics::new(Limits { series_per_family: 2, ..Limits::default() });
    for name in ["a", "b", "c", "d"] {
        metrics.request_series(&labels(name)).begin();
    }
    metrics.request_series(&labels("a")).begin();
    let text = metrics.render();
    assert!(text.contains("request_total{direction=\"inbound\",name=\"a\"} 2\n"));
    assert!(text.contains("request_total{overflow=\"true\"} 2\n"));
    assert!(!text.contains("name=\"c\""));
    assert_eq!(metrics.series_count(), 3);
}

#[test]
fn response_kinds_past_the_bound_share_one_overflow_kind() {
    let metrics = Metrics::new(Limits { responses_per_series: 2, ..Limits::default() });
    let series = metrics.request_series(&SeriesLabels::none());
    for status in [200, 201, 202, 203, 202] {
        series.finish(Response::classified(status, None), MS);
    }
    let mut total = 0;
    let mut kinds = 0;
    series.each_response(|response| {
        total += response.count;
        kinds += 1;
    });
    assert_eq!((total, kinds), (5, 3));
    assert!(metrics.render().contains("response_total{overflow=\"true\"} 3\n"));
}

#[test]
fn a_series_knows_no_more_ways_to_end_than_its_bound() {
    let metrics = Metrics::new(Limits::default());
    let series = metrics.tcp_series(&SeriesLabels::none());
    for index in 0..40 {
        series.open().set_errno(Box::leak(format!("E{index}").into_boxed_str()));
    }
    assert_eq!(metrics.render().matches("tcp_close_total{").count(), 32);
}

#[test]
fn an_idle_series_goes_after_ten_minutes_and_a_held_one_never() {
    let metrics = Metrics::new(Limits::default());
    let held = metrics.request_series(&labels("held"));
    drop(metrics.request_series(&labels("idle")));
    drop(metrics.request_series(&labels("used")));
    let minute = Duration::from_mins(1);
    for now in 0..10 {
        metrics.sweep(minute * now);
        drop(metrics.request_series(&labels("used")));
    }
    assert_eq!(metrics.series_count(), 3);
    metrics.sweep(minute * 10);
    assert_eq!(metrics.series_count(), 2);
    for now in 11..40 {
        metrics.sweep(minute * now);
    }
    assert_eq!(metrics.series_count(), 1);
    held.begin();
    assert!(metrics.render().contains("name=\"held\"} 1\n"));
}

#[test]
fn a_large_registry_is_written_in_pieces_that_add_up() {
    let metrics = Metrics::new(Limits::default());
    for index in 0..500 {
        let series = metrics.request_series(&labels(&index.to_string()));
        series.begin();
        series.finish(Response::classified(200, None), MS);
    }
    let mut exposition = metrics.exposition();
    let mut pieces = Vec::new();
    loop {
        let mut piece = String::new();
        if !exposition.write_next(&mut piece) {
            break;
        }
        assert!(piece.len() < 64 * 1024, "a piece of {} bytes", piece.len());
        pieces.push(piece);
    }
    assert!(pieces.len() > 10);
    assert_eq!(pieces.concat(), metrics.render());
}

#[test]
fn process_readings_come_from_their_proc_fields() {
    let stat =
        "42 (a) b (x) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 7 0 1000 8192000 25 18446744073709551615 1 1 0";
    let reading = ProcessMetrics::parse(stat).unwrap();
    assert_eq!(
        reading,
        ProcessMetrics {
            cpu_seconds: 2.0,
            resident_bytes: 25 * 4096,
            virtual_bytes: 8_192_000,
            threads: 7,
            started_after_boot: 10.0
        }
    );
    assert_eq!(ProcessMetrics::parse("42 (a) S 1"), None);
    assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1_700_000_000.0));
    assert_eq!(max_fds("Limit   Soft Hard\nMax open files            1024                 4096   files\n"), Some(1024));
}

#[test]
fn a_scrape_tells_this_process() {
    let metrics = Metrics::new(Limits::default());
    metrics.collect_process(BuildInfo { version: "1.2.3", git_sha: "", profile: "test" });
    let text = metrics.render();
    assert!(text.contains("proxy_build_info{version=\"1.2.3\",git_sha=\"\",profile=\"test\",vendor=\"weft\"} 1\n"));
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 100_000.0);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_max_fds") >= value("process_open_fds"));
    assert!(value("process_start_time_seconds") > 1_600_000_000.0);
}
