//! Shared HTTP/2 connections to upstreams: few for each, a new one only when the others are full.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ::h2::client::SendRequest;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use weft_policy::model::Transport;

use super::connection::Connection;
use super::windows::Windows;
use super::{CONNECTIONS, WAITING};
use crate::context::Proxy;
use crate::exchange::{ByTarget, ErrorReason, Target};
use crate::preamble::Protocol;

/// Connections are looked after this often, and only while there are any.
const SWEEP: Duration = Duration::from_secs(5);
/// Longest wait for a stream: longer than a dial may take, so that a dial that fails says why.
const PATIENCE: Duration = Duration::from_secs(10);

/// All HTTP/2 connections to upstreams.
#[derive(Default)]
pub struct Clients {
    upstreams: RefCell<ByTarget<Rc<Upstream>>>,
    sweeping: Cell<bool>,
    windows: Rc<Windows>,
    /// Connections that are open or dialled.
    connections: Rc<Cell<usize>>,
    /// Requests of clients under way.
    requests: Rc<Cell<usize>>,
}

/// One of a bounded number of things, until it is dropped.
pub(super) struct Counted(Rc<Cell<usize>>);

impl Counted {
    /// None: there are `most` already.
    pub(super) fn begin(count: &Rc<Cell<usize>>, most: usize) -> Option<Self> {
        if count.get() >= most {
            return None;
        }
        count.set(count.get() + 1);
        Some(Self(Rc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[derive(Default)]
struct Upstream {
    connections: RefCell<Vec<Rc<Connection>>>,
    dialing: Cell<usize>,
    waiting: Cell<usize>,
    /// Number and outcome of the last dial that failed.
    failed: Cell<(u64, Option<ErrorReason>)>,
    changed: Notify,
}

/// The right to one stream on one connection.
pub(super) struct Slot {
    upstream: Rc<Upstream>,
    connection: Rc<Connection>,
}

impl Slot {
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.connection.sender()
    }

    /// See [`Connection::is_cut`].
    pub(super) fn is_cut(&self) -> bool {
        self.connection.is_cut()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection.vacate();
        self.upstream.changed.notify_one();
    }
}

struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    fn begin(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Clients {
    /// A stream to `target`: on a connection with room, or on a new one, or when one becomes free.
    ///
    /// # Errors
    /// Of the dial that this request waited for; `Overload` when too many wait or nothing becomes free.
    pub(super) async fn acquire(&self, proxy: &Rc<Proxy>, target: &Target) -> Result<Slot, ErrorReason> {
        let upstream = self.upstream(target);
        if let Some(slot) = upstream.take() {
            return Ok(slot);
        }
        if upstream.waiting.get() >= WAITING {
            return Err(ErrorReason::Overload);
        }
        let _waiting = Waiting::begin(&upstream.waiting);
        let wait = async {
            loop {
                // Every waiter beyond the room that dials under way will bring starts one more, up to the bound.
                let expected = upstream.dialing.get() * super::STREAMS_UPSTREAM;
                let count = upstream.connections.borrow().len() + upstream.dialing.get();
                if expected < upstream.waiting.get() && count < CONNECTIONS {
                    match self.room(proxy) {
                        Some(counted) => Upstream::dial(&upstream, proxy, target, counted),
                        // Nothing will become free here.
                        None if count == 0 => return Err(ErrorReason::Overload),
                        None => {}
                    }
                }
                let (failures, _) = upstream.failed.get();
                upstream.changed.notified().await;
                if let Some(slot) = upstream.take() {
                    // One wake-up serves one waiter; whoever takes it looks whether there is room for the next.
                    upstream.changed.notify_one();
                    return Ok(slot);
                }
                if let (now, Some(reason)) = upstream.failed.get()
                    && now != failures
                {
                    upstream.changed.notify_one();
                    return Err(reason);
                }
            }
        };
        let result = timeout(PATIENCE, wait).await.unwrap_or(Err(ErrorReason::Overload));
        self.sweep_later(proxy);
        result
    }

    /// Room for one more connection, where need be that of one that is idle.
    fn room(&self, proxy: &Proxy) -> Option<Counted> {
        let most = proxy.config.limits.http2_connections;
        Counted::begin(&self.connections, most).or_else(|| {
            self.close_idle(Duration::ZERO);
            Counted::begin(&self.connections, most)
        })
    }

    /// Counts a request of a client; None when as many are under way as the proxy will hold.
    pub(super) fn request(&self, proxy: &Proxy) -> Option<Counted> {
        Counted::begin(&self.requests, proxy.config.limits.http2_requests)
    }

    pub(super) fn windows(&self) -> &Rc<Windows> {
        &self.windows
    }

    /// Connections that are open now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.upstreams.borrow().values().map(|upstream| upstream.connections.borrow().len()).sum()
    }

    /// None is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every connection as soon as its streams have ended.
    pub fn close(&self) {
        for upstream in self.upstreams.borrow().values() {
            upstream.connections.borrow().iter().for_each(|connection| connection.close());
        }
    }

    fn upstream(&self, target: &Target) -> Rc<Upstream> {
        Rc::clone(self.upstreams.borrow_mut().entry(target.key()).or_default())
    }

    fn sweep_later(&self, proxy: &Rc<Proxy>) {
        if self.sweeping.replace(true) {
            return;
        }
        let proxy = Rc::downgrade(proxy);
        spawn_local(async move {
            loop {
                sleep(SWEEP).await;
                let Some(proxy) = proxy.upgrade() else { return };
                let clients = &proxy.http2;
                clients.sweep(proxy.config.limits.idle_mesh);
                if clients.upstreams.borrow().is_empty() {
                    clients.sweeping.set(false);
                    return;
                }
            }
        });
    }

    fn close_idle(&self, idle: Duration) {
        for upstream in self.upstreams.borrow().values() {
            for connection in upstream.connections.borrow().iter() {
                if connection.idle_since().is_some_and(|since| since.elapsed() >= idle) {
                    connection.close();
                }
            }
        }
    }

    /// Ends connections that were idle for too long and forgets upstreams that are not used.
    fn sweep(&self, idle: Duration) {
        self.close_idle(idle);
        self.upstreams.borrow_mut().retain(|_, upstream| {
            upstream.connections.borrow_mut().retain(|connection| !connection.is_closing());
            Rc::strong_count(upstream) > 1 || !upstream.connections.borrow().is_empty()
        });
    }
}

impl Upstream {
    /// A stream on the first connection with room: the later ones fall idle and are closed.
    fn take(self: &Rc<Self>) -> Option<Slot> {
        let mut connections = self.connections.borrow_mut();
        let connection = match connections.iter().find(|connection| connection.has_room()) {
            Some(connection) => Rc::clone(connection),
            None => {
                connections.retain(|connection| !connection.is_closing());
                return None;
            }
        };
        connection.occupy();
        Some(Slot { upstream: Rc::clone(self), connection })
    }

    /// Connects in a task of its own: the requests that wait for it come and go.
    fn dial(self: &Rc<Self>, proxy: &Rc<Proxy>, target: &Target, counted: Counted) {
        self.dialing.set(self.dialing.get() + 1);
        let (upstream, proxy, target) = (Rc::clone(self), Rc::clone(proxy), target.clone());
        spawn_local(async move {
            let mesh = target.transport != Transport::Plain;
            let opened = match proxy.dial(&target, Protocol::Http2).await {
                Ok(stream) => {
                    let opened = Connection::open(stream, mesh, proxy.http2.windows(), counted);
                    opened.await.map_err(|_| ErrorReason::Upstream)
                }
                Err(reason) => Err(reason),
            };
            upstream.dialing.set(upstream.dialing.get().saturating_sub(1));
            match opened {
                Ok((connection, drive)) => {
                    upstream.connections.borrow_mut().push(Rc::clone(&connection));
                    upstream.changed.notify_one();
                    drop(proxy);
                    drive.await;
                    upstream.connections.borrow_mut().retain(|other| !Rc::ptr_eq(other, &connection));
                    upstream.changed.notify_one();
                }
                Err(reason) => {
                    let (failures, _) = upstream.failed.get();
                    upstream.failed.set((failures + 1, Some(reason)));
                    upstream.changed.notify_one();
                }
            }
        });
    }
}
