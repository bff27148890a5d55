//! Request heads: parsed, judged, written anew.

use std::net::SocketAddr;

use httparse::Header;
use weft_policy::RequestView;

use super::{choices, plain};
use crate::buffer::Buffer;
use crate::exchange::headers::{CLIENT_ID, Caller, is_identity};
use crate::h1::fuzzed::{Added, Body, MAX_HEADERS, RequestHead, encode, slots};

const HOST: &str = "10.0.0.9:8080";
const IDENTITY: &[u8] = b"spiffe://mesh/ns/demo/sa/web";

/// What is passed on of a head reads as the same request, framed alike, exactly one, without what belonged to the connection and with the
/// verified caller and no other.
pub fn h1_request(data: &[u8]) {
    let Some(([choice], bytes)) = choices(data) else { return };
    let mut slots = slots();
    let Ok(Some(head)) = RequestHead::parse(bytes, &mut slots) else { return };
    whole_or_nothing(bytes, head.length);
    looks(&head);
    let identity = (choice & 1 == 1).then_some(IDENTITY);
    let host: SocketAddr = HOST.parse().unwrap();
    if head.headers.len() + plain::ADDED > MAX_HEADERS {
        return;
    }
    let mut out = Buffer::default();
    encode::request(&head, bytes, Added { caller: Caller { identity, address: None }, host }, &mut out);
    compare(&head, out.bytes(), identity);
    twice(out.bytes(), identity);
}

/// However slowly it comes, it is not refused before it is whole; and what follows changes nothing.
fn whole_or_nothing(bytes: &[u8], length: usize) {
    assert!(length <= bytes.len());
    for cut in (0..length).filter(|cut| *cut + 64 >= length || cut.is_multiple_of(31)) {
        let mut slots = slots();
        assert!(matches!(RequestHead::parse(&bytes[..cut], &mut slots), Ok(None)), "cut at {cut} of {length}");
    }
    let mut slots = slots();
    assert!(matches!(RequestHead::parse(&bytes[..length], &mut slots), Ok(Some(head)) if head.length == length));
}

/// What rules see of it.
fn looks(head: &RequestHead<'_, '_>) {
    assert!(!head.path().contains('?'));
    assert!(head.is_connect() || head.path().starts_with(['/', '*', '#']), "{:?}", head.path());
    // The host of an absolute target stands in the field's stead (RFC 9112 3.2.2).
    let hosts = if head.absolute_authority().is_some() { 1 } else { usize::from(head.fields.hosts) };
    assert_eq!(head.header("host").count(), hosts);
}

fn compare(head: &RequestHead<'_, '_>, out: &[u8], identity: Option<&[u8]>) {
    let mut slots = slots();
    let again = RequestHead::parse(out, &mut slots).expect("what is passed on is well-formed").expect("and whole");
    assert_eq!(again.length, out.len(), "and one message");
    assert_eq!((again.method, again.target, again.http10), (head.method, head.target, false));
    assert_eq!((again.path(), again.query()), (head.path(), head.query()));
    assert_eq!(framing(&again), framing(head), "framed alike");
    assert_eq!(again.fields.hosts, 1);
    let vouching: Vec<&Header<'_>> = again.headers.iter().filter(|header| is_identity(header.name)).collect();
    assert_eq!(vouching.len(), usize::from(identity.is_some()), "the verified caller and no other");
    assert!(vouching.iter().all(|header| header.name == CLIENT_ID && Some(header.value) == identity));
    let host = match (head.absolute_authority(), head.fields.host) {
        (Some(authority), _) => authority.as_bytes(),
        (None, Some(host)) => host,
        (None, None) => HOST.as_bytes(),
    };
    assert_eq!(again.fields.host, Some(host));
    let names = |headers: &[Header<'_>]| {
        let fields = headers.iter().map(|header| (header.name, header.value));
        let mut kept = plain::end_to_end(fields);
        kept.retain(|(name, _)| name != "host");
        kept
    };
    assert_eq!(names(again.headers), names(head.headers), "the rest in its order");
    second_reader(&again, out);
}

/// Length and coding.
fn framing(head: &RequestHead<'_, '_>) -> (Option<u64>, bool, &'static str) {
    let kind = match Body::of_request(head) {
        Body::Done => "none",
        Body::Length(_) => "length",
        Body::Chunked(_) => "chunked",
        Body::Dechunked(_) | Body::UntilClose => panic!("no body of a request"),
    };
    (head.fields.content_length, head.fields.coded, kind)
}

fn second_reader(again: &RequestHead<'_, '_>, out: &[u8]) {
    let plain = plain::read(out);
    if plain.is_binary() {
        return;
    }
    assert_eq!(plain.start, [again.method, again.target, "HTTP/1.1"]);
    assert_eq!(plain.fields.len(), again.headers.len());
    for ((name, value), header) in plain.fields.iter().zip(again.headers) {
        assert_eq!((*name, value.as_bytes()), (header.name, header.value));
    }
    assert!(plain.all("keep-alive").is_empty() && plain.all("proxy-connection").is_empty());
    let codings = plain.all("transfer-encoding");
    assert!(codings.is_empty() || codings == ["chunked"]);
    assert!(codings.is_empty() || plain.all("content-length").is_empty());
    assert!(plain.all("content-length").len() <= 1);
    let connection = plain.all("connection");
    assert!(connection.is_empty() || connection == ["upgrade"] || connection == ["te"], "{connection:?}");
    assert_eq!(plain.all("te"), if connection == ["te"] { vec!["trailers"] } else { vec![] });
    assert_eq!(plain.all("upgrade").is_empty(), connection != ["upgrade"]);
}

/// The next proxy passes the same on, but for the identity, which is its own business.
fn twice(once: &[u8], identity: Option<&[u8]>) {
    let mut slots = slots();
    let head = RequestHead::parse(once, &mut slots).unwrap().unwrap();
    let mut out = Buffer::default();
    let caller = Caller { identity, address: None };
    encode::request(&head, once, Added { caller, host: HOST.parse().unwrap() }, &mut out);
    let sorted = |bytes: &[u8]| {
        let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_ascii_lowercase).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(out.bytes()), sorted(once));
}
