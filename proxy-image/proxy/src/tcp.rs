//! Bytes between two connections: half-closes pass through, memory is held only while bytes wait, and a connection that policy no
//! longer allows ends.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use crate::buffer::Buffer;
use crate::detect::{FirstLine, Piece};
use crate::exchange::{Direction, Session};
use crate::io::Stream;
use crate::refusal::Refusal;

/// What an upstream may still say to a client that has ended, once the proxy itself is to end.
const ORPHANED: Duration = Duration::from_secs(1);

/// One direction.
struct Half {
    buffer: Buffer,
    state: Flow,
    /// Looked at before each piece passes, until it cannot become HTTP's any more.
    line: Option<FirstLine>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Open,
    Ending,
    Ended,
}

/// Why a relay stopped before both sides had ended.
enum Stop {
    Broken(io::Error),
    Revoked,
    Http,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Half {
    fn new(buffer: Buffer, line: Option<FirstLine>) -> Self {
        Self { buffer, state: Flow::Open, line }
    }

    fn poll(&mut self, context: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<Result<(), Stop>> {
        loop {
            if !self.buffer.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(context, self.buffer.bytes()))?;
                if written == 0 {
                    return Poll::Ready(Err(Stop::Broken(io::ErrorKind::WriteZero.into())));
                }
                self.buffer.consume(written);
                continue;
            }
            match self.state {
                Flow::Open => match self.buffer.poll_fill(from, context) {
                    Poll::Ready(Ok(0)) => self.state = Flow::Ending,
                    Poll::Ready(result) => {
                        result?;
                        // The buffer was empty, so it holds what was read now and nothing else.
                        match self.line.as_mut().map(|line| line.next(self.buffer.bytes())) {
                            None | Some(Piece::Watched) => {}
                            Some(Piece::Free) => self.line = None,
                            Some(Piece::Http) => return Poll::Ready(Err(Stop::Http)),
                        }
                    }
                    Poll::Pending => {
                        ready!(Pin::new(&mut *to).poll_flush(context))?;
                        return Poll::Pending;
                    }
                },
                Flow::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                    self.state = Flow::Ended;
                }
                Flow::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// What a relay begins with.
pub struct Relay {
    /// Bytes already read from the client.
    pub sent: Buffer,
    /// Bytes already read from the upstream.
    pub received: Buffer,
    /// The client's first line, where it could not be judged in time.
    pub line: Option<FirstLine>,
}

impl Relay {
    /// Relays until both sides have ended, one breaks, or policy says no.
    ///
    /// # Errors
    /// `LateHttp`: the watched first line turned out to be HTTP's, and the connection was cut before the line's end passed.
    pub async fn run(self, mut client: Stream, mut upstream: Stream, session: &Rc<Session>) -> Result<(), Refusal> {
        let Self { sent, received, line } = self;
        upstream.expect_prompt_reads(false);
        let (mut up, mut down) = (Half::new(sent, line), Half::new(received, None));
        let mut policy = session.proxy().control.workload();
        let _ = policy.borrow_and_update();
        let orphaned = orphaned(session);
        tokio::pin!(orphaned);
        let result: Result<(), Stop> = loop {
            let pumped = poll_fn(|context| {
                let first = up.poll(context, &mut client, &mut upstream);
                let second = down.poll(context, &mut upstream, &mut client);
                match (first, second) {
                    (Poll::Ready(Err(stop)), _) | (_, Poll::Ready(Err(stop))) => Poll::Ready(Err(stop)),
                    (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
                    // The client has said all and, as far as anybody can tell, is no more; the upstream has had its time to end as well.
                    (Poll::Ready(Ok(())), Poll::Pending) => orphaned.as_mut().poll(context).map(Ok),
                    _ => Poll::Pending,
                }
            });
            // The data path first: the policy's watch is looked at only when bytes are not moving.
            tokio::select! {
                biased;
                result = pumped => break result,
                changed = policy.changed() => if changed.is_err() || !session.still_allowed() {
                    break Err(Stop::Revoked);
                },
            }
        };
        let Err(stop) = result else { return Ok(()) };
        // Both ends learn that this was no orderly end.
        client.reset_on_drop();
        upstream.reset_on_drop();
        match stop {
            Stop::Broken(error) => {
                client.set_errno(errno(&error));
                upstream.set_errno(errno(&error));
            }
            Stop::Revoked => tracing::info!(client.ip = %session.client().address, "connection closed by policy"),
            Stop::Http => return Err(Refusal::LateHttp),
        }
        Ok(())
    }
}

/// Done when a connection of the application need not be waited for any longer once its client has ended it. A process that has gone without closing
/// its connections in order leaves them like this, and a job is not done before its proxy is.
async fn orphaned(session: &Rc<Session>) {
    if session.direction() == Direction::Inbound {
        return std::future::pending().await;
    }
    session.proxy().drain.ending(Direction::Outbound).await;
    tokio::time::sleep(ORPHANED).await;
}

/// A word from a closed set.
fn errno(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "ECONNRESET",
        io::ErrorKind::BrokenPipe => "EPIPE",
        io::ErrorKind::TimedOut => "ETIMEDOUT",
        io::ErrorKind::UnexpectedEof => "EOF",
        _ => "EIO",
    }
}
