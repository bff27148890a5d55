//! Counters of closed sets, resolved once for the whole proxy and indexed by discriminant.

use std::rc::Rc;

use crate::exchange::{Direction, ErrorReason};
use crate::metrics::{Counter, Descriptor, LabelBuilder, Metrics, descriptors};
use crate::refusal::Refusal;

/// Refused connections and error answers by reason.
pub struct Counters {
    inbound_refused: Vec<Rc<Counter>>,
    outbound_refused: Vec<Rc<Counter>>,
    inbound_errors: Vec<Rc<Counter>>,
    outbound_errors: Vec<Rc<Counter>>,
}

impl Counters {
    /// All at zero, so that they are exported before anything happens.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let family = |descriptor: &'static Descriptor, label: &str, names: &mut dyn Iterator<Item = &'static str>| {
            names.map(|name| metrics.counter(descriptor, &LabelBuilder::empty().with(label, name).build())).collect()
        };
        let refusals = || Refusal::ALL.iter().map(|refusal| refusal.name());
        let reasons = || ErrorReason::ALL.iter().map(|reason| reason.name());
        Self {
            inbound_refused: family(&descriptors::INBOUND_REFUSED, "reason", &mut refusals()),
            outbound_refused: family(&descriptors::OUTBOUND_REFUSED, "reason", &mut refusals()),
            inbound_errors: family(&descriptors::INBOUND_HTTP_ERRORS, "error", &mut reasons()),
            outbound_errors: family(&descriptors::OUTBOUND_HTTP_ERRORS, "error", &mut reasons()),
        }
    }

    /// Counts a refused connection.
    pub fn refused(&self, direction: Direction, refusal: Refusal) {
        let counters = match direction {
            Direction::Inbound => &self.inbound_refused,
            Direction::Outbound => &self.outbound_refused,
        };
        if let Some(counter) = counters.get(refusal as usize) {
            counter.increment();
        }
    }

    /// How many connections were refused for this reason.
    #[must_use]
    pub fn refusals(&self, direction: Direction, refusal: Refusal) -> u64 {
        let counters = match direction {
            Direction::Inbound => &self.inbound_refused,
            Direction::Outbound => &self.outbound_refused,
        };
        counters.get(refusal as usize).map_or(0, |counter| counter.get())
    }

    /// Counts an answer that the proxy made itself.
    pub fn http_error(&self, direction: Direction, reason: ErrorReason) {
        let counters = match direction {
            Direction::Inbound => &self.inbound_errors,
            Direction::Outbound => &self.outbound_errors,
        };
        if let Some(counter) = counters.get(reason as usize) {
            counter.increment();
        }
    }
}
