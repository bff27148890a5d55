//! Listeners and accept loops.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::context::Proxy;
use crate::exchange::Direction;
use crate::refusal::Refusal;
use crate::{inbound, outbound, sys};

/// When the process is out of descriptors, accepting again at once would only spin.
const PAUSE: Duration = Duration::from_millis(20);

/// Binds every address that this host can; at least one must succeed. A host without IPv6 is no error.
///
/// # Errors
/// That of the first address when none could be bound.
pub fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut bound = Vec::new();
    let mut first_error = None;
    for address in addresses {
        match sys::listen(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) => {
                tracing::debug!(listener.address = %address, error = %error, "address cannot be bound");
                first_error = first_error.or(Some(error));
            }
        }
    }
    match (bound.is_empty(), first_error) {
        (true, Some(error)) => Err(error),
        _ => Ok(bound),
    }
}

/// Accepts until the task is dropped; outbound, where the application ends before the proxy or outlives it, also no longer than its drain says. Each
/// connection is a task of its own.
pub async fn accept(proxy: Rc<Proxy>, listener: TcpListener, direction: Direction) {
    let ends = direction == Direction::Outbound && proxy.config.outlives;
    let drain = proxy.drain.clone();
    let ending = drain.ending(direction);
    tokio::pin!(ending);
    loop {
        let accepted = tokio::select! {
            // Whatever has connected before the end is served.
            biased;
            accepted = listener.accept() => accepted,
            () = &mut ending, if ends => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(&proxy, stream, sys::canonical(peer), direction),
            Err(error) => {
                tracing::warn!(error = %error, "connection not accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

fn admit(proxy: &Rc<Proxy>, stream: TcpStream, peer: SocketAddr, direction: Direction) {
    if proxy.drain.active(direction) >= proxy.config.limits.connections {
        stream_refused(proxy, direction, peer, Refusal::Overload);
        return;
    }
    sys::tune(&stream);
    let guard = proxy.drain.guard(direction);
    let proxy = Rc::clone(proxy);
    spawn_local(async move {
        let result = match direction {
            Direction::Inbound => inbound::serve(Rc::clone(&proxy), stream, peer).await,
            Direction::Outbound => outbound::serve(Rc::clone(&proxy), stream, peer).await,
        };
        if let Err(refusal) = result {
            stream_refused(&proxy, direction, peer, refusal);
        }
        drop(guard);
    });
}

fn stream_refused(proxy: &Proxy, direction: Direction, peer: SocketAddr, refusal: Refusal) {
    proxy.counters.refused(direction, refusal);
    let Some(omitted) = proxy.refusals.admit(Instant::now()) else { return };
    tracing::info!(
        direction = direction.as_str(),
        client.address = %peer,
        refusal.reason = refusal.name(),
        log.omitted = omitted,
        "connection refused"
    );
}
