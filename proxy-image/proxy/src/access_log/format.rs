//! The two formats. What a client sent is escaped: no request can forge a line or a field.

use std::fmt::Write;
use std::time::Duration;

use super::time::Utc;
use super::{Ended, Record};

/// Longest value of a client's choosing in a line; the rest is cut off.
const MAX_VALUE: usize = 1024;

/// Apache's combined format, so that every tool reads it, with the duration in microseconds behind.
pub(super) fn apache(text: &mut String, record: &Record, ended: Ended, total: Duration) {
    let Utc { year, day, hour, minute, second, .. } = Utc::of(record.at);
    let month = Utc::of(record.at).month_name();
    let identity = record.identity.as_deref().unwrap_or("-");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{} - {identity} [{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000] \"",
        record.client
    );
    escape(text, &record.method);
    text.push(' ');
    escape(text, &record.uri);
    let _ = write!(text, " {}\" {:03} {} \"", record.version.as_str(), ended.status, ended.response_bytes);
    escape(text, or_dash(&record.referer));
    text.push_str("\" \"");
    escape(text, or_dash(&record.user_agent));
    let _ = writeln!(text, "\" {}", total.as_micros());
}

/// Linkerd's fields, and `error`.
pub(super) fn json(text: &mut String, record: &Record, ended: Ended, total: Duration) {
    let Utc { year, month, day, hour, minute, second, milli } = Utc::of(record.at);
    let _ = write!(
        text,
        "{{\"timestamp\":\"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z\",\"client.addr\":\"{}\"",
        record.client
    );
    field(text, "client.id", record.identity.as_deref().unwrap_or("-"));
    field(text, "method", &record.method);
    field(text, "uri", &record.uri);
    field(text, "version", record.version.as_str());
    field(text, "host", &record.host);
    field(text, "user_agent", &record.user_agent);
    field(text, "trace_id", &record.trace_id);
    let _ = write!(
        text,
        ",\"request_bytes\":{},\"status\":{},\"response_bytes\":{},\"total_ns\":{}",
        ended.request_bytes,
        ended.status,
        ended.response_bytes,
        total.as_nanos()
    );
    if let Some(error) = ended.error {
        field(text, "error", error);
    }
    text.push_str("}\n");
}

fn or_dash(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, ",\"{name}\":\"");
    escape(text, value);
    text.push('"');
}

/// JSON's escapes, which the other format borrows.
fn escape(text: &mut String, value: &str) {
    for (index, c) in value.char_indices() {
        if index >= MAX_VALUE {
            return;
        }
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
}
