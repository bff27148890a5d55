//! Connections and their bytes: the `tcp_*` families.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::labels::SeriesLabels;
use super::scalar::Counter;

/// Distinct `errno` of one series; closed sets of words, so this is a guard and not a limit in practice.
const MAX_ERRNO: usize = 32;

/// The connections under one label set.
pub struct TcpSeries {
    pub(super) opened: Counter,
    pub(super) open: Cell<i64>,
    pub(super) read: Counter,
    pub(super) written: Counter,
    pub(super) closed: RefCell<Vec<(&'static str, u64)>>,
}

impl TcpSeries {
    pub(super) fn new(_: SeriesLabels) -> Self {
        Self {
            opened: Counter::default(),
            open: Cell::new(0),
            read: Counter::default(),
            written: Counter::default(),
            closed: RefCell::default(),
        }
    }

    /// Counts a connection as open until the guard is dropped.
    #[must_use]
    pub fn open(self: &Rc<Self>) -> OpenConnection {
        self.opened.increment();
        self.open.set(self.open.get().wrapping_add(1));
        OpenConnection { series: Rc::clone(self), errno: Cell::new("") }
    }

    /// Connections open now.
    #[must_use]
    pub fn open_now(&self) -> i64 {
        self.open.get()
    }

    /// Connections ever opened.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }
}

/// One open connection; dropping it counts the close.
pub struct OpenConnection {
    series: Rc<TcpSeries>,
    errno: Cell<&'static str>,
}

impl OpenConnection {
    /// Bytes that came from the peer.
    pub fn add_read(&self, bytes: u64) {
        self.series.read.add(bytes);
    }

    /// Bytes that went to the peer.
    pub fn add_written(&self, bytes: u64) {
        self.series.written.add(bytes);
    }

    /// The `errno` that the close will be counted under, a word from a closed set such as `ECONNRESET`; empty means an orderly end.
    pub fn set_errno(&self, errno: &'static str) {
        self.errno.set(errno);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.series.open.set(self.series.open.get().wrapping_sub(1));
        let errno = self.errno.get();
        let mut closed = self.series.closed.borrow_mut();
        if let Some((_, count)) = closed.iter_mut().find(|(known, _)| *known == errno) {
            *count = count.wrapping_add(1);
        } else if closed.len() < MAX_ERRNO {
            closed.push((errno, 1));
        }
    }
}
