//! Connections that are passed on without being looked into.

use std::rc::Rc;

use tokio::net::TcpStream;

use crate::buffer::Buffer;
use crate::detect::FirstLine;
use crate::exchange::Session;
use crate::first::Early;
use crate::io::Stream;
use crate::preamble::Protocol;
use crate::refusal::Refusal;
use crate::tcp;

/// Endpoints that one connection is tried at.
const TRIES: usize = 3;

/// Authorises, picks, dials and relays.
///
/// # Errors
/// Why the connection is closed instead.
pub async fn serve(stream: Stream, session: &Rc<Session>, protocol: Protocol) -> Result<(), Refusal> {
    pass(stream, session, protocol, None).await
}

/// The same for a client whose first line has not ended and may still become HTTP's: it is cut off before it does.
///
/// # Errors
/// Why the connection is closed instead, or was.
pub async fn serve_watched(stream: Stream, session: &Rc<Session>) -> Result<(), Refusal> {
    pass(stream, session, Protocol::Opaque, Some(FirstLine::default())).await
}

async fn pass(
    stream: Stream,
    session: &Rc<Session>,
    protocol: Protocol,
    line: Option<FirstLine>,
) -> Result<(), Refusal> {
    for _ in 0..TRIES {
        let mut plan = session.connect()?;
        match Box::pin(session.proxy().dial_for(&plan, protocol)).await {
            Ok(upstream) => {
                plan.connected();
                let relay = tcp::Relay { sent: Buffer::default(), received: Buffer::default(), line };
                return relay.run(stream, upstream, session).await;
            }
            Err(_) => plan.failed("ECONNREFUSED"),
        }
    }
    // The client learns at once, as it would have from the server itself.
    stream.reset_on_drop();
    Err(Refusal::Unreachable)
}

/// Relays what was dialled because the server might speak first, and did.
pub async fn relay_early(stream: TcpStream, early: Box<Early>, session: &Rc<Session>) {
    // The endpoint counts as busy for as long as the plan lives.
    let Early { upstream, received, plan: _plan } = *early;
    let relay = tcp::Relay { sent: Buffer::default(), received, line: None };
    // Nothing is watched, so nothing is refused.
    let _ = relay.run(Stream::plain(stream).counted(&session.accepted()), upstream, session).await;
}
