//! Listeners and accept loops.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;

use crate::context::Proxy;
use crate::exchange::Direction;
use crate::refusal::Refusal;
use crate::{inbound, outbound, sys};

/// When the process is out of descriptors, accepting again at once would only spin.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections that are still taken in from the kernel's queue when a listener closes: as many as it may hold.
const LAST: usize = 4_096;

type Accepted = io::Result<(TcpStream, SocketAddr)>;

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

/// Accepts until the drain says otherwise: inbound until nobody is to be let in any more, outbound, where the application ends before the proxy or
/// outlives it, until the proxy leaves. Whoever has connected by then is served. Each connection is a task of its own.
pub async fn accept(proxy: Rc<Proxy>, listener: TcpListener, direction: Direction) {
    let ending = async {
        match direction {
            Direction::Inbound => proxy.drain.shutting().await,
            Direction::Outbound if proxy.config.outlives => proxy.drain.ending(direction).await,
            Direction::Outbound => std::future::pending().await,
        }
    };
    tokio::pin!(ending);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut ending => break,
            accepted = listener.accept() => accepted,
        };
        take(&proxy, accepted, direction).await;
    }
    // Those who came last are seen only after a turn of the runtime.
    yield_now().await;
    for _ in 0..LAST {
        match at_hand(&listener).await {
            Some(Ok((stream, peer))) => admit(&proxy, stream, sys::canonical(peer), direction),
            Some(Err(_)) | None => return,
        }
    }
}

/// A connection that need not be waited for.
async fn at_hand(listener: &TcpListener) -> Option<Accepted> {
    poll_fn(|context| match listener.poll_accept(context) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn take(proxy: &Rc<Proxy>, accepted: Accepted, direction: Direction) {
    match accepted {
        Ok((stream, peer)) => admit(proxy, stream, sys::canonical(peer), direction),
        Err(error) => {
            tracing::warn!(error = %error, "connection not accepted");
            sleep(PAUSE).await;
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
