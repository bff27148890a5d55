//! Idle HTTP/1 upstream connections. Each serves one exchange at a time; what comes back is lent again, newest first.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::config::Limits;
use crate::exchange::{ByTarget, Target};
use crate::io::Stream;

/// Idle connections are looked after this often, and only while there are any.
const SWEEP: Duration = Duration::from_secs(1);

/// Mesh connections of one target that are kept for the whole of their time. A session of TLS is 20 kB on both sides.
const KEPT: usize = 32;

/// Idle connections by target.
pub struct Pool(Rc<Inner>);

struct Inner {
    limits: Limits,
    idle: RefCell<ByTarget<Vec<Idle>>>,
    total: Cell<usize>,
    sweeping: Cell<bool>,
    closed: Cell<bool>,
}

struct Idle {
    stream: Stream,
    since: Instant,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self(Rc::new(Inner {
            limits: limits.clone(),
            idle: RefCell::default(),
            total: Cell::new(0),
            sweeping: Cell::new(false),
            closed: Cell::new(false),
        }))
    }

    /// The connection to `target` that was idle for the shortest time and is still sound.
    #[must_use]
    pub fn take(&self, target: &Target) -> Option<Stream> {
        let mut idle = self.0.idle.borrow_mut();
        let connections = idle.get_mut(&target.key())?;
        while let Some(mut found) = connections.pop() {
            self.0.total.set(self.0.total.get().saturating_sub(1));
            if found.stream.is_sound() {
                return Some(found.stream);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over. Past the bounds it is closed instead.
    pub fn put(&self, target: &Target, stream: Stream) {
        let inner = &self.0;
        if inner.closed.get() || inner.total.get() >= inner.limits.idle_total {
            return;
        }
        let mut idle = inner.idle.borrow_mut();
        let connections = idle.entry(target.key()).or_default();
        if connections.len() >= inner.limits.idle_per_target {
            return;
        }
        connections.push(Idle { stream, since: Instant::now() });
        inner.total.set(inner.total.get() + 1);
        drop(idle);
        if !inner.sweeping.replace(true) {
            let inner = Rc::clone(inner);
            spawn_local(async move {
                while inner.total.get() > 0 {
                    sleep(SWEEP).await;
                    inner.sweep();
                }
                inner.sweeping.set(false);
            });
        }
    }

    /// Idle connections now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.total.get()
    }

    /// None is idle.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes all that are idle and keeps no more.
    pub fn close(&self) {
        self.0.closed.set(true);
        self.0.idle.borrow_mut().clear();
        self.0.total.set(0);
    }
}

impl Inner {
    /// Closes what is too old or was closed at the other end.
    fn sweep(&self) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|_, connections| {
            // The oldest come first, and are lent last.
            let mut surplus = connections.len().saturating_sub(KEPT);
            connections.retain_mut(|connection| {
                let patience = match connection.stream.is_mesh() {
                    true if surplus > 0 => self.limits.idle_surplus.min(self.limits.idle_mesh),
                    true => self.limits.idle_mesh,
                    false => self.limits.idle_plain,
                };
                surplus = surplus.saturating_sub(1);
                connection.since.elapsed() < patience && connection.stream.is_sound()
            });
            connections.shrink_to(4);
            !connections.is_empty()
        });
        self.total.set(idle.values().map(Vec::len).sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Direction;
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::LocalSet;

    #[tokio::test]
    async fn past_the_bounds_a_connection_is_closed_instead_of_kept() {
        LocalSet::new()
            .run_until(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let pool = Pool::new(&Limits { idle_per_target: 2, idle_total: 3, ..Limits::default() });
                let target = |port: u16| Target::plain(SocketAddr::from(([10, 0, 0, 1], port)), Direction::Outbound);
                let mut accepted = Vec::new();
                for (port, kept) in [(1, 1), (1, 2), (1, 2), (2, 3), (3, 3)] {
                    let stream = TcpStream::connect(address).await.unwrap();
                    accepted.push(listener.accept().await.unwrap().0);
                    pool.put(&target(port), Stream::plain(stream));
                    assert_eq!(pool.len(), kept, "after one more to port {port}");
                }
                // What was not kept is closed: its other end reads an end.
                for (index, mut stream) in accepted.into_iter().enumerate() {
                    let mut byte = [0];
                    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte);
                    let ended = tokio::time::timeout(Duration::from_millis(50), read).await.is_ok();
                    assert_eq!(ended, matches!(index, 2 | 4), "connection {index}");
                }
            })
            .await;
    }
}
