//! How far a message body reaches, and which of the bytes read so far may be passed on. Pure.

use super::chunked::{Chunked, Malformed};
use super::head::{RequestHead, ResponseHead};

/// What is left of a body.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Nothing.
    Done,
    /// So many bytes.
    Length(u64),
    /// Chunks, passed on as they are.
    Chunked(Chunked),
    /// Chunks whose content alone is passed on, to a client of HTTP/1.0.
    Dechunked(Chunked),
    /// Everything up to the end of the stream.
    UntilClose,
}

/// What to do with the bytes at the front of a buffer: first forget `skip`, then pass `forward` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Framing that the receiver does not get.
    pub skip: usize,
    /// Bytes for the receiver.
    pub forward: usize,
}

impl Body {
    /// The body of a request.
    #[must_use]
    pub fn of_request(head: &RequestHead<'_, '_>) -> Self {
        match head.fields.content_length {
            _ if head.fields.coded => Body::Chunked(Chunked::default()),
            None | Some(0) => Body::Done,
            Some(length) => Body::Length(length),
        }
    }

    /// The body of a response (RFC 9112 6.3); `bodyless` when it answers HEAD, `dechunk` for a client of HTTP/1.0.
    #[must_use]
    pub fn of_response(head: &ResponseHead<'_, '_>, bodyless: bool, dechunk: bool) -> Self {
        if bodyless || head.status < 200 || matches!(head.status, 204 | 304) {
            return Body::Done;
        }
        match head.fields.content_length {
            _ if head.fields.coded && dechunk => Body::Dechunked(Chunked::default()),
            _ if head.fields.coded => Body::Chunked(Chunked::default()),
            Some(0) => Body::Done,
            Some(length) => Body::Length(length),
            None => Body::UntilClose,
        }
    }

    /// The last byte has been seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Body::Done | Body::Length(0) => true,
            Body::Chunked(chunked) | Body::Dechunked(chunked) => chunked.is_done(),
            Body::Length(_) | Body::UntilClose => false,
        }
    }

    /// The stream has ended here; whether the body may end with it.
    #[must_use]
    pub fn ends_with_stream(&mut self) -> bool {
        if matches!(self, Body::UntilClose) {
            *self = Body::Done;
        }
        self.is_done()
    }

    /// Judges the `bytes` that follow what was judged before.
    ///
    /// # Errors
    /// When chunks break their grammar.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        match self {
            Body::Done => Ok(Step::default()),
            Body::UntilClose => Ok(Step { skip: 0, forward: bytes.len() }),
            Body::Length(left) => {
                let forward = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= u64::try_from(forward).unwrap_or_default();
                Ok(Step { skip: 0, forward })
            }
            Body::Chunked(chunked) => {
                let mut forward = 0;
                while let Some(rest @ [_, ..]) = bytes.get(forward..) {
                    if chunked.is_done() {
                        break;
                    }
                    forward += chunked.next(rest)?.length;
                }
                Ok(Step { skip: 0, forward })
            }
            Body::Dechunked(chunked) => {
                let mut skip = 0;
                while let Some(rest @ [_, ..]) = bytes.get(skip..) {
                    if chunked.is_done() {
                        break;
                    }
                    let run = chunked.next(rest)?;
                    if run.is_data {
                        return Ok(Step { skip, forward: run.length });
                    }
                    skip += run.length;
                }
                Ok(Step { skip, forward: 0 })
            }
        }
    }
}
