//! What a server says before its client has spoken. Pure.

/// Length of an HTTP/2 frame's header (RFC 9113 4.1).
const FRAME: usize = 9;
const SETTINGS: u8 = 4;

/// Whether a server that speaks first speaks HTTP all the same: an HTTP/2 server may send its SETTINGS at once (RFC 9113 3.4), and an HTTP/1
/// server says so when it tires of waiting. Its client is then to be served as HTTP. None while bytes are missing.
#[must_use]
pub fn is_http_server(bytes: &[u8]) -> Option<bool> {
    const RESPONSE: &[u8] = b"HTTP/";
    if bytes.starts_with(RESPONSE) {
        return Some(true);
    }
    if RESPONSE.starts_with(bytes) {
        return None;
    }
    // Length, type, flags and stream; SETTINGS are whole settings of six bytes, no acknowledgement, and of stream 0.
    let pattern = [Some(0), None, None, Some(SETTINGS), Some(0), Some(0), Some(0), Some(0), Some(0)];
    let fits = bytes.iter().zip(pattern).all(|(byte, want)| want.is_none_or(|want| want == *byte));
    match bytes.get(1..3) {
        _ if !fits => Some(false),
        Some([high, low]) if bytes.len() >= FRAME => Some(u16::from_be_bytes([*high, *low]).is_multiple_of(6)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_http_server;

    #[test]
    fn http_is_told_from_other_greetings_as_soon_as_it_can_be() {
        for (bytes, want) in [
            (&b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03"[..], true),
            (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", true),
            (b"HTTP/1.1 408 Request Timeout\r\n", true),
            // SETTINGS of 5 bytes, an acknowledgement, and settings of a stream.
            (b"\x00\x00\x05\x04\x00\x00\x00\x00\x00", false),
            (b"\x00\x00\x00\x04\x01\x00\x00\x00\x00", false),
            (b"\x00\x00\x06\x04\x00\x00\x00\x00\x01", false),
            (b"220 ready\r\n", false),
            (b"HELO\r\n", false),
            // MySQL's greeting and a PostgreSQL error.
            (b"\x4a\x00\x00\x00\x0a8.0.36\x00", false),
            (b"E\x00\x00\x00\x42SFATAL\x00", false),
        ] {
            assert_eq!(is_http_server(bytes), Some(want), "{bytes:?}");
            for cut in 1..bytes.len() {
                let verdict = is_http_server(&bytes[..cut]);
                assert!(verdict.is_none() || verdict == Some(want), "{bytes:?} cut at {cut}: {verdict:?}");
            }
        }
        assert_eq!(is_http_server(b""), None);
        assert_eq!(is_http_server(b"\x00\x00\x12\x04"), None);
        assert_eq!(is_http_server(b"HTT"), None);
    }
}
