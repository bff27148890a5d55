//! Request heads, as little of them as the admin port needs.

use httparse::Status;

/// Longest head.
pub(super) const MAX_HEAD: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// A request without a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Without the query.
    pub(super) path: String,
    /// HTTP/1.1: chunks are understood, and the connection stays unless somebody says otherwise.
    pub(super) http11: bool,
    pub(super) keep_alive: bool,
    /// Bytes of the head.
    pub(super) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// Why a head is no request: the status to answer before the connection is closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) u16);

/// Parses what has arrived; None asks for more.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(Malformed(431)),
        Err(_) => return Err(Malformed(400)),
    };
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(Malformed(400));
    };
    let http11 = version == 1;
    let mut keep_alive = http11;
    for header in head.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("connection") && contains_token(header.value, "close") {
            keep_alive = false;
        }
        // A body is never read: what follows the head would be taken for the next request.
        let body = name.eq_ignore_ascii_case("transfer-encoding")
            || (name.eq_ignore_ascii_case("content-length") && header.value != b"0");
        if body {
            keep_alive = false;
        }
    }
    let path = target.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Malformed(400));
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        _ => Method::Other,
    };
    Ok(Some(Request { method, path: path.to_owned(), http11, keep_alive, length }))
}

fn contains_token(value: &[u8], token: &str) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}
