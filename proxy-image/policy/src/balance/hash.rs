//! What requests are told apart by, and which endpoint a key belongs to. The same on every proxy: no seed, no state.

use crate::model::{Balancing, Endpoint, HashKey};
use crate::request::RequestView;

/// FNV-1a with a good last mix: short keys differ in all bits.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let spread = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(spread)
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

/// Of an endpoint: it follows the address, so that a pod keeps its keys as long as it lives.
pub(super) fn of_endpoint(endpoint: &Endpoint) -> u64 {
    let port = u64::from(endpoint.address.port());
    match endpoint.address.ip() {
        std::net::IpAddr::V4(ip) => mix(u64::from(u32::from(ip)) << 16 | port),
        std::net::IpAddr::V6(ip) => hash(&ip.octets()) ^ mix(port),
    }
}

/// How strongly a key is drawn to an endpoint: the key belongs to the one that draws it most (rendezvous hashing). When an endpoint goes only its
/// own keys move, each to the one that comes second for it.
pub(super) fn pull(key: u64, endpoint: u64) -> u64 {
    mix(key ^ endpoint)
}

/// The key of a request; None: it has none. `identity` and `source` are the caller's.
#[must_use]
pub fn key_of(balancing: &Balancing, request: &impl RequestView, identity: &str, source: &str) -> Option<u64> {
    match balancing.hash_key.as_ref()? {
        HashKey::Header(name) => request.header(name).next().map(hash),
        HashKey::Cookie(name) => request.header("cookie").find_map(|value| cookie(value, name)).map(hash),
        HashKey::Identity | HashKey::Source => key_of_connection(balancing, identity, source),
    }
}

/// The same of a connection of bytes, which has neither headers nor cookies: it has no key where those are asked for.
#[must_use]
pub fn key_of_connection(balancing: &Balancing, identity: &str, source: &str) -> Option<u64> {
    match balancing.hash_key.as_ref()? {
        HashKey::Header(_) | HashKey::Cookie(_) => None,
        HashKey::Identity => Some(hash(identity.as_bytes())),
        HashKey::Source => Some(hash(source.as_bytes())),
    }
}

/// The value of one cookie (RFC 6265 4.2.1).
fn cookie<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    field.split(|byte| *byte == b';').find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_whole_among_others() {
        let field = b"a=1; session=abc; sessionx=2";
        assert_eq!(cookie(field, "session"), Some(b"abc".as_slice()));
        assert_eq!(cookie(field, "sess"), None);
        assert_eq!(cookie(field, "a"), Some(b"1".as_slice()));
        assert_eq!(cookie(b"", "a"), None);
    }
}
