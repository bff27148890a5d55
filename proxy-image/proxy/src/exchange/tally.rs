//! What is counted of one request: consumed once, and a request that nobody finishes is counted as cancelled.

use std::rc::Rc;
use std::time::Duration;

use super::limit::InFlight;
use super::{Direction, ErrorReason};
use crate::access_log::{Ended, Record};
use crate::balance::{Held, Outcome, Picked, now_ns};
use crate::carry::{Carrier, Permit};
use crate::context::Proxy;
use crate::metrics::{Classification, Counter, RequestSeries, Response, classify};

/// Series that one kind of request goes to; resolved once and shared.
pub struct Counted {
    /// request_total, response_total and latency.
    pub series: Rc<RequestSeries>,
    /// The authorisation decision, inbound.
    pub decision: Option<Rc<Counter>>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Status that the client got.
    pub status: u16,
    /// gRPC status, when the response said one.
    pub grpc: Option<u16>,
    /// What broke in the middle.
    pub error: Option<ErrorReason>,
}

/// The running count of one request.
pub struct Tally {
    proxy: Rc<Proxy>,
    direction: Direction,
    counted: Option<Rc<Counted>>,
    picked: Option<Picked>,
    started_ns: u64,
    status: u16,
    bytes: (u64, u64),
    record: Option<Box<Record>>,
    carried: Option<Carried>,
}

/// What is told and given back when the request ends.
pub enum Carried {
    /// Outbound, by a policy.
    Policy(Rc<Carrier>, Permit),
    /// Inbound, under a limit of the port.
    Port(InFlight),
}

impl Tally {
    /// Begins the count of a request.
    #[must_use]
    pub fn begin(proxy: &Rc<Proxy>, direction: Direction, counted: Rc<Counted>, picked: Option<Picked>) -> Self {
        counted.series.begin();
        if let Some(decision) = &counted.decision {
            decision.increment();
        }
        Self {
            proxy: Rc::clone(proxy),
            direction,
            counted: Some(counted),
            picked,
            started_ns: now_ns(),
            status: 0,
            bytes: (0, 0),
            record: None,
            carried: None,
        }
    }

    /// Under a policy or a limit.
    pub fn carried(&mut self, carried: Carried) {
        self.carried = Some(carried);
    }

    /// A further try goes to another endpoint, or to the same; the one before has failed.
    pub fn tried_again(&mut self, picked: Picked) {
        let breaker = self.has_breaker();
        match self.picked.replace(picked) {
            Some(before) if breaker => before.withhold(),
            Some(before) => before.finish_now(true),
            None => {}
        }
    }

    fn has_breaker(&self) -> bool {
        matches!(&self.carried, Some(Carried::Policy(carrier, _)) if carrier.has_breaker())
    }

    /// Another endpoint serves; the one before is told that it refused the connection. The request stays counted under the labels it
    /// was begun with, so that request_total and response_total agree.
    pub fn picked_another(&mut self, picked: Picked) {
        if let Some(failed) = self.picked.replace(picked) {
            failed.connect_failed();
        }
    }

    /// The line that the access log gets when the request ends.
    pub fn record(&mut self, record: Option<Record>) {
        self.record = record.map(Box::new);
    }

    /// Bytes of the bodies of request and response, for the access log.
    pub fn bytes(&mut self, request: u64, response: u64) {
        self.bytes = (request, response);
    }

    /// A new connection to the endpoint stands.
    pub fn connected(&self) {
        if let Some(picked) = &self.picked {
            picked.connected();
        }
    }

    /// The endpoint asked for a pause (RFC 9110 10.2.3, gRPC's pushback): others go first until it is over.
    pub fn asked_to_wait(&self, pause: Duration) {
        if let Some(picked) = &self.picked {
            picked.wait(pause);
        }
    }

    /// The final response head is here: the latency up to now is what the balancer learns.
    pub fn head(&mut self, status: u16) {
        self.status = status;
        if let Some(picked) = &mut self.picked {
            picked.respond(now_ns());
        }
    }

    /// The request becomes a connection that stays: the endpoint has it in hand until the guard is dropped. None: no endpoint was chosen.
    #[must_use]
    pub fn hold(&self) -> Option<Held> {
        self.picked.as_ref().map(Picked::hold)
    }

    /// The response was passed on, whole unless `end` says what broke.
    pub fn finish(mut self, end: End) {
        self.status = end.status;
        let failed = end.error.is_some() || matches!(classify(end.status, end.grpc), Classification::Failure);
        self.settle(end.grpc, end.error.map(ErrorReason::name), Some(failed));
        if let Some(reason) = end.error {
            self.proxy.counters.http_error(self.direction, reason);
        }
    }

    /// The proxy answered itself. Only what the upstream did counts against it.
    pub fn refuse(self, reason: ErrorReason) {
        self.refuse_with(reason, reason.status());
    }

    /// The same with a status that a route names.
    pub fn refuse_with(self, reason: ErrorReason, status: u16) {
        self.refused(reason, status, None);
    }

    /// The same in gRPC's terms: status 200, and a code, mostly the reason's, in the trailers.
    pub fn refuse_grpc(self, reason: ErrorReason, code: u16) {
        self.refused(reason, 200, Some(code));
    }

    fn refused(mut self, reason: ErrorReason, status: u16, grpc: Option<u16>) {
        self.status = status;
        let upstream_failed = matches!(
            reason,
            ErrorReason::Connect
                | ErrorReason::Identity
                | ErrorReason::Upstream
                | ErrorReason::BadResponse
                | ErrorReason::Timeout
        );
        if let Some(picked) = self.picked.take_if(|_| matches!(reason, ErrorReason::Connect)) {
            picked.connect_failed();
        }
        self.settle(grpc, Some(reason.name()), upstream_failed.then_some(true));
        self.proxy.counters.http_error(self.direction, reason);
    }

    fn settle(&mut self, grpc: Option<u16>, error: Option<&'static str>, failed: Option<bool>) {
        let Some(counted) = self.counted.take() else { return };
        let now = now_ns();
        let latency = now.saturating_sub(self.started_ns);
        let classification = if self.status == 0 { Classification::Failure } else { classify(self.status, grpc) };
        if let Some(record) = self.record.take() {
            let (request_bytes, response_bytes) = self.bytes;
            record.finish(&self.proxy.access_log, Ended { status: self.status, request_bytes, response_bytes, error });
        }
        counted.series.finish(Response { status: self.status, grpc, classification, error }, latency);
        match (self.picked.take(), failed) {
            // A route that always fails must not eject the endpoints that serve the others, nor make them look quick.
            (Some(picked), Some(true)) if self.has_breaker() => picked.withhold(),
            (Some(picked), Some(failed)) => picked.finish(Outcome { latency_ns: latency, failed }, now),
            _ => {}
        }
        if let Some(Carried::Policy(carrier, _permit)) = self.carried.take() {
            // A server that asks for less is as much in trouble as one that fails.
            carrier.ended(failed.map(|failed| failed || self.status == 429 || grpc == Some(8)));
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.settle(None, Some("cancelled"), None);
    }
}
