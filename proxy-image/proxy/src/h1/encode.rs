//! Heads as they are passed on, and the proxy's own answers. Runs of untouched lines are copied whole. Pure.

use std::net::{IpAddr, SocketAddr};

use httparse::Header;

use super::head::{RequestHead, ResponseHead};
use crate::buffer::Buffer;
use crate::exchange::ErrorReason;
use crate::exchange::headers::{CLIENT_ID, Caller, ERROR, FORWARDED_FOR};

/// Offset of `part` in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// Copies the field lines of `raw` (a whole head) that `keep` lets pass.
fn copy_lines(raw: &[u8], headers: &[Header<'_>], keep: impl Fn(usize) -> bool, out: &mut Buffer) {
    let Some(first) = headers.first() else { return };
    let mut run = offset(raw, first.name);
    for index in 0..headers.len() {
        if keep(index) {
            continue;
        }
        let start = headers.get(index).map_or(run, |header| offset(raw, header.name));
        out.push(raw.get(run..start).unwrap_or_default());
        run = headers.get(index + 1).map_or(raw.len().saturating_sub(2), |next| offset(raw, next.name));
    }
    out.push(raw.get(run..raw.len().saturating_sub(2)).unwrap_or_default());
}

fn line(name: &str, value: &[u8], out: &mut Buffer) {
    out.push(name.as_bytes());
    out.push(b": ");
    out.push(value);
    out.push(b"\r\n");
}

/// The upgrade that a message asks for or agrees to, which hop-by-hop filtering took away.
fn upgrade(headers: &[Header<'_>], out: &mut Buffer) {
    out.push(b"connection: upgrade\r\n");
    for header in headers.iter().filter(|header| header.name.eq_ignore_ascii_case("upgrade")) {
        line("upgrade", header.value, out);
    }
}

/// Where the request has come from: what a caller that is known says of it, and the caller's own address.
fn forwarded_for(head: &RequestHead<'_, '_>, caller: Caller<'_>, address: IpAddr, out: &mut Buffer) {
    out.push(FORWARDED_FOR.as_bytes());
    out.push(b": ");
    if caller.believes_origin() {
        for (index, header) in head.headers.iter().enumerate() {
            let said = header.name.eq_ignore_ascii_case(FORWARDED_FOR) && !head.fields.drops(index);
            if said && !header.value.is_empty() {
                out.push(header.value);
                out.push(b", ");
            }
        }
    }
    out.push(address.to_string().as_bytes());
    out.push(b"\r\n");
}

/// What the head of a request gets beside what the client sent.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// Who sends it.
    pub caller: Caller<'a>,
    /// Stands for the host that a client of HTTP/1.0 has not named.
    pub host: SocketAddr,
}

/// The head that goes to the upstream; `raw` is the buffer that `head` was parsed from.
pub fn request(head: &RequestHead<'_, '_>, raw: &[u8], added: Added<'_>, out: &mut Buffer) {
    let raw = raw.get(..head.length).unwrap_or_default();
    let start = offset(raw, head.method);
    let lines = head.headers.first().map_or(raw.len().saturating_sub(2), |header| offset(raw, header.name));
    if head.http10 {
        out.push(head.method.as_bytes());
        out.push(b" ");
        out.push(head.target.as_bytes());
        out.push(b" HTTP/1.1\r\n");
        if head.fields.hosts == 0 && head.absolute_authority().is_none() {
            line("host", added.host.to_string().as_bytes(), out);
        }
    } else {
        out.push(raw.get(start..lines).unwrap_or_default());
    }
    let replaced = |index: usize| {
        let is_forwarded = |header: &Header<'_>| header.name.eq_ignore_ascii_case(FORWARDED_FOR);
        added.caller.address.is_some()
            && head.fields.is_origin(index)
            && (!added.caller.believes_origin() || head.headers.get(index).is_some_and(is_forwarded))
    };
    let keeps = |index: usize| !head.fields.drops(index) && !replaced(index);
    match head.absolute_authority() {
        None => copy_lines(raw, head.headers, keeps, out),
        // RFC 9112 3.2.2: the target's host replaces the field's.
        Some(authority) => {
            line("host", authority.as_bytes(), out);
            let is_host = |index: usize| head.headers.get(index).is_some_and(|h| h.name.eq_ignore_ascii_case("host"));
            copy_lines(raw, head.headers, |index| keeps(index) && !is_host(index), out);
        }
    }
    if head.fields.coded {
        out.push(b"transfer-encoding: chunked\r\n");
    }
    if head.wants_upgrade() {
        upgrade(head.headers, out);
    } else if head.fields.te_trailers {
        out.push(b"te: trailers\r\nconnection: te\r\n");
    }
    if let Some(address) = added.caller.address {
        forwarded_for(head, added.caller, address, out);
    }
    if let Some(identity) = added.caller.identity {
        line(CLIENT_ID, identity, out);
    }
    out.push(b"\r\n");
}

/// What the client is told about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: HTTP/1.1 keeps the connection.
    Default,
    /// It ends after this response.
    Close,
    /// It stays although the client speaks HTTP/1.0.
    KeepAlive,
}

/// The head that goes to the client; `raw` is the buffer that `head` was parsed from.
pub fn response(head: &ResponseHead<'_, '_>, raw: &[u8], persistence: Persistence, dechunk: bool, out: &mut Buffer) {
    let raw = raw.get(..head.length).unwrap_or_default();
    if head.http10 {
        let mut digits = [0; 3];
        out.push(b"HTTP/1.1 ");
        out.push(status_digits(head.status, &mut digits));
        out.push(b" ");
        out.push(head.reason.as_bytes());
        out.push(b"\r\n");
    } else {
        let lines = head.headers.first().map_or(raw.len().saturating_sub(2), |header| offset(raw, header.name));
        // Empty lines before it, which the parser forgives, would be an empty head to somebody else.
        let start = raw.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or_default();
        out.push(raw.get(start..lines).unwrap_or_default());
    }
    copy_lines(raw, head.headers, |index| !head.fields.drops(index), out);
    // RFC 9112 6.1: neither has a body whose coding could be said.
    let bodyless = head.status < 200 || head.status == 204;
    if head.fields.coded && !dechunk && !bodyless {
        out.push(b"transfer-encoding: chunked\r\n");
    }
    match persistence {
        _ if head.status == 101 => upgrade(head.headers, out),
        Persistence::Default => {}
        Persistence::Close => out.push(b"connection: close\r\n"),
        Persistence::KeepAlive => out.push(b"connection: keep-alive\r\n"),
    }
    out.push(b"\r\n");
}

fn status_digits(status: u16, digits: &mut [u8; 3]) -> &[u8] {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or_default();
    *digits = [digit(status / 100), digit(status / 10), digit(status)];
    digits
}

fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// The proxy's own answer. `status` differs from the reason's only where a route names one.
pub fn error(reason: ErrorReason, status: u16, close: bool, out: &mut Buffer) {
    let mut digits = [0; 3];
    out.push(b"HTTP/1.1 ");
    out.push(status_digits(status, &mut digits));
    out.push(b" ");
    out.push(phrase(status).as_bytes());
    out.push(b"\r\n");
    line(ERROR, reason.name().as_bytes(), out);
    out.push(b"content-length: 0\r\n");
    if close {
        out.push(b"connection: close\r\n");
    }
    out.push(b"\r\n");
}
