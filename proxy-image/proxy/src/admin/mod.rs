//! What kubelets, Prometheus and people ask of a proxy, over plain HTTP/1.1 on a port of its own.
//!
//! Owns the admin listener's connections and answers. Reads the shared state; the one thing it changes is that a drain begins. Hand-written
//! because it needs no more than heads without bodies, and must stay answerable when it is abused: a bounded number of connections, of
//! which the oldest gives way to the newest, and deadlines for every read and write.

mod config;
mod connection;
mod request;
mod routes;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;

use crate::context::Proxy;

/// Connections served at a time.
const CONNECTIONS: usize = 64;
/// When accepting fails (no descriptors left), trying again at once would only spin.
const PAUSE: Duration = Duration::from_millis(20);

type Open = Rc<RefCell<VecDeque<(u64, AbortHandle)>>>;

/// Answers on `listener` until the task is dropped.
pub async fn serve(proxy: Rc<Proxy>, listener: TcpListener) {
    let open: Open = Rc::default();
    let mut next = 0_u64;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
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
            if let Some((_, oldest)) = open.borrow_mut().pop_front() {
                oldest.abort();
            }
        }
        let (proxy, others) = (Rc::clone(&proxy), Rc::clone(&open));
        let task = spawn_local(async move {
            connection::serve(&proxy, stream).await;
            others.borrow_mut().retain(|(other, _)| *other != id);
        });
        open.borrow_mut().push_back((id, task.abort_handle()));
    }
}

#[cfg(test)]
mod tests;
