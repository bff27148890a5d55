//! One direction of a stream: data as fast as the slower side takes it, then trailers.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use ::h2::{Error, Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::HeaderMap;

use super::hand::Hand;
use super::headers::strip_trailers;
use super::{KEPT_CHUNKS, UNASKED};

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
    /// Read before anybody took it.
    ahead: Hand,
    kept: Option<Kept>,
    keeping: Option<&'a Keeping>,
    /// The end was read before anybody took it, with these trailers.
    ended: Option<Option<HeaderMap>>,
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
        Self { stream, ahead: Hand::default(), ended: None, kept: None, keeping: None }
    }

    /// Read once, with what was already read of it.
    pub(super) fn begun(stream: RecvStream, ahead: Ahead) -> Self {
        let mut source = Self::once(stream);
        match ahead {
            Ahead::Data(chunk) => source.ahead.push(chunk, true),
            Ahead::End(trailers) => source.ended = Some(trailers),
        }
        source
    }

    /// Can be rewound until `keeping` says that it is settled, as long as no more than `limit` bytes in [`KEPT_CHUNKS`] frames were read.
    pub(super) fn rewindable(stream: RecvStream, keeping: &'a Keeping, limit: usize) -> Self {
        let kept = Some(Kept { limit, ..Kept::default() });
        Self { stream, ahead: Hand::default(), ended: None, kept, keeping: Some(keeping) }
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
        read && self.ahead.is_empty() && self.stream.is_end_stream()
    }

    /// Reads what comes before there is anybody to take it, for the reason that [`turn`] has; never ends.
    pub(super) async fn read_ahead(&mut self) -> Infallible {
        poll_fn(|context| {
            // An end or an error is told again to whoever asks next.
            while let Some(Ok(chunk)) = ready!(self.stream.poll_data(context)) {
                self.ahead.push(chunk, true);
            }
            Poll::Pending
        })
        .await
    }

    /// The next chunk, and whether its capacity is still owed to the sender.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<(Bytes, bool), Error>>> {
        if let Some(kept) = &mut self.kept
            && let Some(chunk) = kept.chunks.get(kept.next)
        {
            kept.next += 1;
            return Poll::Ready(Some(Ok((chunk.clone(), false))));
        }
        if self.keeping.is_some_and(|keeping| keeping.settled.get()) {
            self.kept = None;
        }
        if !self.ahead.is_empty() {
            let (chunk, _) = self.ahead.take(usize::MAX);
            self.keep(&chunk);
            return Poll::Ready(Some(Ok((chunk, true))));
        }
        if self.ended.is_some() {
            return Poll::Ready(None);
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
        if kept.size > kept.limit || kept.chunks.len() >= KEPT_CHUNKS {
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
        if let Some(trailers) = self.ended.take() {
            return Ok(trailers);
        }
        let trailers = poll_fn(|context| self.stream.poll_trailers(context)).await?;
        if let Some(kept) = &mut self.kept {
            kept.trailers = Some(trailers.clone());
        }
        Ok(trailers)
    }
}

/// Passes everything from `from` to `to` and ends it. The sender's window opens only as far as the receiver has taken the bytes, which `passed`
/// counts, so no more than that window is held in between. Returns the trailers that were passed on.
pub(super) async fn copy(
    from: &mut Source<'_>,
    to: &mut SendStream<Bytes>,
    passed: &Cell<u64>,
) -> Result<Option<HeaderMap>, Broken> {
    passed.set(0);
    let mut hand = Hand::default();
    let mut ended = false;
    while let Some(mut room) =
        poll_fn(|context| turn(context, from, to, &mut hand, &mut ended, passed.get() == 0)).await?
    {
        while room > 0 && !hand.is_empty() {
            let (part, owed) = hand.take(room);
            let length = part.len();
            room -= length;
            let last = hand.is_empty() && from.is_end();
            to.send_data(part, last).map_err(|_| Broken::Receiver)?;
            // Fails only when the stream is gone, which the next read tells.
            let _ = from.stream.flow_control().release_capacity(owed);
            passed.set(passed.get() + u64::try_from(length).unwrap_or_default());
            if last {
                return Ok(None);
            }
        }
    }
    match from.trailers().await.map_err(|error| Broken::Sender(error.reason()))? {
        Some(mut trailers) => {
            strip_trailers(&mut trailers);
            to.send_trailers(trailers.clone()).map_err(|_| Broken::Receiver)?;
            Ok(Some(trailers))
        }
        None => {
            to.send_data(Bytes::new(), true).map_err(|_| Broken::Receiver)?;
            Ok(None)
        }
    }
}

/// How many bytes may go now; None when all has been read and passed on.
///
/// While the receiver takes nothing, what comes is read all the same: small frames that pile up unread cost a multiple of what they carry, and
/// end the whole connection past a bound of the `h2` crate's.
///
/// The `h2` crate gives no room to a stream whose head it has not written yet. What little is at hand at the `beginning` goes without, so that head and
/// message leave in one write rather than in two.
fn turn(
    context: &mut Context<'_>,
    from: &mut Source<'_>,
    to: &mut SendStream<Bytes>,
    hand: &mut Hand,
    ended: &mut bool,
    beginning: bool,
) -> Poll<Result<Option<usize>, Broken>> {
    if to.poll_reset(context).is_ready() {
        return Poll::Ready(Err(Broken::Receiver));
    }
    loop {
        if !hand.is_empty() {
            to.reserve_capacity(hand.len());
            if to.capacity() > 0 {
                return Poll::Ready(Ok(Some(to.capacity())));
            }
            if beginning && hand.len() <= UNASKED {
                return Poll::Ready(Ok(Some(hand.len())));
            }
            match to.poll_capacity(context) {
                Poll::Ready(Some(Ok(room))) => return Poll::Ready(Ok(Some(room))),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Broken::Receiver)),
                Poll::Pending => {}
            }
        }
        if *ended {
            return if hand.is_empty() { Poll::Ready(Ok(None)) } else { Poll::Pending };
        }
        match ready!(from.poll_data(context)) {
            Some(Ok((chunk, owed))) => hand.push(chunk, owed),
            Some(Err(error)) => return Poll::Ready(Err(Broken::Sender(error.reason()))),
            None => *ended = true,
        }
    }
}
