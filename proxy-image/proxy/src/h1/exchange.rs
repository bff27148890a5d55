//! One request and its response between two connections.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::body::Body;
use super::encode::{self, Persistence};
use super::head::{ResponseHead, slots};
use super::pump::{Pump, Stop};
use crate::buffer::Buffer;
use crate::carry::{Carry, Clock, Expired, Failure, Progress};
use crate::exchange::{ErrorReason, Tally};
use crate::io::Stream;

/// What is remembered of a request once its head has been passed on.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// It is HEAD: the response has no body.
    pub bodyless: bool,
    /// It may be sent twice.
    pub idempotent: bool,
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// The client will send another request.
    pub keeps_alive: bool,
    /// It asks for another protocol.
    pub upgrade: bool,
    /// It is CONNECT.
    pub connect: bool,
    /// Its body comes only after 100 (Continue).
    pub expects_continue: bool,
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Ended {
    /// The response was passed on.
    Complete {
        /// Of the response.
        status: u16,
        /// The upstream connection may serve again.
        reusable: bool,
        /// The client's connection may go on.
        keep: bool,
    },
    /// A response was passed on after which both connections carry bytes.
    Tunnel {
        /// Of the response.
        status: u16,
    },
    /// The client is no longer there.
    ClientGone,
    /// The connection was dead, or its proxy is leaving, and the request may be sent again.
    Stale,
    /// The try failed, and the request's policy wants another after a pause.
    Again {
        /// Before it.
        pause: Duration,
        /// The upstream connection may serve again.
        reusable: bool,
    },
    /// Nothing has gone to the client: it is to be told.
    Failed(ErrorReason),
    /// Something has gone to the client, and the rest will not come.
    Broken {
        /// Of the response.
        status: u16,
        /// Why.
        reason: ErrorReason,
    },
}

/// What became of a head.
enum Read {
    /// It is not here whole.
    Partial,
    /// It goes to the client.
    Passed,
    /// It does not, and the try ends.
    Again(Ended),
}

fn ask_again(carry: Option<&mut Carry>, others: bool, failure: Failure) -> Option<Ended> {
    let pause = carry?.again(failure, others)?;
    Some(Ended::Again { pause, reusable: false })
}

/// The pause that a server asks for in seconds (RFC 9110 10.2.3); a date is not looked at.
fn retry_after(head: &ResponseHead<'_, '_>) -> Option<Duration> {
    let field = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("retry-after"))?;
    std::str::from_utf8(field.value).ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An exchange under way.
pub struct Exchange<'a> {
    /// Towards the client.
    pub client: &'a mut Stream,
    /// Bytes that the client has sent and that are not yet passed on.
    pub input: &'a mut Buffer,
    /// Towards the server.
    pub upstream: &'a mut Stream,
    /// Bytes that the server has sent and that are not yet passed on.
    pub reply: &'a mut Buffer,
    /// The request.
    pub request: &'a mut Pump,
    /// What the request was like.
    pub traits: Traits,
    /// What is counted.
    pub tally: &'a mut Tally,
    /// The upstream connection has served before.
    pub reused: bool,
    /// The client's connection is to end after this.
    pub ending: bool,
    /// How long a half-closed client is believed to wait.
    pub patience: Duration,
    /// What the request's policy says of another try.
    pub carry: Option<&'a mut Carry>,
    /// Another endpoint can be tried.
    pub others: bool,
    /// Limits of time.
    pub clock: Option<&'a mut Clock>,
    /// State of the response.
    pub state: State,
}

/// How far the response has come.
#[derive(Default)]
pub struct State {
    response: Option<Pump>,
    status: u16,
    interim: bool,
    answered: bool,
    tunnel: bool,
    upstream_keeps: bool,
    client_keeps: bool,
    upload_over: bool,
    half_closed: Option<Pin<Box<Sleep>>>,
}

impl State {
    /// A final response has begun to go to the client.
    fn is_begun(&self) -> bool {
        self.response.is_some() && !self.interim
    }

    /// Bytes of the response's body passed on so far.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.response.as_ref().map_or(0, Pump::body_bytes)
    }
}

