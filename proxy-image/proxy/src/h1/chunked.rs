//! The chunked transfer coding (RFC 9112 7.1), scanned byte for byte and strictly. Pure.

use crate::exchange::headers::is_identity;

/// Bytes of chunk extensions that one chunk may have.
const MAX_EXTENSION: u32 = 256;
/// Bytes of trailer section that one message may have.
const MAX_TRAILERS: u32 = 8192;
/// Hex digits of a chunk size.
const MAX_DIGITS: u8 = 15;

/// The body breaks the coding's grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A run of bytes at the front of what was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of bytes.
    pub length: usize,
    /// Content, not framing.
    pub is_data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    SizeStart,
    Size,
    SpaceBeforeExtension,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

/// Where in a chunked body the scan stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunked {
    state: State,
    remaining: u64,
    digits: u8,
    extension: u32,
    trailers: u32,
    name_length: u8,
    name: [u8; 16],
}

impl Chunked {
    /// The last byte of the body has been scanned.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Scans the next run: framing up to the next byte of content, or content up to the end of its chunk.
    ///
    /// # Errors
    /// At the first byte that breaks the grammar.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Run, Malformed> {
        if self.state == State::Data {
            let length = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
            self.remaining -= u64::try_from(length).unwrap_or_default();
            if self.remaining == 0 {
                self.state = State::DataCr;
            }
            return Ok(Run { length, is_data: true });
        }
        let mut length = 0;
        for byte in bytes {
            if matches!(self.state, State::Data | State::Done) {
                break;
            }
            self.state = self.step(*byte)?;
            length += 1;
        }
        Ok(Run { length, is_data: false })
    }

    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        Ok(match (self.state, byte) {
            (State::SizeStart | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Size, b'\r') => State::SizeLf,
            (State::Size | State::SpaceBeforeExtension, b';') => State::Extension,
            (State::Size | State::SpaceBeforeExtension, b' ' | b'\t') => self.extend(State::SpaceBeforeExtension)?,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.extend(State::Extension)?,
            (State::SizeLf, b'\n') if self.remaining == 0 => State::LineStart,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                (self.digits, self.extension) = (0, 0);
                State::SizeStart
            }
            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart, byte) if is_token(byte) => {
                self.name_length = 0;
                self.name(byte)?
            }
            (State::Name, b':') => self.end_name()?,
            (State::Name, byte) if is_token(byte) => self.name(byte)?,
            (State::Value, b'\r') => State::ValueLf,
            (State::Value, b'\t' | b' '..=b'~' | 0x80..) => self.trailer(State::Value)?,
            (State::ValueLf, b'\n') => State::LineStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(Malformed),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<State, Malformed> {
        self.digits += 1;
        if self.digits > MAX_DIGITS {
            return Err(Malformed);
        }
        let value = char::from(byte).to_digit(16).ok_or(Malformed)?;
        self.remaining = self.remaining << 4 | u64::from(value);
        Ok(State::Size)
    }

    fn extend(&mut self, state: State) -> Result<State, Malformed> {
        self.extension += 1;
        if self.extension > MAX_EXTENSION { Err(Malformed) } else { Ok(state) }
    }

    fn trailer(&mut self, state: State) -> Result<State, Malformed> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS { Err(Malformed) } else { Ok(state) }
    }

    fn name(&mut self, byte: u8) -> Result<State, Malformed> {
        if let Some(slot) = self.name.get_mut(usize::from(self.name_length)) {
            *slot = byte;
        }
        self.name_length = self.name_length.saturating_add(1);
        self.trailer(State::Name)
    }

    /// A trailer that vouches for the caller is forged, whoever sends it.
    fn end_name(&mut self) -> Result<State, Malformed> {
        let name = self.name.get(..usize::from(self.name_length)).unwrap_or_default();
        if std::str::from_utf8(name).is_ok_and(is_identity) {
            return Err(Malformed);
        }
        Ok(State::Value)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content of a whole chunked body fed in pieces of `piece` bytes, and what follows it.
    fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut chunked, mut content, mut at) = (Chunked::default(), Vec::new(), 0);
        while at < bytes.len() && !chunked.is_done() {
            let window = &bytes[at..(at + piece).min(bytes.len())];
            let run = chunked.next(window)?;
            if run.is_data {
                content.extend_from_slice(&window[..run.length]);
            }
            at += run.length;
        }
        Ok((content, at, chunked.is_done()))
    }

    #[test]
    fn a_body_reads_alike_however_it_is_cut() {
        let body = b"5\r\nhello\r\n6;ext=\"1\"\r\n world\r\n0\r\nX-Sum: 12\r\n\r\nNEXT";
        for piece in 1..body.len() {
            assert_eq!(decode(body, piece), Ok((b"hello world".to_vec(), body.len() - 4, true)), "pieces of {piece}");
        }
        assert_eq!(decode(b"0\r\n\r", 9), Ok((vec![], 4, false)));
    }

    #[test]
    fn extensions_trailers_and_sizes_have_their_bounds() {
        let extension = |count: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(count));
        // A trailer counts with its name and its value.
        let trailer = |count: usize| format!("0\r\nt:{}\r\n\r\n", "v".repeat(count - 1));
        let size = |count: usize| format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(count - 1));
        let cases: [(&dyn Fn(usize) -> String, usize); 3] =
            [(&extension, MAX_EXTENSION as usize), (&trailer, MAX_TRAILERS as usize), (&size, MAX_DIGITS.into())];
        for (body, bound) in cases {
            assert!(decode(body(bound).as_bytes(), 64).is_ok_and(|(_, _, done)| done), "{bound}");
            assert_eq!(decode(body(bound + 1).as_bytes(), 64), Err(Malformed), "{bound} and one");
        }
    }

    #[test]
    fn anything_ambiguous_is_refused() {
        for body in [
            &b"\r\n"[..],
            b"5\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"-1\r\n",
            b"+5\r\nhello\r\n",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n",
            b"5;a\nb\r\nhello\r\n",
            b"ffffffffffffffff\r\n",
            b"0\r\nbad name: 1\r\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\n: empty\r\n\r\n",
            b"0\r\nname : 1\r\n\r\n",
            b"0\r\na: b\n\r\n",
            b"0\r\nWeft-Client-Id: spiffe://forged\r\n\r\n",
        ] {
            assert_eq!(decode(body, 64), Err(Malformed), "{:?}", String::from_utf8_lossy(body));
        }
    }
}
