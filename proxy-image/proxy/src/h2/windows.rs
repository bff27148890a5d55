//! Connection windows that grow with the streams that share them, within what all connections may have together.
//!
//! A stream whose reader stops keeps its window's worth of the connection's. As long as a connection's window is no smaller than the windows
//! of its streams together, stopped streams hold up no other.

use std::cell::Cell;
use std::rc::Rc;

use super::{CONNECTION_WINDOW, CONNECTION_WINDOW_MOST, STREAM_WINDOW, WINDOWS};

/// What has been granted beyond [`CONNECTION_WINDOW`], in bytes.
#[derive(Default)]
pub(super) struct Windows(Cell<u32>);

/// The window of one connection; what was granted to it goes back when it is dropped.
pub(super) struct Window {
    windows: Rc<Windows>,
    size: u32,
}

impl Window {
    pub(super) fn new(windows: &Rc<Windows>) -> Self {
        Self { windows: Rc::clone(windows), size: CONNECTION_WINDOW }
    }

    /// The size to set now that `streams` are open; None when it stays, because it suffices or because nothing is left to grant.
    pub(super) fn widen(&mut self, streams: usize) -> Option<u32> {
        let streams = u32::try_from(streams).unwrap_or(u32::MAX);
        let needed = streams.saturating_mul(STREAM_WINDOW).min(CONNECTION_WINDOW_MOST);
        if needed <= self.size {
            return None;
        }
        // Doubled, so that a burst of streams asks a few times and not for each.
        let wanted = self.size.saturating_mul(2).clamp(needed, CONNECTION_WINDOW_MOST);
        let granted = (wanted - self.size).min(WINDOWS.saturating_sub(self.windows.0.get()));
        if granted < STREAM_WINDOW {
            return None;
        }
        self.windows.0.set(self.windows.0.get() + granted);
        self.size += granted;
        Some(self.size)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.windows.0.set(self.windows.0.get().saturating_sub(self.size - CONNECTION_WINDOW));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_those_of_its_streams_up_to_the_most_that_one_may_have() {
        let windows = Rc::default();
        let mut window = Window::new(&windows);
        assert_eq!(window.widen(16), None);
        for streams in 17..=crate::h2::STREAMS_UPSTREAM {
            window.widen(streams);
            assert!(window.size >= u32::try_from(streams).unwrap() * STREAM_WINDOW, "{streams} streams");
        }
        assert_eq!(window.widen(100_000), None);
        assert_eq!(window.size, CONNECTION_WINDOW_MOST);
        drop(window);
        assert_eq!(windows.0.get(), 0);
    }

    #[test]
    fn all_connections_together_are_granted_no_more_than_the_bound() {
        let windows = Rc::default();
        let mut granted: Vec<Window> = (0..1_000).map(|_| Window::new(&windows)).collect();
        for window in &mut granted {
            window.widen(100);
        }
        assert!(windows.0.get() <= WINDOWS && windows.0.get() > WINDOWS - STREAM_WINDOW);
        assert_eq!(granted.last().map(|window| window.size), Some(CONNECTION_WINDOW), "who comes late has what is his");
        granted.clear();
        assert_eq!(windows.0.get(), 0);
    }
}
