//! Heads of HTTP/2 requests, as they go to the upstream.

use std::net::SocketAddr;

use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use weft_policy::RequestView;

use super::{choices, plain};
use crate::exchange::headers::Caller;
use crate::exchange::{Direction, Target};
use crate::h2::fuzzed::{View, prepare, strip_trailers};

const IDENTITY: &[u8] = b"spiffe://mesh/ns/demo/sa/web";
const ADDRESS: &str = "10.0.0.9:8080";
/// Names worth meeting often.
const NAMES: [&str; 12] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "te",
    "weft-client-id",
    "l5d-client-id",
    "x-one",
    "cookie",
    "content-length",
];

/// The upstream gets the authority that rules saw, the verified caller and no other, and nothing that belonged to the connection; trailers
/// likewise.
pub fn h2_headers(data: &[u8]) {
    let Some(([choice], rest)) = choices(data) else { return };
    let mut lines = rest.split(|byte| *byte == b'\n');
    let uri = lines.next().and_then(|uri| Uri::try_from(uri).ok());
    let Some(uri) = uri else { return };
    let mut request = Request::new(());
    *request.method_mut() =
        [Method::GET, Method::POST, Method::CONNECT, Method::OPTIONS][usize::from(choice & 3)].clone();
    *request.uri_mut() = uri;
    for line in lines.take(64) {
        let Some((first, value)) = line.split_first() else { continue };
        let (name, value) = match NAMES.get(usize::from(first.wrapping_sub(b'a'))) {
            Some(name) => (HeaderName::from_static(name), value),
            None => {
                let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                let Ok(name) = HeaderName::from_bytes(&line[..colon]) else { continue };
                (name, line.get(colon + 1..).unwrap_or_default())
            }
        };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        request.headers_mut().append(name, value);
    }
    let mut trailers = request.headers().clone();
    strip_trailers(&mut trailers);
    clean(&trailers, None);

    let (mut parts, ()) = request.into_parts();
    let seen: Vec<Vec<u8>> = View(&parts).header("host").map(<[u8]>::to_vec).collect();
    let before = parts.clone();
    let address: SocketAddr = ADDRESS.parse().unwrap();
    let identity = (choice & 4 != 0).then_some(IDENTITY);
    let caller = Caller { identity, address: None };
    if prepare(&mut parts, &Target::plain(address, Direction::Outbound), caller).is_err() {
        return;
    }
    clean(&parts.headers, identity);
    let authority = parts.uri.authority().expect("an upstream is told the authority").as_str().as_bytes();
    assert!(!parts.headers.contains_key(HOST), "in one place only");
    match seen.as_slice() {
        [] => assert_eq!(authority, ADDRESS.as_bytes()),
        [one] => assert!(authority.eq_ignore_ascii_case(one), "rules saw another host than the upstream gets"),
        _ => panic!("two hosts pass"),
    }
    assert_eq!((parts.uri.path(), parts.uri.query()), (before.uri.path(), before.uri.query()));
    assert_eq!(parts.method, before.method);
    let kept = |headers: &http::HeaderMap| {
        let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let mut kept: Vec<_> = fields
            .filter(|(name, _)| !plain::NEVER.contains(name) && *name != "host")
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect();
        kept.sort();
        kept
    };
    assert_eq!(kept(&parts.headers), kept(&before.headers), "the rest passes");
}

fn clean(headers: &http::HeaderMap, identity: Option<&[u8]>) {
    for name in plain::NEVER.iter().filter(|name| !matches!(**name, "te" | "weft-client-id")) {
        assert!(!headers.contains_key(*name), "{name} passes");
    }
    assert!(headers.get_all("te").iter().all(|value| value == "trailers"));
    let vouching: Vec<&[u8]> = headers.get_all("weft-client-id").iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(vouching, identity.into_iter().collect::<Vec<_>>());
}
