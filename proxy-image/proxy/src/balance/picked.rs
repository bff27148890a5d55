//! The guard of one try at one endpoint.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weft_policy::balance::{Node, Outcome};
use weft_policy::model::Endpoint;

use super::{now_ns, random};

/// Whoever asks for longer is asked again after this.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// What the data path keeps beside an endpoint (pooled connections, resolved series), at most a handful of values of different types. It
/// goes when the endpoint goes.
#[derive(Default)]
pub struct Attachments(RefCell<Vec<Rc<dyn Any>>>);

impl Attachments {
    fn get_or_make<T: 'static>(&self, make: impl FnOnce() -> T) -> Rc<T> {
        let found = self.0.borrow().iter().find(|value| value.is::<T>()).cloned();
        if let Some(Ok(value)) = found.map(Rc::downcast::<T>) {
            return value;
        }
        let made = Rc::new(make());
        self.0.borrow_mut().push(Rc::clone(&made) as Rc<dyn Any>);
        made
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    /// With the latency of the head, in nanoseconds.
    Answered(u64),
    /// A connection of bytes stands.
    Held,
    Done,
}

/// A try under way. Finish it with its outcome; dropping it unfinished means that the client went away.
pub struct Picked {
    node: Rc<Node<Attachments>>,
    began_ns: Cell<u64>,
    state: State,
}

impl Picked {
    pub(super) fn begin(node: Rc<Node<Attachments>>, now_ns: u64) -> Self {
        node.begin(now_ns);
        Self { node, began_ns: Cell::new(now_ns), state: State::Waiting }
    }

    /// Where to go.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        self.node.endpoint()
    }

    #[cfg(test)]
    pub(super) fn node(&self) -> &Node<Attachments> {
        &self.node
    }

    /// What is kept for this endpoint under the type `T`, made if there is none.
    #[must_use]
    pub fn attachment<T: 'static>(&self, make: impl FnOnce(&Arc<Endpoint>) -> T) -> Rc<T> {
        self.node.attached().get_or_make(|| make(self.node.endpoint()))
    }

    /// The response's head came and a body follows: from now on the endpoint is not waited for. The outcome comes with [`Picked::finish`],
    /// whose latency is then ignored; dropping means success.
    pub fn respond(&mut self, now_ns: u64) {
        if self.state == State::Waiting {
            let latency_ns = now_ns.saturating_sub(self.began_ns.get());
            self.state = State::Answered(latency_ns);
            self.node.respond(latency_ns, now_ns);
        }
    }

    /// The try ended at `now_ns`.
    pub fn finish(mut self, outcome: Outcome, now_ns: u64) {
        match self.state {
            State::Waiting => self.node.finish(outcome, now_ns),
            State::Answered(latency_ns) => self.node.conclude(Outcome { latency_ns, ..outcome }, now_ns),
            State::Held => self.node.let_go(),
            State::Done => {}
        }
        self.state = State::Done;
    }

    /// The try ended now; its latency is the time since the pick, or since a connection was made for it.
    pub fn finish_now(self, failed: bool) {
        let now = now_ns();
        let latency_ns = now.saturating_sub(self.began_ns.get());
        self.finish(Outcome { latency_ns, failed }, now);
    }

    /// The try failed, and that counts elsewhere: nothing is held for or against the endpoint, but that an answer takes at least as long as this
    /// one took.
    pub fn withhold(mut self) {
        if let State::Answered(_) = self.state {
            // Slowness was told with the head; a probe under way ends by its trial.
            self.state = State::Done;
        }
        // Otherwise dropped, as a try that its client gave up.
    }

    /// A connection of bytes stands, and counts at the endpoint until the guard is dropped.
    pub fn established(&mut self) {
        self.connected();
        if self.state == State::Waiting {
            self.node.established(now_ns());
            self.state = State::Held;
        }
    }

    /// What was a request is a connection that stays, and counts at the endpoint until the guard is dropped.
    #[must_use]
    pub fn hold(&self) -> Held {
        self.node.hold();
        Held(Rc::clone(&self.node))
    }

    /// The server asked for a pause before the next request; believed up to a bound.
    pub fn wait(&self, pause: Duration) {
        self.node.wait(pause.min(LONGEST_WAIT), now_ns(), random());
    }

    /// No connection could be made: a failure, and the endpoint is tried last for a while.
    pub fn connect_failed(self) {
        self.node.connect_failed(now_ns());
        self.finish_now(true);
    }

    /// A new connection stands: earlier refusals are forgotten, and the wait for an answer begins here. A handshake says nothing about how
    /// long the endpoint takes to serve, and would keep traffic away from it for long.
    pub fn connected(&self) {
        self.node.connected();
        self.began_ns.set(now_ns());
    }
}

/// An upgraded connection to an endpoint.
pub struct Held(Rc<Node<Attachments>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        match self.state {
            State::Waiting => {
                let now = now_ns();
                self.node.give_up(now.saturating_sub(self.began_ns.get()), now);
            }
            State::Answered(latency_ns) => self.node.conclude(Outcome { latency_ns, failed: false }, now_ns()),
            State::Held => self.node.let_go(),
            State::Done => {}
        }
    }
}
