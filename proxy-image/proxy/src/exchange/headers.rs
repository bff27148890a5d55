//! Header rules shared by HTTP/1 and HTTP/2. Names are compared without regard to case.

/// Names the verified caller to the application.
pub const CLIENT_ID: &str = "weft-client-id";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_and_identity_fields_are_known_in_any_case() {
        for name in ["Connection", "KEEP-ALIVE", "te", "Transfer-Encoding", "upgrade", "Proxy-Connection"] {
            assert!(is_hop_by_hop(name), "{name}");
        }
        for name in ["host", "content-length", "trailer", "proxy-authorization", "connectio"] {
            assert!(!is_hop_by_hop(name), "{name}");
        }
        assert!(is_identity("Weft-Client-Id") && is_identity("l5d-client-ID") && !is_identity("weft-client-ix"));
    }
}
