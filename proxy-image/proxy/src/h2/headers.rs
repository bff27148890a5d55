//! Heads as they are passed on (RFC 9113 8.2.2, 8.3.1), and the view of them that decisions are made on.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, FORWARDED, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request};
use weft_policy::RequestView;

use crate::exchange::headers::{CLIENT_ID, Caller, FORWARDED_FOR, is_hop_by_hop};
use crate::exchange::{ErrorReason, Target};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const WEFT_CLIENT_ID: HeaderName = HeaderName::from_static(CLIENT_ID);
const L5D_CLIENT_ID: HeaderName = HeaderName::from_static("l5d-client-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static(FORWARDED_FOR);
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// A request's head, borrowed.
pub(crate) struct View<'a>(pub(crate) &'a request::Parts);

impl RequestView for View<'_> {
    fn method(&self) -> &str {
        self.0.method.as_str()
    }

    fn path(&self) -> &str {
        self.0.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.0.uri.query()
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        // Rules about the host look at what HTTP/1 calls so, whichever way the client said it.
        let authority = if name == "host" { self.0.uri.authority().map(|a| a.as_str().as_bytes()) } else { None };
        let fields = if authority.is_some() { None } else { Some(self.0.headers.get_all(name)) };
        authority.into_iter().chain(fields.into_iter().flatten().map(HeaderValue::as_bytes))
    }
}

/// gRPC by its content type: `application/grpc`, or that with `+...` or `;...`.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The `grpc-status` of trailers, or of the head of a response without a body.
pub(super) fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// The client's deadline: up to eight digits and a unit (gRPC over HTTP/2, Requests). What cannot be read sets none.
pub(super) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count.saturating_mul(3_600)),
        "M" => Duration::from_secs(count.saturating_mul(60)),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The pause that a gRPC server asks for before another try.
pub(super) fn pushback(headers: &HeaderMap) -> Option<Duration> {
    headers.get(GRPC_PUSHBACK)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// Takes away what belongs to one connection. `te: trailers` is the one such field HTTP/2 passes on, and gRPC insists on it.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // These hardly ever come. One look at each name costs less than a search for each of them.
    let (mut any, mut te) = (false, false);
    for name in headers.keys() {
        if *name == TE {
            te = true;
        } else {
            any |= is_hop_by_hop(name.as_str());
        }
    }
    if any {
        for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
            headers.remove(name);
        }
    }
    if te && headers.get_all(TE).iter().any(|value| value != "trailers") {
        headers.remove(TE);
    }
}

/// Takes away what trailers may not say: white space around values, what belongs to one connection, and what vouches for a caller, which only a head of ours does.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    trim(trailers);
    strip_hop_by_hop(trailers);
    trailers.remove(WEFT_CLIENT_ID);
    trailers.remove(L5D_CLIENT_ID);
}

/// Takes away white space around values: RFC 9113 8.2.1 forbids it, the framing library lets it pass, and gRPC allows for it in what applications
/// say and for its loss.
pub(super) fn trim(headers: &mut HeaderMap) {
    let padded = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        if (padded(bytes.first()) || padded(bytes.last()))
            && let Ok(bare) = HeaderValue::from_bytes(bytes.trim_ascii())
        {
            *value = bare;
        }
    }
}

/// RFC 9110 8.6: a body has one length at the most.
pub(super) fn has_several_lengths(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some()
}

/// RFC 9113 8.3.1: `:path` begins with a slash, except that of `OPTIONS *`, and CONNECT has none (8.5).
fn has_proper_path(parts: &request::Parts) -> bool {
    match parts.uri.path_and_query().map(PathAndQuery::as_str) {
        None => parts.method == Method::CONNECT,
        Some("*") => parts.method == Method::OPTIONS,
        Some(path) => path.starts_with('/'),
    }
}

