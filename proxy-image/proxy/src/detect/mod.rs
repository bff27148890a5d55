//! What the first bytes of a connection are. Pure functions over peeked bytes; nothing is consumed.

mod hello;

pub use hello::offers_mesh;

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

/// As many bytes as detection ever looks at; what is undecided then is bytes. A ClientHello with a post-quantum key share and a
/// long list of extensions stays below 4 KB.
pub const LIMIT: usize = 8192;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest request method that detection believes in.
const MAX_METHOD: usize = 24;
/// Longest request line that detection waits for before it believes in HTTP without seeing the version.
const MAX_REQUEST_LINE: usize = 4096;

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
        Some(_) => request_line(bytes),
    };
    if verdict == Verdict::Undecided && bytes.len() >= LIMIT {
        return if bytes.first() == Some(&0x16) { Verdict::Tls } else { Verdict::Bytes };
    }
    verdict
}

/// `METHOD SP target SP HTTP/1.`; empty lines before it are tolerated here and refused later.
fn request_line(bytes: &[u8]) -> Verdict {
    let line = bytes.trim_ascii_start();
    if line.is_empty() {
        return if bytes.len() <= 2 { Verdict::Undecided } else { Verdict::Bytes };
    }
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')).count();
    if method == line.len() && method <= MAX_METHOD {
        return Verdict::Undecided;
    }
    if method == 0 || method > MAX_METHOD || line.get(method) != Some(&b' ') {
        return Verdict::Bytes;
    }
    let rest = line.get(method + 1..).unwrap_or_default();
    match rest.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n') || byte.is_ascii_control()) {
        None if rest.len() >= MAX_REQUEST_LINE => Verdict::Http1,
        None => Verdict::Undecided,
        Some(0) => Verdict::Bytes,
        Some(end) if rest.get(end) == Some(&b' ') => {
            let version = rest.get(end + 1..).unwrap_or_default();
            let wanted = b"HTTP/1.";
            let seen = version.len().min(wanted.len());
            match (version.get(..seen) == wanted.get(..seen), seen == wanted.len()) {
                (true, true) => Verdict::Http1,
                (true, false) => Verdict::Undecided,
                // It looks like HTTP and names another version: the HTTP path refuses it with an answer.
                (false, _) => {
                    if wanted.starts_with(version.get(..5.min(seen)).unwrap_or_default()) {
                        Verdict::Http1
                    } else {
                        Verdict::Bytes
                    }
                }
            }
        }
        Some(_) => Verdict::Bytes,
    }
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
            (b"GET  / HTTP/1.1\r\n", Verdict::Bytes),
            (b"get / HTTP/1.1\r\n", Verdict::Bytes),
            (b"\x00\x01\x02", Verdict::Bytes),
            (b"*1\r\n$4\r\nPING\r\n", Verdict::Bytes),
        ] {
            assert_eq!(judge(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
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
