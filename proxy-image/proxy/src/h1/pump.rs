//! One direction of one message: a head that was written anew, then the body as it comes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::body::Body;
use crate::buffer::Buffer;
use crate::io::Stream;

/// What stopped a message.
#[derive(Debug)]
pub enum Stop {
    /// The sender ended before its message did, or broke.
    Source,
    /// The sender's chunks break their grammar.
    Malformed,
    /// The receiver broke.
    Sink,
}

/// A message on its way.
pub struct Pump {
    /// The head as it is to be written, with the body's beginning where that was at hand; kept until [`Pump::forget`] so that it
    /// can be sent again.
    pub head: Buffer,
    sent: usize,
    body: Body,
    ready: usize,
    flushed: bool,
    streamed: u64,
}

impl Pump {
    /// A message whose `head` is yet to be written.
    #[must_use]
    pub fn new(head: Buffer, body: Body) -> Self {
        Self { head, sent: 0, body, ready: 0, flushed: false, streamed: 0 }
    }

    /// Everything has been written and flushed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.flushed
    }

    /// Nothing but `head` has been sent, so the message can be sent again from its beginning.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.streamed == 0
    }

    /// Takes as much of the body as has come and fits into `limit` bytes to what is kept for another try; ready when that is all of it, or when more
    /// would not fit.
    ///
    /// # Errors
    /// The sender ended too soon, or its chunks break their grammar.
    pub fn poll_keep(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        input: &mut Buffer,
        limit: usize,
    ) -> Poll<Result<(), Stop>> {
        loop {
            if self.body.is_done() || self.head.len() >= limit {
                return Poll::Ready(Ok(()));
            }
            if input.is_empty() {
                match input.poll_fill(source, context) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(_) => return Poll::Ready(Err(Stop::Source)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let step = self.body.step(input.bytes()).map_err(|_| Stop::Malformed)?;
            input.consume(step.skip);
            self.head.push(input.bytes().get(..step.forward).unwrap_or_default());
            input.consume(step.forward);
        }
    }

    /// What is left of a body whose length is known.
    #[must_use]
    pub fn body_length(&self) -> Option<u64> {
        match self.body {
            Body::Length(length) => Some(length),
            _ => None,
        }
    }

    /// All of the message is kept and can be sent again.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.body.is_done()
    }

    /// Bytes written of what is kept, and of the body after it.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.streamed + u64::try_from(self.sent).unwrap_or_default()
    }

    /// Begins again, on another connection.
    pub fn rewind(&mut self) {
        (self.sent, self.flushed) = (0, false);
    }

    /// Gives up the memory of the head once it will not be sent again.
    pub fn forget(&mut self) {
        if self.sent >= self.head.len() {
            self.head.clear();
            self.sent = 0;
        }
    }

    /// Bytes of the body passed on so far, framing included, beyond those that travelled with the head.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.streamed
    }

    /// Moves what can be moved from `source` (through `input`, which may hold bytes already) to `sink`.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        input: &mut Buffer,
        sink: &mut Stream,
    ) -> Poll<Result<(), Stop>> {
        if self.flushed {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.ready == 0 && !input.is_empty() && !self.body.is_done() {
                let step = self.body.step(input.bytes()).map_err(|_| Stop::Malformed)?;
                input.consume(step.skip);
                self.ready = step.forward;
            }
            if self.sent < self.head.len() || self.ready > 0 {
                ready!(self.poll_write(context, input, sink)).map_err(|_| Stop::Sink)?;
                continue;
            }
            if self.body.is_done() {
                ready!(Pin::new(&mut *sink).poll_flush(context)).map_err(|_| Stop::Sink)?;
                self.flushed = true;
                return Poll::Ready(Ok(()));
            }
            match input.poll_fill(source, context) {
                Poll::Ready(Ok(0)) if self.body.ends_with_stream() => {}
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Stop::Source)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Stop::Source)),
                Poll::Pending => {
                    ready!(Pin::new(&mut *sink).poll_flush(context)).map_err(|_| Stop::Sink)?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// One write of what is left of the head and of the approved body bytes.
    fn poll_write(&mut self, context: &mut Context<'_>, input: &mut Buffer, sink: &mut Stream) -> Poll<io::Result<()>> {
        let head = self.head.bytes().get(self.sent..).unwrap_or_default();
        let body = input.bytes().get(..self.ready).unwrap_or_default();
        let sink = Pin::new(sink);
        let written = match (head.is_empty(), body.is_empty()) {
            (_, true) => ready!(sink.poll_write(context, head))?,
            (true, _) => ready!(sink.poll_write(context, body))?,
            _ => ready!(sink.poll_write_vectored(context, &[IoSlice::new(head), IoSlice::new(body)]))?,
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = written.min(head.len());
        let of_body = written - of_head;
        self.sent += of_head;
        self.ready -= of_body;
        self.streamed += u64::try_from(of_body).unwrap_or_default();
        input.consume(of_body);
        Poll::Ready(Ok(()))
    }
}
