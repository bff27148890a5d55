//! Memory for bodies that may have to be sent again, all requests together.

use std::cell::Cell;
use std::rc::Rc;

/// Bytes that all requests together may keep; a request that finds no room is sent once.
pub const ROOM: usize = 16 * 1024 * 1024;

/// What is left of it.
#[derive(Clone)]
pub struct Room(Rc<Cell<usize>>);

impl Default for Room {
    fn default() -> Self {
        Self(Rc::new(Cell::new(ROOM)))
    }
}

/// Room that is given back when dropped.
pub struct Reserved {
    room: Room,
    bytes: usize,
}

impl Room {
    /// Takes `bytes`, if that much is left.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let left = self.0.get().checked_sub(bytes)?;
        self.0.set(left);
        Some(Reserved { room: self.clone(), bytes })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.room.0.set(self.room.0.get() + self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_runs_out_and_comes_back() {
        let room = Room::default();
        let first = room.reserve(ROOM - 1).unwrap();
        assert!(room.reserve(2).is_none());
        let last = room.reserve(1).unwrap();
        drop(first);
        assert!(room.reserve(ROOM).is_none());
        drop(last);
        assert!(room.reserve(ROOM).is_some());
    }
}
