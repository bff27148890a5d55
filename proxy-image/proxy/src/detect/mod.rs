//! What the first bytes of a connection are. Pure functions over peeked bytes; nothing is consumed.

mod guard;
mod hello;
mod line;
mod server;

pub use guard::{FirstLine, Piece};
pub use hello::offers_mesh;
pub use server::is_http_server;

/// The verdict on a connection's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A ClientHello that offers our ALPN.
    MeshTls,
    /// Any other ClientHello.
    Tls,
    /// The HTTP/2 connection preface.
    Http2,
    /// An HTTP/1 request line has begun.
    Http1,
    /// Anything else.
    Bytes,
    /// Too few bytes to say.
    Undecided,
}

/// As many bytes as detection ever looks at; what is undecided then is TLS or HTTP, whose parsers refuse it. A ClientHello with a post-quantum key share and a
/// long list of extensions stays below 4 KB.
pub const LIMIT: usize = 8192;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Judges the first bytes of a connection.
#[must_use]
pub fn judge(bytes: &[u8]) -> Verdict {
    let verdict = match bytes.first() {
        None => Verdict::Undecided,
        Some(0x16) => match offers_mesh(bytes) {
            None => Verdict::Undecided,
            Some(Err(())) => Verdict::Bytes,
            Some(Ok(true)) => Verdict::MeshTls,
            Some(Ok(false)) => Verdict::Tls,
        },
        Some(_) if bytes.starts_with(PREFACE) => Verdict::Http2,
        Some(_) if PREFACE.starts_with(bytes) => Verdict::Undecided,
        Some(_) => line::judge(bytes),
    };
    if verdict == Verdict::Undecided && bytes.len() >= LIMIT {
        return endless(bytes);
    }
    verdict
}

/// Whether `bytes` are one word and no more: what a message without a line's end looks like, and what hardly any client of HTTP leaves it at.
#[must_use]
pub fn is_lone_word(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| line::is_token(*byte))
}

/// What a beginning that stays undecided up to [`LIMIT`] counts as: what may still become HTTP goes to where it is refused with an answer, because as
/// bytes it would reach the application with header fields that nobody has looked at.
#[must_use]
pub fn endless(bytes: &[u8]) -> Verdict {
    if bytes.first() == Some(&0x16) { Verdict::Tls } else { Verdict::Http1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_seen_by_its_request_line() {
        for (bytes, want) in [
            (&b""[..], Verdict::Undecided),
            (b"G", Verdict::Undecided),
            (b"GET ", Verdict::Undecided),
            (b"GET / HTT", Verdict::Undecided),
            (b"GET / HTTP/1.1\r\n", Verdict::Http1),
            (b"M-SEARCH * HTTP/1.1\r\n", Verdict::Http1),
            (b"\r\nGET / HTTP/1.1\r\n", Verdict::Http1),
            (b"GET / HTTP/3.0\r\n", Verdict::Http1),
            (b"PRI * HT", Verdict::Undecided),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", Verdict::Http2),
            (b"SELECT 1 FROM x", Verdict::Bytes),
            (b"EHLO there\r\n", Verdict::Bytes),
            (b"\x00\x01\x02", Verdict::Bytes),
            (b"*1\r\n$4\r\nPING\r\n", Verdict::Bytes),
        ] {
            assert_eq!(judge(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_word_is_alone_until_something_follows_it() {
        for (bytes, want) in [
            (&b""[..], false),
            (b"ruok", true),
            (b"*", true),
            (b"GET", true),
            (b"GET ", false),
            (b"\r\nGET", false),
            (b"\x16\x03\x01", false),
        ] {
            assert_eq!(is_lone_word(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn detection_never_looks_past_its_limit() {
        let mut endless = b"GET /".to_vec();
        endless.resize(LIMIT, b'a');
        assert_ne!(judge(&endless), Verdict::Undecided);
        let mut hello = vec![0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc];
        hello.resize(LIMIT, 0);
        assert_ne!(judge(&hello), Verdict::Undecided);
    }
}
