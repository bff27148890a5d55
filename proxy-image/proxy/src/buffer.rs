//! Byte buffers that cost nothing while a connection is idle: memory is borrowed from a small free list of the thread when
//! bytes arrive and goes back when the last byte has left.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::metrics::{Descriptor, Metrics, SeriesLabels};

/// Room of one buffer in bytes: one TLS record of plaintext.
pub const SIZE: usize = 16 * 1024;
/// A head may make its buffer grow to this many bytes.
pub const MAX_SIZE: usize = 64 * 1024;
/// Buffers kept for reuse: 1 MB. With fewer, some dozens of requests in flight would have memory made and zeroed for each of them.
const KEPT: usize = 64;

static HELD: Descriptor = Descriptor::gauge(
    "proxy_buffer_bytes",
    "Bytes of the buffers that hold something between a reader and a writer, those of HTTP/2 streams left out.",
);

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static LENT: Cell<usize> = const { Cell::new(0) };
}

/// Adds `proxy_buffer_bytes` to every scrape.
pub fn collect(metrics: &Metrics) {
    metrics.collect_from(|sampler| sampler.sample(&HELD, &SeriesLabels::none(), LENT.get()));
}

fn borrow() -> Box<[u8]> {
    lend(FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; SIZE].into_boxed_slice()))
}

fn lend(memory: Box<[u8]>) -> Box<[u8]> {
    LENT.set(LENT.get() + memory.len());
    memory
}

fn give_back(memory: Box<[u8]>) {
    LENT.set(LENT.get().saturating_sub(memory.len()));
    if memory.len() == SIZE {
        FREE.with_borrow_mut(|free| {
            if free.len() < KEPT {
                free.push(memory);
            }
        });
    }
}

/// Bytes between a reader and a writer.
#[derive(Default)]
pub struct Buffer {
    memory: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes held.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.memory.as_deref().and_then(|memory| memory.get(self.start..self.end)).unwrap_or_default()
    }

    /// Number of bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// No room is left before some bytes are consumed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| self.len() == memory.len())
    }

    /// Forgets the first `count` bytes; the memory goes back with the last of them.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything and gives the memory back.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        if let Some(memory) = self.memory.take() {
            give_back(memory);
        }
    }

    /// Appends `bytes`, growing as far as needed.
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.reserve(bytes.len());
        if let Some(room) =
            self.memory.as_deref_mut().and_then(|memory| memory.get_mut(self.end..self.end + bytes.len()))
        {
            room.copy_from_slice(bytes);
            self.end += bytes.len();
        }
    }

    /// Doubles the room up to [`MAX_SIZE`]; false when that is reached.
    pub fn grow(&mut self) -> bool {
        let room = self.memory.as_ref().map_or(SIZE, |memory| memory.len());
        if room >= MAX_SIZE {
            return false;
        }
        self.reserve(room * 2 - self.len());
        true
    }

    fn reserve(&mut self, more: usize) {
        let held = self.len();
        let memory = self.memory.get_or_insert_with(borrow);
        if memory.len() - self.end >= more {
            return;
        }
        if memory.len() - held < more {
            let mut larger = lend(vec![0; (held + more).next_multiple_of(SIZE)].into_boxed_slice());
            if let (Some(to), Some(from)) = (larger.get_mut(..held), memory.get(self.start..self.end)) {
                to.copy_from_slice(from);
            }
            give_back(std::mem::replace(memory, larger));
        } else {
            memory.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, held);
    }

    /// Reads once; Ready(0) is the end of the stream or a full buffer (ask [`Buffer::is_full`] first).
    ///
    /// # Errors
    /// The reader's.
    pub fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let memory = self.memory.get_or_insert_with(borrow);
        if self.start > 0 && self.end == memory.len() {
            memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut room = ReadBuf::new(memory.get_mut(self.end..).unwrap_or_default());
        let result = Pin::new(reader).poll_read(context, &mut room);
        let count = room.filled().len();
        if count == 0 && self.is_empty() {
            self.clear();
        }
        ready!(result)?;
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_held_only_while_bytes_are() {
        let mut buffer = Buffer::default();
        buffer.push(b"hello");
        assert_eq!(buffer.bytes(), b"hello");
        buffer.consume(2);
        assert_eq!(buffer.bytes(), b"llo");
        buffer.consume(3);
        assert!(buffer.is_empty() && buffer.memory.is_none());
    }

    #[test]
    fn what_is_lent_is_counted_until_it_comes_back() {
        let before = LENT.get();
        let (mut small, mut large) = (Buffer::default(), Buffer::default());
        small.push(b"x");
        large.push(&[0; SIZE + 1]);
        assert_eq!(LENT.get() - before, 3 * SIZE);
        small.consume(1);
        assert_eq!(LENT.get() - before, 2 * SIZE);
        drop(large);
        assert_eq!(LENT.get(), before);
    }

    #[test]
    fn no_more_memory_is_kept_for_reuse_than_the_bound() {
        let mut many: Vec<Buffer> = (0..KEPT * 4).map(|_| Buffer::default()).collect();
        many.iter_mut().for_each(|buffer| buffer.push(b"x"));
        drop(many);
        assert_eq!(FREE.with_borrow(Vec::len), KEPT);
        // What has grown is not kept at all.
        FREE.with_borrow_mut(Vec::clear);
        let mut large = Buffer::default();
        large.push(&[0; 2 * SIZE]);
        drop(large);
        assert!(FREE.with_borrow(|free| free.iter().all(|memory| memory.len() == SIZE)));
    }

    #[test]
    fn a_buffer_grows_to_its_limit_and_keeps_its_bytes() {
        let mut buffer = Buffer::default();
        buffer.push(&[7; SIZE]);
        assert!(buffer.is_full());
        buffer.consume(1);
        while buffer.grow() {}
        assert_eq!(buffer.len(), SIZE - 1);
        assert!(buffer.bytes().iter().all(|byte| *byte == 7));
        assert!(buffer.memory.as_ref().unwrap().len() >= MAX_SIZE);
    }
}
