//! What has been read of a body and waits for its receiver.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Chunks below this are joined while they wait: a frame costs more than it carries.
const SMALL: usize = 1024;

/// Chunks in their order. What it holds is bounded by the sender's stream window, which does not open before they are passed on.
#[derive(Default)]
pub(super) struct Hand {
    chunks: VecDeque<Bytes>,
    /// Small chunks that follow, joined.
    tail: BytesMut,
    length: usize,
    /// Bytes at the front whose capacity was given back before.
    free: usize,
}

impl Hand {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Takes a chunk; `owed` says whether its capacity is still to be given back. Those that are not come before all others.
    pub(super) fn push(&mut self, chunk: Bytes, owed: bool) {
        self.length += chunk.len();
        if !owed {
            self.free += chunk.len();
        }
        // The first is passed on as it came: joining is for what waits.
        if chunk.len() < SMALL && self.length > chunk.len() {
            self.tail.extend_from_slice(&chunk);
        } else if !chunk.is_empty() {
            self.join();
            self.chunks.push_back(chunk);
        }
    }

    /// Gives up to `most` bytes of the front, and how many of them are owed.
    pub(super) fn take(&mut self, most: usize) -> (Bytes, usize) {
        if self.chunks.is_empty() {
            self.join();
        }
        let Some(front) = self.chunks.front_mut() else { return (Bytes::new(), 0) };
        let part = front.split_to(most.min(front.len()));
        if front.is_empty() {
            self.chunks.pop_front();
        }
        self.length -= part.len();
        let free = self.free.min(part.len());
        self.free -= free;
        let owed = part.len() - free;
        (part, owed)
    }

    fn join(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// Pieces of memory that it is made of.
    #[cfg(test)]
    fn pieces(&self) -> usize {
        self.chunks.len() + usize::from(!self.tail.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_their_order_and_are_owed_once() {
        let mut hand = Hand::default();
        hand.push(Bytes::from_static(b"kept"), false);
        hand.push(Bytes::from(vec![b'x'; SMALL]), true);
        for byte in b"small" {
            hand.push(Bytes::copy_from_slice(&[*byte]), true);
        }
        assert_eq!(hand.len(), 4 + SMALL + 5);
        let (mut out, mut owed) = (Vec::new(), 0);
        while !hand.is_empty() {
            let (part, of_part) = hand.take(7);
            assert!((1..=7).contains(&part.len()));
            out.extend_from_slice(&part);
            owed += of_part;
        }
        assert_eq!(out, [b"kept".as_slice(), &[b'x'; SMALL], b"small"].concat());
        assert_eq!(owed, SMALL + 5);
        assert_eq!(hand.take(1), (Bytes::new(), 0));
    }

    #[test]
    fn a_window_of_single_bytes_is_held_in_a_handful_of_pieces() {
        let mut hand = Hand::default();
        for number in 0..crate::h2::STREAM_WINDOW {
            hand.push(Bytes::from(vec![number as u8]), true);
        }
        assert_eq!(hand.len(), crate::h2::STREAM_WINDOW as usize);
        assert!(hand.pieces() <= 2);
    }
}
