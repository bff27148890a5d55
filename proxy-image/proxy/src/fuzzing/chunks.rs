//! The chunked coding, against a decoder that sees the whole body at once.

use super::choices;
use crate::exchange::headers::is_identity;
use crate::h1::fuzzed::{Body, Chunked};

/// Content, bytes taken, and whether the body was whole.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    content: Vec<u8>,
    taken: usize,
    whole: bool,
}

/// A body reads alike however it is cut, and as the simple decoder reads it; no trailer vouches for a caller.
pub fn chunked(data: &[u8]) {
    let Some(([first, second], body)) = choices(data) else { return };
    let body = &body[..body.len().min(64 * 1024)];
    let at_once = decode(body, &[usize::MAX]);
    let pieces = [usize::from(first % 9) + 1, usize::from(second % 31) + 1];
    assert_eq!(decode(body, &pieces), at_once, "in pieces of {pieces:?}");
    for cut in (1..body.len()).filter(|cut| *cut < 128 || cut.is_multiple_of(61)) {
        assert_eq!(decode(body, &[cut, usize::MAX]), at_once, "cut at {cut}");
    }
    if body.len() <= 512 {
        assert_eq!(decode(body, &[1]), at_once, "byte by byte");
    }
    match (simple(body), &at_once) {
        (Simple::Whole(read), got) => assert_eq!(got.as_ref(), Ok(&read)),
        (Simple::Malformed, got) => assert!(got.is_err(), "{got:?}"),
        (Simple::Short(content), Ok(got)) => {
            assert!(!got.whole && got.content.starts_with(&content));
        }
        (Simple::Short(_), Err(())) => {}
    }
    passed_on(body, &at_once, pieces[1]);
}

fn decode(body: &[u8], pieces: &[usize]) -> Result<Read, ()> {
    let (mut chunked, mut content, mut at) = (Chunked::default(), Vec::new(), 0);
    let mut sizes = pieces.iter().copied().cycle();
    let mut end = 0;
    while at < body.len() && !chunked.is_done() {
        if at == end {
            end = at.saturating_add(sizes.next().unwrap_or(1)).min(body.len());
        }
        let window = &body[at..end];
        let run = chunked.next(window).map_err(|_| ())?;
        assert!((1..=window.len()).contains(&run.length), "every call gets on");
        if run.is_data {
            content.extend_from_slice(&window[..run.length]);
        }
        at += run.length;
    }
    Ok(Read { content, taken: at, whole: chunked.is_done() })
}

enum Simple {
    Whole(Read),
    /// The content so far.
    Short(Vec<u8>),
    Malformed,
}

/// The line at the front, and what follows it; None while its end is missing.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

fn simple(body: &[u8]) -> Simple {
    let (mut rest, mut content) = (body, Vec::new());
    loop {
        let Some((size, after)) = line(rest) else { return Simple::Short(content) };
        let Some(size) = chunk_size(size) else { return Simple::Malformed };
        rest = after;
        if size == 0 {
            break;
        }
        let Some(data) = usize::try_from(size).ok().and_then(|size| rest.get(..size)) else {
            content.extend_from_slice(rest);
            return Simple::Short(content);
        };
        content.extend_from_slice(data);
        match &rest[data.len()..] {
            [b'\r', b'\n', after @ ..] => rest = after,
            [] | [b'\r'] => return Simple::Short(content),
            _ => return Simple::Malformed,
        }
    }
    let mut trailers = 0;
    loop {
        let Some((trailer, after)) = line(rest) else { return Simple::Short(content) };
        rest = after;
        if trailer.is_empty() {
            return Simple::Whole(Read { content, taken: body.len() - rest.len(), whole: true });
        }
        let Some(colon) = trailer.iter().position(|byte| *byte == b':') else { return Simple::Malformed };
        let (name, value) = (&trailer[..colon], &trailer[colon + 1..]);
        trailers += trailer.len() - 1;
        let legal =
            !name.is_empty() && name.iter().all(|byte| is_token(*byte)) && value.iter().all(|byte| is_text(*byte));
        let vouches = std::str::from_utf8(name).is_ok_and(is_identity);
        if !legal || vouches || trailers > 8192 {
            return Simple::Malformed;
        }
    }
}

/// `1*15HEXDIG [ BWS ";" text ]`, where space may stand before the semicolon only.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(1..=15).contains(&digits) {
        return None;
    }
    let text = std::str::from_utf8(&line[..digits]).ok()?;
    let extension = &line[digits..];
    let space = extension.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let legal = match &extension[space..] {
        [] => space == 0,
        // The semicolon itself is not counted.
        [b';', more @ ..] => space + more.len() <= 256 && more.iter().all(|byte| is_text(*byte)),
        _ => false,
    };
    if legal { u64::from_str_radix(text, 16).ok() } else { None }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The two ways in which a body is passed on.
fn passed_on(body: &[u8], read: &Result<Read, ()>, piece: usize) {
    for dechunk in [false, true] {
        let mut state = if dechunk { Body::Dechunked(Chunked::default()) } else { Body::Chunked(Chunked::default()) };
        let (mut at, mut passed) = (0, Vec::new());
        while at < body.len() && !state.is_done() {
            let window = &body[at..(at + piece).min(body.len())];
            let Ok(step) = state.step(window) else {
                assert!(read.is_err());
                return;
            };
            assert!(step.skip + step.forward <= window.len() && step.skip + step.forward > 0);
            passed.extend_from_slice(&window[step.skip..step.skip + step.forward]);
            at += step.skip + step.forward;
        }
        let read = read.as_ref().expect("it was malformed, and passed");
        assert_eq!((at, state.is_done()), (read.taken, read.whole));
        assert_eq!(passed, if dechunk { read.content.clone() } else { body[..read.taken].to_vec() });
    }
}
