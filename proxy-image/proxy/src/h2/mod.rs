//! HTTP/2 on both sides of the proxy: every request of a connection is routed, authorised and balanced by itself.
//!
//! Owns the server side of a client's connection ([`serve`]), the shared connections to upstreams ([`Clients`]), and the streaming of
//! bodies between the two. Imports `exchange` for every decision and `dial` through [`Proxy`]; framing is the `h2` crate's.
//!
//! Bounds: what a stream may have buffered in either direction is its flow-control window or its send buffer, what a connection may have is
//! its connection window; capacity goes back to the sender only when the bytes have gone on, so a slow reader slows its own writer and
//! nobody else. Header lists, concurrent streams and reset streams are limited on both sides.

mod answer;
mod body;
mod clients;
mod connection;
mod hand;
mod headers;
mod keepalive;
mod server;
mod stream;
mod tries;
mod watched;
mod windows;

pub use clients::Clients;
pub use server::serve;

use std::time::Duration;

#[cfg(doc)]
use crate::context::Proxy;

/// Unread bytes that one stream may hold (RFC 9113's default).
const STREAM_WINDOW: u32 = 65_535;
/// Unread bytes that all streams of a connection may hold together, before it is widened for more streams.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The widest that the window of a connection becomes: that of as many streams as a proxy opens on one.
const CONNECTION_WINDOW_MOST: u32 = STREAMS_UPSTREAM as u32 * STREAM_WINDOW;
/// By how much the windows of all connections together may be widened.
const WINDOWS: u32 = 64 * 1024 * 1024;
/// What small DATA frames of a connection may cost beyond what they carry before they are read, at about 256 bytes for each; one more ends the
/// connection. Twice what a stream's window holds in messages of 16 bytes, which may come in one piece.
const DATA_FRAMES: usize = 2 * 1024 * 1024;
/// Frames of a request that are kept so that it can be sent again.
const KEPT_CHUNKS: usize = 64;
/// Bytes of a body that go with its head, whatever room the receiver has.
const UNASKED: usize = 1024;
/// Interim responses that are passed on before a response; more are left out.
const INTERIM: usize = 16;
/// Bytes accepted from one stream for sending that have not left yet.
const SEND_BUFFER: usize = 64 * 1024;
/// Decoded size of a header list (RFC 9113 6.5.2).
const HEADER_LIST: u32 = 64 * 1024;
/// Streams that an unmeshed client may have open on one connection.
const STREAMS_PLAIN: u32 = 100;
/// Streams that a peer proxy or the own application may have open on one connection.
const STREAMS_TRUSTED: u32 = 1_000;
/// Streams that we open on one connection, however many the upstream allows.
const STREAMS_UPSTREAM: usize = 100;
/// Connections to one upstream.
const CONNECTIONS: usize = 16;
/// Requests that wait for a stream to one upstream; one more is answered 503.
const WAITING: usize = 1_024;
/// Streams reset by us whose late frames are still tolerated, and how long.
const RESET_STREAMS: usize = 64;
const RESET_KEPT: Duration = Duration::from_secs(10);
/// Streams that a peer may reset before they were accepted (CVE-2023-44487); one more ends the connection.
const RESETS_PENDING: usize = 64;
/// Errors of a peer's making that we answer with resets before the connection ends.
const RESETS_LOCAL: usize = 1_024;
/// A mesh connection with streams is asked whether it lives this often, and given up when it does not answer in time.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_PATIENCE: Duration = Duration::from_secs(3);

/// What `crate::fuzzing` looks into.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed {
    pub(crate) use super::headers::{View, prepare, strip_trailers};
}

#[cfg(test)]
mod tests;
