//! Header rules shared by HTTP/1 and HTTP/2. Names are compared without regard to case.

use std::net::IpAddr;

/// Names the verified caller to the application.
pub const CLIENT_ID: &str = "weft-client-id";
/// The addresses that a request has come from, each added by the next to see it.
pub const FORWARDED_FOR: &str = "x-forwarded-for";
/// Says why the proxy answered by itself.
pub const ERROR: &str = "weft-error";

/// Fields that belong to one connection (RFC 9110 7.6.1). `te` is among them: a sender that forwards trailers says so anew.
#[must_use]
pub fn is_hop_by_hop(name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 => is("te"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        _ => false,
    }
}

/// Fields by which a proxy vouches for the caller: whatever a client sends of them is forged and never passed on.
#[must_use]
pub fn is_identity(name: &str) -> bool {
    match name.len() {
        14 => name.eq_ignore_ascii_case(CLIENT_ID),
        13 => name.eq_ignore_ascii_case("l5d-client-id"),
        _ => false,
    }
}

/// What the application is told of who sends a request.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The verified identity; None: nothing is known, or this is no business of the application's.
    pub identity: Option<&'a [u8]>,
    /// To be added to where the request has come from; None: what the head says of that is left alone.
    pub address: Option<IpAddr>,
}

impl Caller<'_> {
    /// Where a request claims to come from is forged unless its sender is known.
    #[must_use]
    pub fn believes_origin(&self) -> bool {
        self.address.is_none() || self.identity.is_some()
    }
}

/// Fields that say where a request has come from first.
#[must_use]
pub fn is_origin(name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        9 => is("forwarded") || is("x-real-ip"),
        15 => is(FORWARDED_FOR),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_identity_and_origin_fields_are_known_in_any_case() {
        for name in ["Connection", "KEEP-ALIVE", "te", "Transfer-Encoding", "upgrade", "Proxy-Connection"] {
            assert!(is_hop_by_hop(name), "{name}");
        }
        for name in ["host", "content-length", "trailer", "proxy-authorization", "connectio"] {
            assert!(!is_hop_by_hop(name), "{name}");
        }
        assert!(is_origin("Forwarded") && is_origin("X-Real-IP") && is_origin("x-forwarded-FOR"));
        assert!(!is_origin("x-forwarded-by") && !is_origin("forwarder"));
        assert!(is_identity("Weft-Client-Id") && is_identity("l5d-client-ID") && !is_identity("weft-client-ix"));
    }
}
