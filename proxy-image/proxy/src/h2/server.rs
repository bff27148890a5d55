//! The server side of one client connection.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use ::h2::Reason;
use ::h2::server::Builder;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::stream;
use super::windows::Window;
use super::{
    CONNECTION_WINDOW, DATA_FRAMES, HEADER_LIST, RESET_KEPT, RESET_STREAMS, RESETS_LOCAL, RESETS_PENDING, SEND_BUFFER,
    STREAM_WINDOW, STREAMS_PLAIN, STREAMS_TRUSTED, keepalive,
};
use crate::exchange::{Direction, Session};

/// A client that comes to a proxy which ends is told to leave when it has sent its first request, or after so long without one: told at once, it
/// might leave before it has sent it, and come again.
const FIRST: Duration = Duration::from_secs(1);

/// Serves `io`, whose client speaks HTTP/2 with prior knowledge, until either side ends it. A drain of the proxy sends GOAWAY and lets the open
/// streams end; its deadline ends them.
pub async fn serve<T>(session: Rc<Session>, io: T)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let meshed = session.client().identity().is_some();
    let trusted = meshed || session.direction() == Direction::Outbound;
    let handshake = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST)
        .max_concurrent_streams(if trusted { STREAMS_TRUSTED } else { STREAMS_PLAIN })
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(DATA_FRAMES)
        .max_concurrent_reset_streams(RESET_STREAMS)
        .reset_stream_duration(RESET_KEPT)
        .max_pending_accept_reset_streams(RESETS_PENDING)
        .max_local_error_reset_streams(Some(RESETS_LOCAL))
        .handshake::<_, Bytes>(io);
    // A client that never finishes its preface holds a connection and nothing else, so it gets as long as a TLS handshake.
    let proxy = Rc::clone(session.proxy());
    let mut connection = match tokio::time::timeout(proxy.config.limits.handshake, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "HTTP/2 handshake failed");
            return;
        }
        Err(_) => return,
    };
    let open = Rc::new(());
    let mut window = Window::new(proxy.http2.windows());
    let pings = if meshed { connection.ping_pong() } else { None };
    let alive = async {
        match pings {
            Some(pings) => keepalive::watch(pings, || Rc::strong_count(&open) > 1).await,
            None => std::future::pending().await,
        }
    };
    let mut draining = false;
    // Gently, so that a client which stays for long finds new pods.
    let age = session.time_left();
    let aged = async {
        match age {
            Some(left) => tokio::time::sleep(left).await,
            None => std::future::pending().await,
        }
    };
    let asked = Notify::new();
    let ending = async {
        proxy.drain.ending(session.direction()).await;
        let _ = tokio::time::timeout(FIRST, asked.notified()).await;
    };
    tokio::pin! {
        let alive = alive;
        let aged = aged;
        let ending = ending;
        let closed = proxy.drain.closed();
    }
    loop {
        tokio::select! {
            accepted = poll_fn(|context| connection.poll_accept(context)) => match accepted {
                Some(Ok((request, respond))) => {
                    asked.notify_one();
                    let (session, open) = (Rc::clone(&session), Rc::clone(&open));
                    // Only for those who are known: anybody could have many streams.
                    if trusted && let Some(size) = window.widen(Rc::strong_count(&open) - 1) {
                        connection.set_target_window_size(size);
                    }
                    spawn_local(async move {
                        stream::exchange(&session, request, respond).await;
                        drop(open);
                    });
                }
                Some(Err(error)) => {
                    tracing::debug!(error = %error, "HTTP/2 connection ended");
                    return;
                }
                None => return,
            },
            () = &mut ending, if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = &mut aged, if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = &mut closed => {
                connection.abrupt_shutdown(Reason::NO_ERROR);
                // Says GOAWAY as far as the socket takes it.
                let farewell = poll_fn(|context| connection.poll_closed(context));
                let _ = tokio::time::timeout(Duration::from_millis(100), farewell).await;
                return;
            }
            () = &mut alive => {
                tracing::debug!("HTTP/2 client does not answer");
                return;
            }
        }
    }
}
