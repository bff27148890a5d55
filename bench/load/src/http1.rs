//! Just enough of HTTP/1.1 for responses with a length.

/// The response at the front of `bytes`: its status and whole length. None while bytes are missing.
pub fn response(bytes: &[u8]) -> Option<(u16, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())?;
    (bytes.len() >= head + length).then_some((status, head + length))
}

pub fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: app.local\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_there_when_its_last_byte_is() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(response(whole), Some((200, whole.len())));
        assert_eq!(response(&whole[..whole.len() - 1]), None);
        assert_eq!(response(&whole[..20]), None);
    }
}
