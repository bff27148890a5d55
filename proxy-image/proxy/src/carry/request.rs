//! One request under a policy.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use weft_policy::RequestView;
use weft_policy::carry::{Asked, Injection, backoff, inject, may_repeat, patience};
use weft_policy::model::Timeouts;

use super::{Carrier, Permit};
use crate::balance::{now_ns, random};
use crate::exchange::ErrorReason;

/// What one request takes along.
pub struct Carry {
    carrier: Rc<Carrier>,
    /// It may be sent twice.
    repeatable: bool,
    /// Made so far.
    tries: u32,
}

/// How a try ended that may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// With this status, and the pause that the server asks for.
    Status(u16, Option<Duration>),
    /// With this grpc-status, likewise.
    Grpc(u16, Option<Duration>),
    /// Without a connection, or it broke before a response.
    Connection,
    /// Without a response in time.
    Timeout,
}

/// What a request begins with.
pub struct Begun {
    /// To go on with, or why the proxy answers itself.
    pub result: Result<(Carry, Permit), ErrorReason>,
    /// A fault.
    pub injection: Option<Injection>,
}

impl Carry {
    /// Begins one request: faults, limit, breaker, in this order. `identity` is the caller's.
    #[must_use]
    pub fn begin(carrier: &Rc<Carrier>, view: &impl RequestView, identity: &str) -> Begun {
        let policy = &carrier.policy;
        let injection = if policy.faults.is_empty() {
            None
        } else {
            let asked = Asked { identity, wall: SystemTime::now(), now_ns: now_ns(), random: random() };
            inject(&policy.faults, carrier.faults(), view, asked).inspect(|_| carrier.injected())
        };
        if injection.is_some_and(|injection| injection.abort.is_some()) {
            return Begun { result: Err(ErrorReason::Fault), injection };
        }
        let Some(permit) = carrier.permit() else {
            return Begun { result: Err(ErrorReason::Overload), injection: None };
        };
        if !carrier.admits() {
            return Begun { result: Err(ErrorReason::CircuitOpen), injection: None };
        }
        carrier.requested();
        let repeatable = policy.retry.as_ref().is_some_and(|retry| may_repeat(retry, view.method(), is_grpc(view)));
        let carry = Self { carrier: Rc::clone(carrier), repeatable, tries: 1 };
        Begun { result: Ok((carry, permit)), injection }
    }

    /// The policy.
    #[must_use]
    pub fn carrier(&self) -> &Rc<Carrier> {
        &self.carrier
    }

    /// The limits of time.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.carrier.policy.timeouts
    }

    /// Bytes of a body that are worth keeping; None: it is sent once, whatever its body.
    #[must_use]
    pub fn keeps(&self) -> Option<usize> {
        let retry = self.carrier.policy.retry.as_ref().filter(|_| self.repeatable)?;
        Some(retry.max_body)
    }

    /// Some grpc-status of a response without messages would be tried again.
    #[must_use]
    pub fn looks_at_trailers(&self) -> bool {
        self.repeatable && self.carrier.policy.retry.as_ref().is_some_and(|retry| !retry.grpc_codes.is_empty())
    }

    /// Asks for a further try after `failure`: the pause before it, or None when there is to be none. `others`: another endpoint can be tried.
    #[must_use]
    pub fn again(&mut self, failure: Failure, others: bool) -> Option<Duration> {
        let retry = self.carrier.policy.retry.as_ref().filter(|_| self.repeatable)?;
        let asked = match failure {
            Failure::Status(status, after) => {
                retry.statuses.iter().any(|range| range.contains(&status)).then_some(after)?
            }
            Failure::Grpc(code, after) => retry.grpc_codes.contains(&code).then_some(after)?,
            Failure::Connection => retry.on_connection_error.then_some(None)?,
            Failure::Timeout => retry.on_timeout.then_some(None)?,
        };
        if self.tries > retry.limit {
            return None;
        }
        let pause = backoff(retry, self.tries, random());
        // Another endpoint has asked for nothing.
        let pause = match asked.filter(|_| !others) {
            Some(after) if after > retry.max_retry_after => return None,
            Some(after) => pause.max(patience(after, random())),
            None => pause,
        };
        if !self.carrier.withdraw() {
            return None;
        }
        self.tries += 1;
        Some(pause)
    }

    /// The response that goes to the client is no failure.
    pub fn succeeded(&self) {
        if self.tries > 1 {
            self.carrier.succeeded_again();
        }
    }
}

fn is_grpc(view: &impl RequestView) -> bool {
    view.header("content-type").next().is_some_and(|value| value.starts_with(b"application/grpc"))
}
