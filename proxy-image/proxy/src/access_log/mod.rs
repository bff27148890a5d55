//! One line per inbound request on standard output, when MeshConfig or an annotation asks for it.
//!
//! Owns the formats and the writer. Imports the domain model and the request view. The data path never waits for the reader of standard
//! output: lines are collected for a moment and handed to a thread in pieces, and a piece that finds no room is dropped and counted.

mod format;
mod time;
mod writer;

use std::time::{Duration, Instant, SystemTime};

use weft_policy::{Client, RequestView, model};

pub use writer::AccessLog;

/// HTTP version of a request, as logs write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl Version {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Status sent to the client; 0 when it went away before one was.
    pub status: u16,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// Why the proxy answered itself or broke off.
    pub error: Option<&'static str>,
}

/// What is kept of a request until it ends. Made only when there is a log to write.
pub struct Record {
    format: model::AccessLog,
    at: SystemTime,
    started: Instant,
    client: std::net::IpAddr,
    identity: Option<std::sync::Arc<str>>,
    method: String,
    uri: String,
    version: Version,
    host: String,
    user_agent: String,
    referer: String,
    trace_id: String,
}

impl Record {
    /// Takes from the head what the line will need; None when the log is off.
    #[must_use]
    pub fn begin<V: RequestView>(
        format: model::AccessLog,
        client: &Client,
        view: &V,
        version: Version,
    ) -> Option<Self> {
        if format == model::AccessLog::Off {
            return None;
        }
        let header = |name| {
            view.header(name).next().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        };
        let mut uri = view.path().to_owned();
        if let Some(query) = view.query() {
            uri.push('?');
            uri.push_str(query);
        }
        // W3C trace context first, then B3, as Linkerd does.
        let trace_id = match header("traceparent").split('-').nth(1) {
            Some(id) => id.to_owned(),
            None => header("x-b3-traceid"),
        };
        Some(Self {
            format,
            at: SystemTime::now(),
            started: Instant::now(),
            client: client.address,
            identity: client.identity().cloned(),
            method: view.method().to_owned(),
            uri,
            version,
            host: header("host"),
            user_agent: header("user-agent"),
            referer: header("referer"),
            trace_id,
        })
    }

    /// Writes the line.
    pub fn finish(self, log: &AccessLog, ended: Ended) {
        let total = self.started.elapsed();
        log.with_buffer(|text| self.write(text, ended, total));
    }

    fn write(&self, text: &mut String, ended: Ended, total: Duration) {
        match self.format {
            model::AccessLog::Off => {}
            model::AccessLog::Apache => format::apache(text, self, ended, total),
            model::AccessLog::Json => format::json(text, self, ended, total),
        }
    }
}

#[cfg(test)]
mod tests;