impl Exchange<'_> {
    /// Drives both directions until the exchange ends or its time does.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if let Poll::Ready(ended) = self.poll_both(context) {
            return Poll::Ready(ended);
        }
        let Some(clock) = self.clock.as_deref_mut() else { return Poll::Pending };
        let received = self.state.response.as_ref().map_or(0, Pump::moved);
        let progress = Progress {
            sent: self.request.is_done(),
            answered: self.state.is_begun(),
            bytes: self.request.moved() + received,
        };
        let expired = ready!(clock.poll(context, progress));
        let again = match expired {
            Expired::Try => self.again(Failure::Timeout),
            Expired::Request => None,
        };
        Poll::Ready(again.unwrap_or_else(|| self.fail(ErrorReason::Timeout)))
    }

    fn poll_both(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if !self.request.is_done() && !self.state.upload_over {
            match self.request.poll(context, self.client, self.input, self.upstream) {
                Poll::Pending | Poll::Ready(Ok(())) => {}
                // The server may have answered before it closed; its answer decides.
                Poll::Ready(Err(Stop::Sink)) => self.state.upload_over = true,
                Poll::Ready(Err(Stop::Source)) => return Poll::Ready(Ended::ClientGone),
                Poll::Ready(Err(Stop::Malformed)) => return Poll::Ready(self.fail(ErrorReason::BadRequest)),
            }
        }
        if let Poll::Ready(ended) = self.poll_response(context) {
            return Poll::Ready(ended);
        }
        if self.request.is_done() || self.state.upload_over {
            ready!(self.poll_client(context));
            return Poll::Ready(Ended::ClientGone);
        }
        Poll::Pending
    }

    fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if let Some(response) = &mut self.state.response {
                match ready!(response.poll(context, self.upstream, self.reply, self.client)) {
                    Ok(()) if self.state.interim => {
                        self.state.interim = false;
                        self.state.response = None;
                    }
                    Ok(()) => return Poll::Ready(self.complete()),
                    Err(Stop::Sink) => return Poll::Ready(Ended::ClientGone),
                    Err(Stop::Source) => return Poll::Ready(self.fail(ErrorReason::Upstream)),
                    Err(Stop::Malformed) => return Poll::Ready(self.fail(ErrorReason::BadResponse)),
                }
                continue;
            }
            if !self.reply.is_empty() {
                match self.read_head() {
                    Ok(Read::Passed) => continue,
                    Ok(Read::Again(ended)) => return Poll::Ready(ended),
                    Ok(Read::Partial) if self.reply.is_full() && !self.reply.grow() => {
                        return Poll::Ready(self.fail(ErrorReason::BadResponse));
                    }
                    Ok(Read::Partial) => {}
                    Err(reason) => return Poll::Ready(self.fail(reason)),
                }
            }
            match ready!(self.reply.poll_fill(self.upstream, context)) {
                Ok(0) => return Poll::Ready(self.lost(None)),
                Ok(_) => self.state.answered = true,
                Err(error) => return Poll::Ready(self.lost(Some(&error))),
            }
        }
    }

    /// Takes a head off the reply, if it is complete, and makes of it what the client gets.
    fn read_head(&mut self) -> Result<Read, ErrorReason> {
        let mut slots = slots();
        let bytes = self.reply.bytes();
        let Some(head) = ResponseHead::parse(bytes, &mut slots)? else { return Ok(Read::Partial) };
        let (length, status) = (head.length, head.status);
        let mut out = Buffer::default();
        if head.is_interim() {
            // HTTP/1.0 has no interim responses.
            if !self.traits.http10 {
                encode::response(&head, bytes, Persistence::Default, false, &mut out);
                self.state.response = Some(Pump::new(out, Body::Done));
                self.state.interim = true;
            }
            self.reply.consume(length);
            return Ok(Read::Passed);
        }
        let after = if matches!(status, 429 | 503) { retry_after(&head) } else { None };
        if let Some(after) = after {
            self.tally.asked_to_wait(after);
        }
        let possible = self.carry.is_some() && self.request.is_repeatable() && status >= 400;
        if possible
            && let Some(Ended::Again { pause, .. }) =
                ask_again(self.carry.as_deref_mut(), self.others, Failure::Status(status, after))
        {
            // What is left of the response is at hand: the connection need not end with it.
            let body = Body::of_response(&head, self.traits.bodyless, false);
            let rest = self.reply.len().saturating_sub(length);
            let whole = body.is_done() || matches!(body, Body::Length(size) if u64::try_from(rest) == Ok(size));
            let reusable = whole && head.keeps_alive() && self.request.is_done();
            return Ok(Read::Again(Ended::Again { pause, reusable }));
        }
        if status == 101 && !self.traits.upgrade {
            return Err(ErrorReason::BadResponse);
        }
        self.state.tunnel = status == 101 || (self.traits.connect && (200..300).contains(&status));
        let dechunk = self.traits.http10 && head.fields.coded;
        let body = if self.state.tunnel { Body::Done } else { Body::of_response(&head, self.traits.bodyless, dechunk) };
        let definite = !matches!(body, Body::UntilClose | Body::Dechunked(_));
        self.state.upstream_keeps = head.keeps_alive() && !matches!(body, Body::UntilClose);
        self.state.client_keeps = self.traits.keeps_alive && definite && !self.ending && self.request.is_done();
        let persistence = match (self.state.client_keeps, self.traits.http10) {
            _ if self.state.tunnel => Persistence::Default,
            (false, _) => Persistence::Close,
            (true, true) => Persistence::KeepAlive,
            (true, false) => Persistence::Default,
        };
        encode::response(&head, bytes, persistence, dechunk, &mut out);
        self.reply.consume(length);
        self.request.forget();
        self.tally.head(status);
        self.state.status = status;
        self.state.response = Some(Pump::new(out, body));
        if let (Some(carry), 200..500) = (&self.carry, status) {
            carry.succeeded();
        }
        Ok(Read::Passed)
    }

    fn complete(&self) -> Ended {
        let status = self.state.status;
        if self.state.tunnel {
            return Ended::Tunnel { status };
        }
        let whole = self.request.is_done() && !self.state.upload_over;
        // Bytes after the response belong to no request: the server is confused.
        let reusable = whole && self.state.upstream_keeps && self.reply.is_empty();
        Ended::Complete { status, reusable, keep: self.state.client_keeps && whole }
    }

    /// The upstream ended before its final response was complete.
    fn lost(&mut self, error: Option<&io::Error>) -> Ended {
        let untouched = !self.state.answered && self.request.is_repeatable();
        // A peer proxy ends an idle connection in TLS's own terms before it closes and then serves nothing more on it, so whatever it
        // had not answered it has not passed on either. Any other server may have acted before it closed.
        let refused = error.is_none() && self.upstream.is_mesh();
        if untouched && (refused || (self.reused && self.traits.idempotent)) {
            return Ended::Stale;
        }
        self.again(Failure::Connection).unwrap_or_else(|| self.fail(ErrorReason::Upstream))
    }

    /// Another try, if the request can be made again and its policy wants one.
    fn again(&mut self, failure: Failure) -> Option<Ended> {
        let possible = !self.state.is_begun() && self.request.is_repeatable();
        possible.then(|| ask_again(self.carry.as_deref_mut(), self.others, failure)).flatten()
    }

    fn fail(&self, reason: ErrorReason) -> Ended {
        match self.state.response {
            Some(_) if !self.state.interim => Ended::Broken { status: self.state.status, reason },
            _ => Ended::Failed(reason),
        }
    }

    /// Ready when the client is gone. What it sends meanwhile is kept for the next exchange, up to a full buffer.
    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.state.half_closed.is_none() && !self.input.is_full() {
            match ready!(self.input.poll_fill(self.client, context)) {
                Ok(0) if self.client.is_mesh() => return Poll::Ready(()),
                // It may have closed its sending side only, as RFC 9112 9.6 allows. There is no way to ask; so it is believed for a while.
                Ok(0) => self.state.half_closed = Some(Box::pin(sleep(self.patience))),
                Ok(_) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        match &mut self.state.half_closed {
            Some(timer) => timer.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}
