//! One HTTP/2 connection to an upstream.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use ::h2::client::{Builder, SendRequest};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::keepalive;
use super::{
    CONNECTION_WINDOW, HEADER_LIST, RESET_KEPT, RESET_STREAMS, RESETS_LOCAL, RESETS_PENDING, SEND_BUFFER,
    STREAM_WINDOW, STREAMS_UPSTREAM,
};

/// A connection that streams can be opened on until it is closing.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    active: Cell<usize>,
    closing: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Nobody is to use it any more: its task ends it once its streams have.
    pub(super) retired: Notify,
}

impl Connection {
    /// Opens HTTP/2 with prior knowledge. The returned future drives the connection and ends with it.
    ///
    /// # Errors
    /// The handshake's.
    pub(super) async fn open<T>(io: T, mesh: bool) -> Result<(Rc<Self>, impl Future<Output = ()> + use<T>), ::h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, mut driver) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .max_send_buffer_size(SEND_BUFFER)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .reset_stream_duration(RESET_KEPT)
            .max_pending_accept_reset_streams(RESETS_PENDING)
            .max_local_error_reset_streams(Some(RESETS_LOCAL))
            .initial_max_send_streams(STREAMS_UPSTREAM)
            .enable_push(false)
            .handshake::<_, Bytes>(io)
            .await?;
        let connection = Rc::new(Self {
            sender,
            active: Cell::new(0),
            closing: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            retired: Notify::new(),
        });
        let pings = if mesh { driver.ping_pong() } else { None };
        let this = Rc::clone(&connection);
        let drive = async move {
            let alive = async {
                match pings {
                    Some(pings) => keepalive::watch(pings, || this.active.get() > 0).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = driver => if let Err(error) = result {
                    tracing::debug!(error = %error, "upstream HTTP/2 connection ended");
                },
                () = alive => tracing::debug!("upstream HTTP/2 connection does not answer"),
                () = this.retired.notified() => {}
            }
            this.closing.set(true);
        };
        Ok((connection, drive))
    }

    /// Whether one more stream may be opened now.
    pub(super) fn has_room(&self) -> bool {
        !self.is_closing() && self.active.get() < self.sender.current_max_send_streams().min(STREAMS_UPSTREAM)
    }

    /// The peer said GOAWAY, or the connection broke, or it was retired.
    pub(super) fn is_closing(&self) -> bool {
        if self.closing.get() {
            return true;
        }
        // A fresh clone has no stream waiting to be opened, so Pending means nothing but "not broken".
        let ready = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        if matches!(ready, Poll::Ready(Err(_))) {
            self.closing.set(true);
        }
        self.closing.get()
    }

    /// Takes no more streams.
    pub(super) fn close(&self) {
        self.closing.set(true);
        if self.active.get() == 0 {
            self.retired.notify_one();
        }
    }

    /// Since when no stream is open.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.active.get() == 0).then(|| self.idle_since.get())
    }

    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    pub(super) fn occupy(&self) {
        self.active.set(self.active.get() + 1);
    }

    pub(super) fn vacate(&self) {
        self.active.set(self.active.get().saturating_sub(1));
        if self.active.get() == 0 {
            self.idle_since.set(Instant::now());
            if self.closing.get() {
                self.retired.notify_one();
            }
        }
    }
}
