//! Connections that are passed on without being looked into.

use std::rc::Rc;

use tokio::net::TcpStream;

use crate::buffer::Buffer;
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
    for _ in 0..TRIES {
        let mut plan = session.connect()?;
        match Box::pin(session.proxy().dial(&plan.target, protocol)).await {
            Ok(upstream) => {
                plan.connected();
                tcp::relay(stream, Buffer::default(), upstream, Buffer::default(), session, Some(&plan)).await;
                return Ok(());
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
    let Early { upstream, received, plan } = *early;
    tcp::relay(Stream::Plain(stream), Buffer::default(), upstream, received, session, Some(&plan)).await;
}
