//! The end of a proxy's life: inbound goes on until it is idle; outbound until the application has gone, or, where the proxy alone is
//! replaced, until what is under way has ended; then nobody is let in any more, and whoever came in that moment is served; a deadline ends all.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::sync::watch;

use crate::exchange::Direction;

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Not ready; inbound connections are asked to end.
    Draining,
    /// Outbound connections are asked to end as well: nobody is left to make them, or the next proxy will serve them.
    Leaving,
    /// The inbound listeners close, so that new clients are refused and go elsewhere. Without this step the process would end under whoever
    /// came after inbound was last seen idle.
    Shut,
    /// The deadline: everything ends now.
    Closed,
}

/// Shared by everything that serves.
#[derive(Clone)]
pub struct Drain(Rc<Inner>);

struct Inner {
    phase: watch::Sender<Phase>,
    draining: Cell<bool>,
    leaving: Cell<bool>,
    inbound: watch::Sender<usize>,
    outbound: watch::Sender<usize>,
    woken: RefCell<Slab<Waker>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self(Rc::new(Inner {
            phase: watch::Sender::new(Phase::Serving),
            draining: Cell::new(false),
            leaving: Cell::new(false),
            inbound: watch::Sender::new(0),
            outbound: watch::Sender::new(0),
            woken: RefCell::default(),
        }))
    }
}

impl Drain {
    /// Draining has begun. Cheap: asked for every request.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.0.draining.get()
    }

    /// Connections of `direction` are to end as soon as nothing is under way on them. Cheap: asked for every request.
    #[must_use]
    pub fn ends(&self, direction: Direction) -> bool {
        match direction {
            Direction::Inbound => self.0.draining.get(),
            Direction::Outbound => self.0.leaving.get(),
        }
    }

    /// Begins it; more calls change nothing.
    pub fn begin(&self) {
        self.0.draining.set(true);
        self.advance(Phase::Draining);
    }

    /// Outbound connections are to end as well; more calls change nothing.
    pub fn leave(&self) {
        self.0.draining.set(true);
        self.0.leaving.set(true);
        self.advance(Phase::Leaving);
    }

    /// Nobody is to be let in any more; more calls change nothing.
    pub fn shut(&self) {
        self.leave();
        self.advance(Phase::Shut);
    }

    fn advance(&self, to: Phase) {
        self.0.phase.send_if_modified(|phase| std::mem::replace(phase, (*phase).max(to)) < to);
        for (_, waker) in self.0.woken.borrow().iter() {
            waker.wake_by_ref();
        }
    }

    /// Wakes the task of `waker` whenever the drain goes on to its next phase, as long as the result lives. For a task that then asks
    /// [`Drain::ends`]: waiting costs it nothing until then.
    #[must_use]
    pub fn wake(&self, waker: &Waker) -> Woken {
        let key = self.0.woken.borrow_mut().insert(waker.clone());
        Woken { drain: self.clone(), key }
    }

    /// The deadline has come.
    pub fn close(&self) {
        self.leave();
        self.0.phase.send_replace(Phase::Closed);
    }

    /// Waits until draining has begun.
    pub async fn started(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until connections of `direction` are to end.
    pub async fn ending(&self, direction: Direction) {
        self.reached(match direction {
            Direction::Inbound => Phase::Draining,
            Direction::Outbound => Phase::Leaving,
        })
        .await;
    }

    /// Waits until nobody is to be let in any more.
    pub async fn shutting(&self) {
        self.reached(Phase::Shut).await;
    }

    /// Waits for the deadline.
    pub async fn closed(&self) {
        self.reached(Phase::Closed).await;
    }

    async fn reached(&self, wanted: Phase) {
        // The sender lives as long as `self`.
        let _ = self.0.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }

    /// Counts a connection until the guard is dropped.
    #[must_use]
    pub fn guard(&self, direction: Direction) -> Guard {
        self.counter(direction).send_modify(|count| *count += 1);
        Guard { drain: self.clone(), direction }
    }

    /// Connections open now.
    #[must_use]
    pub fn active(&self, direction: Direction) -> usize {
        *self.counter(direction).borrow()
    }

    /// Waits until no connection of `direction` is open, or for `patience`; whether it became idle.
    pub async fn idle(&self, direction: Direction, patience: Duration) -> bool {
        let mut count = self.counter(direction).subscribe();
        tokio::time::timeout(patience, count.wait_for(|count| *count == 0)).await.is_ok()
    }

    fn counter(&self, direction: Direction) -> &watch::Sender<usize> {
        match direction {
            Direction::Inbound => &self.0.inbound,
            Direction::Outbound => &self.0.outbound,
        }
    }
}

/// One open connection.
pub struct Guard {
    drain: Drain,
    direction: Direction,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drain.counter(self.direction).send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A task that is woken when draining begins.
pub struct Woken {
    drain: Drain,
    key: usize,
}

impl Drop for Woken {
    fn drop(&mut self) {
        let _ = self.drain.0.woken.borrow_mut().try_remove(self.key);
    }
}
