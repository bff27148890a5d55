use super::time::Utc;
use super::*;
use crate::metrics::Counter;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;
use tokio::task::LocalSet;
use weft_policy::ClientTls;

struct View(Vec<(&'static str, &'static [u8])>);

impl RequestView for View {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/a\"b"
    }
    fn query(&self) -> Option<&str> {
        Some("q=1")
    }
    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(other, _)| *other == name).map(|(_, value)| *value)
    }
}

fn record(format: model::AccessLog) -> Option<Record> {
    let view = View(vec![
        ("host", b"web.demo"),
        ("user-agent", b"curl\n\x01\"8\""),
        ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ]);
    let tls = ClientTls::Identity { spiffe: Arc::from("spiffe://m/ns/a/sa/b"), dns: None };
    let client = Client::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)), tls, &[]);
    let mut record = Record::begin(format, &client, &view, Version::Http2)?;
    record.at = UNIX_EPOCH + Duration::from_millis(1_795_231_805_042);
    Some(record)
}

const ENDED: Ended = Ended { status: 200, request_bytes: 3, response_bytes: 12, error: None };

fn line(format: model::AccessLog, ended: Ended) -> String {
    let mut text = String::new();
    record(format).unwrap().write(&mut text, ended, Duration::from_micros(1_500));
    text
}

#[test]
fn the_apache_line_is_the_combined_format_with_the_duration_behind() {
    assert_eq!(
        line(model::AccessLog::Apache, ENDED),
        "10.0.0.7 - spiffe://m/ns/a/sa/b [21/Nov/2026:03:30:05 +0000] \"GET /a\\\"b?q=1 HTTP/2.0\" 200 12 \"-\" \
         \"curl\\u000a\\u0001\\\"8\\\"\" 1500\n"
    );
}

#[test]
fn the_json_line_is_one_object_with_linkerds_fields() {
    let text = line(model::AccessLog::Json, Ended { error: Some("upstream"), ..ENDED });
    assert_eq!(text.lines().count(), 1);
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let want = serde_json::json!({
        "timestamp": "2026-11-21T03:30:05.042Z", "client.addr": "10.0.0.7", "client.id": "spiffe://m/ns/a/sa/b",
        "method": "GET", "uri": "/a\"b?q=1", "version": "HTTP/2.0", "host": "web.demo",
        "user_agent": "curl\n\u{1}\"8\"", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "request_bytes": 3, "status": 200, "response_bytes": 12, "total_ns": 1_500_000, "error": "upstream",
    });
    assert_eq!(parsed, want);
}

#[test]
fn a_long_value_is_cut() {
    let mut long = record(model::AccessLog::Json).unwrap();
    long.uri = "/é".repeat(4_000);
    let mut text = String::new();
    long.write(&mut text, ENDED, Duration::ZERO);
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let uri = parsed["uri"].as_str().unwrap();
    assert!((1022..=1024 + 3).contains(&uri.len()), "{}", uri.len());
}

#[test]
fn a_log_that_is_off_keeps_nothing() {
    assert!(record(model::AccessLog::Off).is_none());
}

#[test]
fn dates_are_right_around_leap_days_and_new_year() {
    let date = |seconds| {
        let utc = Utc::of(UNIX_EPOCH + Duration::from_secs(seconds));
        (utc.year, utc.month, utc.day, utc.hour)
    };
    assert_eq!(date(0), (1970, 1, 1, 0));
    assert_eq!(date(951_782_400), (2000, 2, 29, 0));
    assert_eq!(date(951_868_800), (2000, 3, 1, 0));
    assert_eq!(date(1_798_761_599), (2026, 12, 31, 23));
    assert_eq!(date(1_798_761_600), (2027, 1, 1, 0));
    assert_eq!(date(4_107_542_400), (2100, 3, 1, 0));
}

/// Standard output as a test sees it.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_arrive_whole_and_in_order() {
    LocalSet::new()
        .run_until(async {
            let output = Shared::default();
            let dropped = Rc::new(Counter::default());
            let log = AccessLog::new(Box::new(output.clone()), Rc::clone(&dropped));
            for status in 100..400 {
                record(model::AccessLog::Json).unwrap().finish(&log, Ended { status, ..ENDED });
                tokio::task::yield_now().await;
            }
            log.finish(Duration::from_secs(10)).await;
            let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
            let statuses: Vec<u64> = text
                .lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["status"].as_u64().unwrap())
                .collect();
            assert_eq!(statuses, (100..400).collect::<Vec<_>>());
            assert_eq!(dropped.get(), 0);
        })
        .await;
}

/// A reader that never reads: writing blocks until the gate opens.
struct Blocked(Arc<Mutex<()>>, Shared);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _open = self.0.lock().unwrap();
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_lines_and_neither_time_nor_memory() {
    LocalSet::new()
        .run_until(async {
            let gate = Arc::new(Mutex::new(()));
            let closed = gate.lock().unwrap();
            let (output, dropped) = (Shared::default(), Rc::new(Counter::default()));
            let log = AccessLog::new(Box::new(Blocked(Arc::clone(&gate), output.clone())), Rc::clone(&dropped));
            let lines = 20_000;
            for _ in 0..lines {
                record(model::AccessLog::Apache).unwrap().finish(&log, ENDED);
            }
            assert!(dropped.get() > 0);
            drop(closed);
            log.finish(Duration::from_secs(10)).await;
            let written = output.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(u64::try_from(written).unwrap() + dropped.get(), lines, "each line is written or counted");
            assert!(output.0.lock().unwrap().len() < 20 * 17 * 1024);
        })
        .await;
}
