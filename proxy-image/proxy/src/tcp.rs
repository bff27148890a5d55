//! Bytes between two connections: half-closes pass through, memory is held only while bytes wait, and a connection that policy no
//! longer allows ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::buffer::Buffer;
use crate::exchange::{ConnectionPlan, Session};
use crate::io::Stream;

/// One direction.
struct Half {
    buffer: Buffer,
    state: Flow,
    moved: u64,
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
}

impl Half {
    fn new(buffer: Buffer) -> Self {
        Self { buffer, state: Flow::Open, moved: 0 }
    }

    fn poll(&mut self, context: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<io::Result<()>> {
        loop {
            if !self.buffer.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(context, self.buffer.bytes()))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.buffer.consume(written);
                self.moved += u64::try_from(written).unwrap_or_default();
                continue;
            }
            match self.state {
                Flow::Open => match self.buffer.poll_fill(from, context) {
                    Poll::Ready(Ok(0)) => self.state = Flow::Ending,
                    Poll::Ready(result) => {
                        result?;
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

/// Relays until both sides have ended, one breaks, or policy says no. `sent` and `received` are bytes already read from the client
/// and from the upstream.
pub async fn relay(
    mut client: Stream,
    sent: Buffer,
    mut upstream: Stream,
    received: Buffer,
    session: &Rc<Session>,
    plan: Option<&ConnectionPlan>,
) {
    let (mut up, mut down) = (Half::new(sent), Half::new(received));
    let mut policy = session.proxy().control.workload();
    let _ = policy.borrow_and_update();
    let result: Result<(), Stop> = loop {
        let pumped = poll_fn(|context| {
            let first = up.poll(context, &mut client, &mut upstream);
            let second = down.poll(context, &mut upstream, &mut client);
            match (first, second) {
                (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(Stop::Broken(error))),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
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
    if let Some(plan) = plan {
        plan.open().add_read(up.moved);
        plan.open().add_written(down.moved);
    }
    if let Err(stop) = result {
        // Both ends learn that this was no orderly end.
        client.reset_on_drop();
        upstream.reset_on_drop();
        match (stop, plan) {
            (Stop::Broken(error), Some(plan)) => plan.open().set_errno(errno(&error)),
            (Stop::Revoked, _) => tracing::info!(client.ip = %session.client().address, "connection closed by policy"),
            (Stop::Broken(_), None) => {}
        }
    }
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
