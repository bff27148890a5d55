//! One HTTP/2 connection to an upstream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use ::h2::client::{Builder, SendRequest};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::clients::Counted;
use super::keepalive;
use super::watched::Watched;
use super::windows::{Window, Windows};
use super::{
    CONNECTION_WINDOW, DATA_FRAMES, HEADER_LIST, RESET_KEPT, RESET_STREAMS, RESETS_LOCAL, RESETS_PENDING, SEND_BUFFER,
    STREAM_WINDOW, STREAMS_UPSTREAM,
};

/// A connection that streams can be opened on until it is closing.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    active: Cell<usize>,
    closing: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Among all connections; given up as soon as it is closed with no stream open.
    counted: RefCell<Option<Counted>>,
    /// Its other end has closed or broken it, or does not answer any more: what a stream is told then says nothing of the stream itself.
    cut: Rc<Cell<bool>>,
    window: RefCell<Window>,
    /// The size that the window is to have, once it is to have another.
    wider: Cell<u32>,
    widened: Notify,
    /// Nobody is to use it any more: its task ends it once its streams have.
    pub(super) retired: Notify,
}

impl Connection {
    /// Opens HTTP/2 with prior knowledge. The returned future drives the connection and ends with it.
    ///
    /// # Errors
    /// The handshake's.
    pub(super) async fn open<T>(
        io: T,
        mesh: bool,
        windows: &Rc<Windows>,
        counted: Counted,
    ) -> Result<(Rc<Self>, impl Future<Output = ()> + use<T>), ::h2::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let cut = Rc::new(Cell::new(false));
        let (sender, mut driver) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(DATA_FRAMES)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .reset_stream_duration(RESET_KEPT)
            .max_pending_accept_reset_streams(RESETS_PENDING)
            .max_local_error_reset_streams(Some(RESETS_LOCAL))
            .initial_max_send_streams(STREAMS_UPSTREAM)
            .enable_push(false)
            .handshake::<_, Bytes>(Watched::new(io, Rc::clone(&cut)))
            .await?;
        let connection = Rc::new(Self {
            sender,
            active: Cell::new(0),
            closing: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            counted: RefCell::new(Some(counted)),
            cut,
            window: RefCell::new(Window::new(windows)),
            wider: Cell::new(CONNECTION_WINDOW),
            widened: Notify::new(),
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
            let driven = async {
                loop {
                    tokio::select! {
                        result = &mut driver => return result,
                        () = this.widened.notified() => driver.set_target_window_size(this.wider.get()),
                    }
                }
            };
            tokio::select! {
                result = driven => if let Err(error) = result {
                    tracing::debug!(error = %error, "upstream HTTP/2 connection ended");
                },
                () = alive => {
                    this.cut.set(true);
                    tracing::debug!("upstream HTTP/2 connection does not answer");
                }
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

    /// See the field.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Takes no more streams.
    pub(super) fn close(&self) {
        self.closing.set(true);
        if self.active.get() == 0 {
            self.counted.take();
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
        if let Some(size) = self.window.borrow_mut().widen(self.active.get()) {
            self.wider.set(size);
            self.widened.notify_one();
        }
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
