//! What kubelets, Prometheus and people ask of a proxy, over plain HTTP/1.1 on a port of its own.
//!
//! Owns the admin listener's connections and answers. Reads the shared state; the one thing it changes is that a drain begins, and only the
//! pod itself may ask for that. Hand-written because it needs no more than heads without bodies, and must stay answerable when it is abused:
//! a bounded number of connections, of which the oldest gives way to the newest, and deadlines for every read and write.

mod config;
mod connection;
mod request;
mod routes;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use crate::context::Proxy;
use crate::sys;

/// Connections served at a time.
const CONNECTIONS: usize = 64;
/// When accepting fails (no descriptors left), trying again at once would only spin.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections that wait for the end of a drain and so give way to nobody.
const WAITING: usize = 8;

type Open = Rc<RefCell<VecDeque<Held>>>;

/// An open connection.
struct Held {
    id: u64,
    waits: bool,
    task: AbortHandle,
}

/// Who asks, and its place among the open connections, which it leaves when dropped.
struct Caller {
    open: Open,
    id: u64,
    local: Option<SocketAddr>,
    peer: SocketAddr,
}

impl Caller {
    /// It comes from within the pod.
    fn is_loopback(&self) -> bool {
        self.peer.ip().is_loopback()
    }

    /// It waits for a drain: cutting it off would let its container be ended early.
    fn waits(&self) {
        let mut open = self.open.borrow_mut();
        if open.iter().filter(|held| held.waits).count() < WAITING
            && let Some(held) = open.iter_mut().find(|held| held.id == self.id)
        {
            held.waits = true;
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.open.borrow_mut().retain(|held| held.id != self.id);
    }
}

/// Answers on `listener` until the task is dropped.
pub async fn serve(proxy: Rc<Proxy>, listener: TcpListener) {
    let open: Open = Rc::default();
    let mut next = 0_u64;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, sys::canonical(peer)),
            Err(error) => {
                tracing::warn!(error = %error, "admin connection not accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        let id = next;
        next = next.wrapping_add(1);
        if open.borrow().len() >= CONNECTIONS {
            // Whoever is connected longest is Prometheus at worst, and an attacker who says nothing at best; a probe must get through.
            let oldest = open.borrow().iter().position(|held| !held.waits);
            if let Some(oldest) = oldest.and_then(|oldest| open.borrow_mut().remove(oldest)) {
                oldest.task.abort();
            }
        }
        let caller = Caller { open: Rc::clone(&open), id, local: stream.local_addr().ok(), peer };
        let proxy = Rc::clone(&proxy);
        let task = spawn_local(async move { connection::serve(&proxy, stream, &caller).await });
        open.borrow_mut().push_back(Held { id, waits: false, task: task.abort_handle() });
    }
}

#[cfg(test)]
mod tests;