/// Makes a client's head the upstream's: forged identities and origins out, the verified ones in, the authority in its pseudo-header.
///
/// # Errors
/// `BadRequest` when the head is malformed, or `Host` contradicts `:authority`, or neither is usable.
pub(crate) fn prepare(parts: &mut request::Parts, target: &Target, caller: Caller<'_>) -> Result<(), ErrorReason> {
    if has_several_lengths(&parts.headers) || !has_proper_path(parts) {
        return Err(ErrorReason::BadRequest);
    }
    strip_hop_by_hop(&mut parts.headers);
    parts.headers.remove(WEFT_CLIENT_ID);
    parts.headers.remove(L5D_CLIENT_ID);
    if let Some(address) = caller.address {
        tell_origin(&mut parts.headers, caller.believes_origin(), address);
    }
    if let Some(value) = caller.identity.and_then(|identity| HeaderValue::from_bytes(identity).ok()) {
        parts.headers.insert(WEFT_CLIENT_ID, value);
    }
    settle_authority(parts, target)
}

/// Adds the caller's address to where the request has come from, in one field as applications expect it.
fn tell_origin(headers: &mut HeaderMap, believed: bool, address: IpAddr) {
    if !believed {
        headers.remove(FORWARDED);
        headers.remove(X_REAL_IP);
        headers.remove(X_FORWARDED_FOR);
    }
    let mut value = Vec::new();
    for said in headers.get_all(X_FORWARDED_FOR).iter().filter(|said| !said.is_empty()) {
        value.extend_from_slice(said.as_bytes());
        value.extend_from_slice(b", ");
    }
    value.extend_from_slice(address.to_string().as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// RFC 9113 8.3.1: an intermediary sends `:authority`, and no `Host` beside it.
fn settle_authority(parts: &mut request::Parts, target: &Target) -> Result<(), ErrorReason> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(ErrorReason::BadRequest);
    }
    match (parts.uri.authority(), host) {
        // RFC 9113 8.3.1 has no place for a user.
        (Some(authority), _) if authority.as_str().contains('@') => return Err(ErrorReason::BadRequest),
        (None, Some(host)) if host.contains(&b'@') => return Err(ErrorReason::BadRequest),
        (Some(authority), Some(host)) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host) => {
            return Err(ErrorReason::BadRequest);
        }
        (Some(_), _) => {}
        (None, _) if parts.method == Method::CONNECT => return Err(ErrorReason::BadRequest),
        (None, host) => {
            let authority = match host {
                Some(host) => Authority::try_from(host).map_err(|_| ErrorReason::BadRequest)?,
                None => Authority::try_from(target.address.to_string()).map_err(|_| ErrorReason::BadRequest)?,
            };
            let mut uri = std::mem::take(&mut parts.uri).into_parts();
            uri.authority = Some(authority);
            uri.scheme.get_or_insert(Scheme::HTTP);
            parts.uri = Uri::from_parts(uri).map_err(|_| ErrorReason::BadRequest)?;
        }
    }
    parts.headers.remove(HOST);
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::FORWARDED;

    use super::{X_FORWARDED_FOR, X_REAL_IP, tell_origin};

    #[test]
    fn where_a_request_has_come_from_is_believed_only_of_callers_that_are_known() {
        for (believed, want) in [(true, "192.0.2.1, 192.0.2.4, fd00::1"), (false, "fd00::1")] {
            let mut headers = HeaderMap::new();
            headers.append(X_FORWARDED_FOR, "192.0.2.1".parse().unwrap());
            headers.append(X_FORWARDED_FOR, "".parse().unwrap());
            headers.append(X_FORWARDED_FOR, "192.0.2.4".parse().unwrap());
            headers.insert(FORWARDED, "for=192.0.2.2".parse().unwrap());
            headers.insert(X_REAL_IP, "192.0.2.3".parse().unwrap());
            tell_origin(&mut headers, believed, "fd00::1".parse().unwrap());
            assert_eq!(headers.get_all(X_FORWARDED_FOR).iter().collect::<Vec<_>>(), [want]);
            assert_eq!((headers.contains_key(FORWARDED), headers.contains_key(X_REAL_IP)), (believed, believed));
        }
    }
}
