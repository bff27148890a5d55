//! Requests under way to one port of the application.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

/// By port; as many as the workload has ports with a limit.
pub type Ports = HashMap<u16, Rc<Cell<u32>>>;

/// One request under way; it counts for as long as this lives.
pub struct InFlight(Rc<Cell<u32>>);

impl InFlight {
    /// One more, unless `limit` are under way.
    #[must_use]
    pub fn begin(count: &Rc<Cell<u32>>, limit: u32) -> Option<Self> {
        if count.get() >= limit {
            return None;
        }
        count.set(count.get() + 1);
        Some(Self(Rc::clone(count)))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_the_limit_is_not_begun_until_one_has_ended() {
        let count = Rc::default();
        let first = InFlight::begin(&count, 2).unwrap();
        let _second = InFlight::begin(&count, 2).unwrap();
        assert!(InFlight::begin(&count, 2).is_none());
        drop(first);
        assert!(InFlight::begin(&count, 2).is_some());
    }
}
