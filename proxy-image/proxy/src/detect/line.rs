//! Whether a first line is HTTP/1's. Pure.
//!
//! The question is not what a strict server would take for HTTP but what the most lenient one might: whatever passes as bytes reaches the
//! application with all its header fields, forged identities among them. What is called HTTP here and is none is refused with 400 later.

use super::Verdict;

/// Judges a beginning that is neither TLS nor the HTTP/2 preface. Empty lines before it are tolerated here and judged later.
pub(super) fn judge(bytes: &[u8]) -> Verdict {
    let blank = bytes.iter().take_while(|byte| separates(**byte) || matches!(**byte, b'\r' | b'\n')).count();
    let rest = bytes.get(blank..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else { return unfinished(rest) };
    let line = rest.get(..end).unwrap_or_default();
    let mut words = line.split(|byte| separates(*byte)).filter(|word| !word.is_empty());
    let method = words.next().unwrap_or_default();
    let second = words.clone().next().unwrap_or_default();
    if words.any(is_version) {
        return Verdict::Http1;
    }
    // HTTP/0.9: it has no header fields, and there are servers that read them all the same.
    if method.eq_ignore_ascii_case(b"GET") && is_path(second) { Verdict::Http1 } else { Verdict::Bytes }
}

/// The line's end is still to come.
fn unfinished(line: &[u8]) -> Verdict {
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    let (Some(after), true) = (line.get(method), method > 0 || line.is_empty()) else {
        return if method == line.len() { Verdict::Undecided } else { Verdict::Bytes };
    };
    if !separates(*after) {
        return Verdict::Bytes;
    }
    let target = line.get(method..).unwrap_or_default();
    let target = target.get(target.iter().take_while(|byte| separates(**byte)).count()..).unwrap_or_default();
    // Some servers take spaces and worse in a path, so only the line's end tells.
    if target.is_empty() || is_path(target) {
        return Verdict::Undecided;
    }
    let third = target.split(|byte| separates(*byte)).filter(|word| !word.is_empty()).nth(1);
    let text = target.iter().all(|byte| separates(*byte) || byte.is_ascii_graphic());
    if text && third.is_none_or(may_be_version) { Verdict::Undecided } else { Verdict::Bytes }
}

/// RFC 9110 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// White space between the words of a request line (RFC 9112 3), and what the text functions of some languages count as such besides.
fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | 0x1c..=0x1f | 0x85 | 0xa0)
}

/// A server would look for what it names.
fn is_path(target: &[u8]) -> bool {
    const SCHEME: &[u8] = b"http";
    let scheme = target.get(..SCHEME.len().min(target.len())).unwrap_or_default();
    target.starts_with(b"/")
        || (!target.is_empty() && SCHEME.get(..scheme.len()).is_some_and(|of| of.eq_ignore_ascii_case(scheme)))
}

fn is_version(word: &[u8]) -> bool {
    word.len() > NAME.len() && may_be_version(word)
}

const NAME: &[u8] = b"HTTP/";

/// `word` is `HTTP/<digit>...` in any case, or may become it.
fn may_be_version(word: &[u8]) -> bool {
    let seen = word.len().min(NAME.len());
    let named = word.get(..seen).zip(NAME.get(..seen)).is_some_and(|(word, name)| word.eq_ignore_ascii_case(name));
    named && word.get(NAME.len()).is_none_or(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, judge};

    #[test]
    fn whatever_a_lenient_server_takes_for_http_is_http() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"get / HTTP/1.1\r\n",
            b"gEt /x?y HTTP/1.0\n",
            b"M-SEARCH * HTTP/1.1\r\n",
            b"x!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n",
            b"AMETHODOFMORETHANTWENTYFOURLETTERS / HTTP/1.1\r\n",
            b"1 / HTTP/1.1\r\n",
            b"GET  /  HTTP/1.1\r\n",
            b"GET\t/\tHTTP/1.1\r\n",
            b"GET\xa0/\xa0HTTP/1.1\r\n",
            b"GET /a b HTTP/1.1\r\n",
            b"GET /\x00 HTTP/1.1\r\n",
            b"G(ET / HTTP/1.1\r\n",
            b"GET / http/1.1\r\n",
            b"GET / HTTP/3.0\r\n",
            b"GET / HTTP/1.1 more\r\n",
            b"get http://x/ HTTP/1.1\r\n",
            b"connect a:1 HTTP/1.1\r\n",
            b"\r\n\r\n\r\n\r\nget / HTTP/1.1\r\n",
            b" GET / HTTP/1.1\r\n",
            b"GET /\r\nweft-client-id: x\r\n",
            b"get /\n",
        ] {
            assert_eq!(judge(bytes), Verdict::Http1, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn no_first_piece_of_such_a_line_passes_as_bytes() {
        for line in [
            &b"get / HTTP/1.1\r\n"[..],
            b"PRI / HTTP/1.1\r\n",
            b"AMETHODOFMORETHANTWENTYFOURLETTERS /a b HTTP/1.1\r\n",
            b"x \t http://a/\x01b\xffc d HTTP/1.1\r\n",
            b"GET\xa0/\x85HTTP/1.1\r\n",
            b"GET\x1c/\x1fHTTP/1.1\n",
            b"\x0b\xa0\r\n\x1eget / HTTP/1.1\r\n",
            b"connect a:1 HTTP/1.1\r\n",
            b"options * HTTP/1.1\r\n",
            b"\r\n\r\n\r\n\r\nget / HTTP/1.1\r\n",
            b"get /\r\n",
        ] {
            for length in 1..line.len() {
                let piece = &line[..length];
                let verdict = judge(piece);
                assert!(
                    matches!(verdict, Verdict::Undecided | Verdict::Http1),
                    "{verdict:?}: {:?}",
                    String::from_utf8_lossy(piece)
                );
            }
        }
    }

    #[test]
    fn other_protocols_are_bytes_as_soon_as_their_first_message_is_there() {
        let random: Vec<u8> = (0_u32..64).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 0x80).collect();
        for bytes in [
            &b"ping\n"[..],
            b"PING\r\n",
            b"GET key\r\n",
            b"set key value\r\n",
            b"SET key HTTP/x\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"*",
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00postgres\x00",
            b"EHLO there\r\n",
            b"MAIL FROM:<a@b>\r\n",
            b"STATS",
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"CONNECT\naccept-version:1.2\n",
            b"CONNECT {\"verbose\":false}\r\nPING\r\n",
            b"SELECT 1 FROM x",
            b"AMQP\x00\x00\x09\x01",
            b"\x10\x0c\x00\x04MQTT\x04",
            b"{\"json\": 1}",
            b"A \x00\x01\x02",
            b"A\x00/ ",
            &random,
        ] {
            // Two that are no whole message: they may still become a method.
            let want = if matches!(bytes, b"*" | b"STATS") { Verdict::Undecided } else { Verdict::Bytes };
            assert_eq!(judge(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
