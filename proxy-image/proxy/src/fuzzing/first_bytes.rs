//! Protocol detection.

use std::io::Cursor;

use rustls::server::Acceptor;

use crate::detect::{FirstLine, LIMIT, Piece, Verdict, judge, offers_mesh};
use crate::tls::ALPN;

/// No piece of a line that a server may take for HTTP passes as bytes, however it is cut; a ClientHello is read as rustls reads it; and
/// nothing is undecided for ever.
pub fn detect(data: &[u8]) {
    let whole = judge(data);
    assert!(data.len() < LIMIT || whole != Verdict::Undecided);
    line(data, whole);
    watched(data);
    hello(data);
}

fn cuts(data: &[u8]) -> impl Iterator<Item = usize> {
    // All of a short beginning, some of a long one.
    (1..data.len()).filter(|cut| *cut <= 256 || cut.is_multiple_of(97))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0b | 0x0c | b' ' | 0x1c..=0x1f | 0x85 | 0xa0)
}

/// A line as a lenient server reads it: a method, a path, and a version or an end.
fn is_lenient_request(data: &[u8]) -> bool {
    let start = data.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(data.len());
    let Some(end) = data[start..].iter().position(|byte| matches!(byte, b'\r' | b'\n')) else { return false };
    let mut words = data[start..start + end].split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let named = |word: &[u8]| {
        let digit = word.get(5).is_some_and(u8::is_ascii_digit);
        digit && word.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP/"))
    };
    let tokens = method.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
    tokens && target.starts_with(b"/") && (method.eq_ignore_ascii_case(b"GET") || words.any(named))
}

fn line(data: &[u8], whole: Verdict) {
    if data.first() == Some(&0x16) {
        return;
    }
    if is_lenient_request(data) {
        assert!(matches!(whole, Verdict::Http1 | Verdict::Http2), "{whole:?}: {:?}", String::from_utf8_lossy(data));
        for cut in cuts(data) {
            let verdict = judge(&data[..cut]);
            assert!(
                matches!(verdict, Verdict::Undecided | Verdict::Http1 | Verdict::Http2),
                "{verdict:?} at {cut} of {:?}",
                String::from_utf8_lossy(data)
            );
        }
    }
    assert!(whole != Verdict::MeshTls && whole != Verdict::Tls, "TLS begins with its record type");
}

/// A line that is watched while it passes: what comes in pieces is judged as what comes whole, and none of it passes once it is HTTP's.
fn watched(data: &[u8]) {
    let size = data.last().map_or(1, |byte| usize::from(*byte % 7) + 1);
    let mut line = FirstLine::default();
    let mut passed = 0;
    for piece in data[..data.len().min(LIMIT)].chunks(size) {
        match line.next(piece) {
            Piece::Watched => {
                passed += piece.len();
                assert_eq!(judge(&data[..passed]), Verdict::Undecided);
            }
            Piece::Free => {
                return assert!(!matches!(judge(&data[..passed + piece.len()]), Verdict::Http1 | Verdict::Http2));
            }
            Piece::Http => {
                assert!(!is_lenient_request(&data[..passed]), "its line had ended before");
                return;
            }
        }
    }
}

fn hello(data: &[u8]) {
    let verdict = offers_mesh(data);
    for cut in cuts(data) {
        let earlier = offers_mesh(&data[..cut]);
        assert!(earlier.is_none() || earlier == verdict, "{earlier:?} at {cut}, then {verdict:?}");
    }
    let Some(length) = data.get(3..5).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]]))) else {
        return;
    };
    let Some(record) = data.get(..5 + length) else { return };
    let mut acceptor = Acceptor::default();
    if acceptor.read_tls(&mut Cursor::new(record)).is_err() {
        return;
    }
    if let Ok(Some(accepted)) = acceptor.accept() {
        let ours = accepted.client_hello().alpn().is_some_and(|mut all| all.any(|one| one == ALPN));
        assert_eq!(offers_mesh(record), Some(Ok(ours)));
    }
}
