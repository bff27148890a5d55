//! Response heads.

use super::{choices, plain};
use crate::buffer::Buffer;
use crate::h1::fuzzed::{Body, MAX_HEADERS, Persistence, ResponseHead, encode, slots};

/// What is passed on of a response reads as the same response, framed alike, exactly one, and says of the connection only what the proxy
/// says.
pub fn h1_response(data: &[u8]) {
    let Some(([choice], bytes)) = choices(data) else { return };
    let mut slots = slots();
    let Ok(Some(head)) = ResponseHead::parse(bytes, &mut slots) else { return };
    assert!(head.length <= bytes.len() && head.status >= 100);
    let persistence =
        [Persistence::Default, Persistence::Close, Persistence::KeepAlive][usize::from(choice & 3).min(2)];
    let (dechunk, bodyless) = (choice & 4 != 0, choice & 8 != 0);
    if head.headers.len() + plain::ADDED > MAX_HEADERS {
        return;
    }
    let mut out = Buffer::default();
    encode::response(&head, bytes, persistence, dechunk, &mut out);
    compare(&head, out.bytes(), dechunk, bodyless);
    connection(&head, out.bytes(), persistence);
}

fn compare(head: &ResponseHead<'_, '_>, out: &[u8], dechunk: bool, bodyless: bool) {
    let mut slots = slots();
    let again = ResponseHead::parse(out, &mut slots).expect("what is passed on is well-formed").expect("and whole");
    assert_eq!((again.length, again.http10), (out.len(), false), "and one message");
    assert_eq!((again.status, again.reason), (head.status, head.reason));
    // A body whose chunks were taken off reaches to the end of the connection.
    let expected = match kind(&Body::of_response(head, bodyless, dechunk)) {
        "dechunked" => "close",
        other => other,
    };
    assert_eq!(kind(&Body::of_response(&again, bodyless, false)), expected, "framed alike");
    assert_eq!(again.fields.content_length, head.fields.content_length);
    let names =
        |headers: &[httparse::Header<'_>]| plain::end_to_end(headers.iter().map(|header| (header.name, header.value)));
    assert_eq!(names(again.headers), names(head.headers), "the rest in its order");
}

fn kind(body: &Body) -> &'static str {
    match body {
        Body::Done => "none",
        Body::Length(_) => "length",
        Body::Chunked(_) => "chunked",
        Body::Dechunked(_) => "dechunked",
        Body::UntilClose => "close",
    }
}

fn connection(head: &ResponseHead<'_, '_>, out: &[u8], persistence: Persistence) {
    let plain = plain::read(out);
    if plain.is_binary() {
        return;
    }
    assert_eq!(plain.start.first(), Some(&"HTTP/1.1"));
    assert!(plain.all("keep-alive").is_empty() && plain.all("proxy-connection").is_empty());
    assert!(
        plain.all("te").is_empty() && plain.all("weft-client-id").is_empty() && plain.all("l5d-client-id").is_empty()
    );
    let connection = plain.all("connection");
    if head.status == 101 {
        assert_eq!(connection, ["upgrade"]);
    } else {
        let said: &[&str] = match persistence {
            Persistence::Default => &[],
            Persistence::Close => &["close"],
            Persistence::KeepAlive => &["keep-alive"],
        };
        assert_eq!(connection, said);
        assert!(plain.all("upgrade").is_empty());
    }
    let codings = plain.all("transfer-encoding");
    assert!(codings.is_empty() || (codings == ["chunked"] && plain.all("content-length").is_empty()));
    // RFC 9112 6.1: neither has a body whose coding could be said.
    assert!(codings.is_empty() || (head.status >= 200 && head.status != 204), "a coding of no body");
}
