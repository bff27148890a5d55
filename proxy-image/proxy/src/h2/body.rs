//! One direction of a stream: data as fast as the slower side takes it, then trailers.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll};

use ::h2::{Error, Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::HeaderMap;

use super::headers::strip_hop_by_hop;

/// Which side ended a body before its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// Whoever sends it.
    Sender(Option<Reason>),
    /// Whoever receives it.
    Receiver,
}

/// A body that is being received. While it is small it can be read again, for an upstream that refused to look at it.
pub(super) struct Source<'a> {
    stream: RecvStream,
    kept: Option<Kept>,
    keeping: Option<&'a Keeping>,
    ahead: Option<Ahead>,
}

/// What both sides of an exchange know of a body that is kept.
#[derive(Default)]
pub(super) struct Keeping {
    /// Nobody will rewind any more.
    pub(super) settled: Cell<bool>,
    /// It was too long: it cannot be rewound.
    pub(super) lost: Cell<bool>,
}

/// What was read to see how a response goes on, and is still to be passed on.
pub(super) enum Ahead {
    Data(Bytes),
    End(Option<HeaderMap>),
}

#[derive(Default)]
struct Kept {
    chunks: Vec<Bytes>,
    size: usize,
    limit: usize,
    /// Index of the next chunk to read again; the number of chunks when the stream itself is next.
    next: usize,
    trailers: Option<Option<HeaderMap>>,
}

impl<'a> Source<'a> {
    /// Read once.
    pub(super) fn once(stream: RecvStream) -> Self {
        Self { stream, kept: None, keeping: None, ahead: None }
    }

    /// Read once, with what was already read of it.
    pub(super) fn begun(stream: RecvStream, ahead: Ahead) -> Self {
        Self { ahead: Some(ahead), ..Self::once(stream) }
    }

    /// Can be rewound until `keeping` says that it is settled, as long as no more than `limit` bytes were read.
    pub(super) fn rewindable(stream: RecvStream, keeping: &'a Keeping, limit: usize) -> Self {
        let kept = Some(Kept { limit, ..Kept::default() });
        Self { stream, kept, keeping: Some(keeping), ahead: None }
    }

    /// Begins anew; false when that is not possible any more.
    pub(super) fn rewind(&mut self) -> bool {
        match &mut self.kept {
            Some(kept) => {
                kept.next = 0;
                true
            }
            None => false,
        }
    }

    /// Nothing more will come.
    pub(super) fn is_end(&self) -> bool {
        let read = self.kept.as_ref().is_none_or(|kept| kept.next >= kept.chunks.len() && kept.trailers.is_none());
        read && self.stream.is_end_stream()
    }

    /// The next chunk, and whether its capacity is still owed to the sender.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<(Bytes, bool), Error>>> {
        if let Some(kept) = &mut self.kept
            && let Some(chunk) = kept.chunks.get(kept.next)
        {
            kept.next += 1;
            return Poll::Ready(Some(Ok((chunk.clone(), false))));
        }
        match self.ahead.take() {
            Some(Ahead::Data(chunk)) => return Poll::Ready(Some(Ok((chunk, true)))),
            Some(end) => {
                self.ahead = Some(end);
                return Poll::Ready(None);
            }
            None => {}
        }
        if self.keeping.is_some_and(|keeping| keeping.settled.get()) {
            self.kept = None;
        }
        self.stream.poll_data(context).map(|data| {
            data.map(|result| {
                result.map(|chunk| {
                    self.keep(&chunk);
                    (chunk, true)
                })
            })
        })
    }

    fn keep(&mut self, chunk: &Bytes) {
        let Some(kept) = &mut self.kept else { return };
        kept.size += chunk.len();
        if kept.size > kept.limit {
            self.kept = None;
            if let Some(keeping) = self.keeping {
                keeping.lost.set(true);
            }
        } else if !chunk.is_empty() {
            kept.chunks.push(chunk.clone());
            kept.next = kept.chunks.len();
        }
    }

    async fn trailers(&mut self) -> Result<Option<HeaderMap>, Error> {
        if let Some(trailers) = self.kept.as_ref().and_then(|kept| kept.trailers.clone()) {
            return Ok(trailers);
        }
        if let Some(Ahead::End(trailers)) = self.ahead.take() {
            return Ok(trailers);
        }
        let trailers = poll_fn(|context| self.stream.poll_trailers(context)).await?;
        if let Some(kept) = &mut self.kept {
            kept.trailers = Some(trailers.clone());
        }
        Ok(trailers)
    }
}

/// Passes everything from `from` to `to` and ends it. What is held in between is one DATA frame: the sender's window opens only as far as the
/// receiver has taken the bytes, which `passed` counts. Returns the trailers that were passed on.
pub(super) async fn copy(
    from: &mut Source<'_>,
    to: &mut SendStream<Bytes>,
    passed: &Cell<u64>,
) -> Result<Option<HeaderMap>, Broken> {
    passed.set(0);
    loop {
        let data = poll_fn(|context| {
            if to.poll_reset(context).is_ready() {
                return Poll::Ready(Err(Broken::Receiver));
            }
            from.poll_data(context).map(Ok)
        });
        match data.await? {
            Some(Ok((chunk, owed))) => {
                let length = u64::try_from(chunk.len()).unwrap_or_default();
                let ended = pass(from, to, chunk, owed).await?;
                passed.set(passed.get() + length);
                if ended {
                    return Ok(None);
                }
            }
            Some(Err(error)) => return Err(Broken::Sender(error.reason())),
            None => break,
        }
    }
    match from.trailers().await.map_err(|error| Broken::Sender(error.reason()))? {
        Some(mut trailers) => {
            strip_hop_by_hop(&mut trailers);
            to.send_trailers(trailers.clone()).map_err(|_| Broken::Receiver)?;
            Ok(Some(trailers))
        }
        None => {
            to.send_data(Bytes::new(), true).map_err(|_| Broken::Receiver)?;
            Ok(None)
        }
    }
}

/// Passes one chunk on; true when it was the last and the stream was ended with it.
async fn pass(from: &mut Source<'_>, to: &mut SendStream<Bytes>, mut chunk: Bytes, owed: bool) -> Result<bool, Broken> {
    while !chunk.is_empty() {
        to.reserve_capacity(chunk.len());
        let capacity = match poll_fn(|context| to.poll_capacity(context)).await {
            Some(Ok(capacity)) => capacity,
            Some(Err(_)) | None => return Err(Broken::Receiver),
        };
        let part = chunk.split_to(capacity.min(chunk.len()));
        let length = part.len();
        let last = chunk.is_empty() && from.is_end();
        to.send_data(part, last).map_err(|_| Broken::Receiver)?;
        if owed {
            // Fails only when the stream is gone, which the next read tells.
            let _ = from.stream.flow_control().release_capacity(length);
        }
        if last {
            return Ok(true);
        }
    }
    Ok(false)
}
