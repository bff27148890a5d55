//! A client's HTTP/1 connection from its first request to its end.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::body::Body;
use super::encode::{self, Added};
use super::exchange::{Ended, Exchange, State, Traits};
use super::head::{RequestHead, slots};
use super::pump::{Pump, Stop};
use crate::access_log::Version;
use crate::balance::Held;
use crate::buffer::{Buffer, SIZE};
use crate::carry::{Carry, Clock, Reserved};
use crate::context::Proxy;
use crate::exchange::{End, ErrorReason, Plan, Refused, Session, Target};
use crate::io::Stream;
use crate::preamble::Protocol;
use crate::tcp;

/// After a close, what the client still sends is read for so long, so that a reset does not destroy the last response.
const LINGER: Duration = Duration::from_secs(1);
/// The most that is read then.
const LINGER_BYTES: usize = 256 * 1024;
/// Dead pooled connections that one request may meet before it gets a new one: those to a server that ends die one after the other.
const STALE: u32 = 3;
/// And how often it may then meet a proxy that is leaving.
const LEAVING: u32 = 2;

/// Serves `stream` until either side ends it.
pub async fn serve(stream: Stream, session: Rc<Session>) {
    let mut connection = Connection { stream, input: Buffer::default(), session };
    let drain = connection.session.proxy().drain.clone();
    let _woken_by_drain = poll_fn(|context| Poll::Ready(drain.wake(context.waker()))).await;
    loop {
        let after = match connection.next().await {
            Next::Request(request) => connection.answer(request).await,
            Next::Fault(reason) => {
                connection.session.proxy().counters.http_error(connection.session.direction(), reason);
                connection.explain(reason, reason.status(), true).await;
                After::Close
            }
            Next::End => After::Close,
            Next::Gone => After::Gone,
        };
        match after {
            After::Continue => {}
            After::Close => return connection.close().await,
            After::Gone => return,
            After::Tunnel(upstream, reply, _held) => {
                let Connection { stream, input, session } = connection;
                let relay = tcp::Relay { sent: input, received: reply, line: None };
                let age = session.time_left();
                let relayed = Box::pin(relay.run(stream, upstream, &session));
                // Nothing is watched, so nothing is refused. What was upgraded can only be cut.
                match age {
                    Some(left) => drop(tokio::time::timeout(left, relayed).await),
                    None => drop(relayed.await),
                }
                return;
            }
        }
    }
}

struct Connection {
    stream: Stream,
    input: Buffer,
    session: Rc<Session>,
}

/// A request whose head has been taken off the input.
struct Request {
    decision: Result<Plan, Refused>,
    pump: Pump,
    traits: Traits,
    /// The body was at hand and is in the pump.
    whole: bool,
    /// Bytes of it that travel with the head.
    beside: u64,
}

#[allow(clippy::large_enum_variant, reason = "a request is the ordinary case, and boxing it would allocate for each")]
enum Next {
    Request(Request),
    /// To be explained to the client, whose connection ends.
    Fault(ErrorReason),
    End,
    Gone,
}

enum After {
    Continue,
    Close,
    Gone,
    Tunnel(Stream, Buffer, Option<Held>),
}

/// An upstream connection has served and may serve again. `streamed`: its server was given time for a long request.
fn put(proxy: &Proxy, target: &Target, upstream: Stream, streamed: bool) {
    if streamed {
        upstream.expect_prompt_reads(true);
    }
    proxy.http1.put(target, upstream);
}

async fn wait(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}

fn allows(clock: Option<&Clock>, pause: Duration) -> bool {
    clock.is_none_or(|clock| clock.allows(pause))
}

impl Connection {
    async fn next(&mut self) -> Next {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        loop {
            if !self.input.is_empty() {
                match self.take_request() {
                    Ok(Some(request)) => return Next::Request(request),
                    Ok(None) if self.input.is_full() && !self.input.grow() => {
                        return Next::Fault(ErrorReason::HeadTooLarge);
                    }
                    Ok(None) => {}
                    Err(reason) => return Next::Fault(reason),
                }
                // Only a head that comes in pieces is worth a timer.
                if timer.is_none() {
                    timer = Some(Box::pin(sleep(self.session.proxy().config.limits.head)));
                }
            }
            if let Some(next) = poll_fn(|context| self.poll_read(context, timer.as_mut())).await {
                return next;
            }
        }
    }

    /// None: more has been read.
    fn poll_read(&mut self, context: &mut Context<'_>, timer: Option<&mut Pin<Box<Sleep>>>) -> Poll<Option<Next>> {
        match self.input.poll_fill(&mut self.stream, context) {
            Poll::Ready(Ok(0)) if self.input.is_empty() => return Poll::Ready(Some(Next::End)),
            Poll::Ready(Ok(0)) => return Poll::Ready(Some(Next::Fault(ErrorReason::BadRequest))),
            Poll::Ready(Ok(_)) => return Poll::Ready(None),
            Poll::Ready(Err(_)) => return Poll::Ready(Some(Next::Gone)),
            Poll::Pending => {}
        }
        if self.input.is_empty() && self.session.ending() {
            return Poll::Ready(Some(Next::End));
        }
        match timer {
            Some(timer) => timer.as_mut().poll(context).map(|()| Some(Next::Fault(ErrorReason::RequestTimeout))),
            None => Poll::Pending,
        }
    }

    fn take_request(&mut self) -> Result<Option<Request>, ErrorReason> {
        let bytes = self.input.bytes();
        let mut slots = slots();
        let Some(head) = RequestHead::parse(bytes, &mut slots)? else { return Ok(None) };
        self.session.speaks(if head.http10 { Version::Http10 } else { Version::Http11 });
        let decision = self.session.decide(&head);
        let mut out = Buffer::default();
        if decision.is_ok() {
            let added = Added { caller: self.session.caller(), host: self.session.address() };
            encode::request(&head, bytes, added, &mut out);
        }
        let traits = Traits {
            bodyless: head.is_head(),
            idempotent: head.is_idempotent(),
            http10: head.http10,
            keeps_alive: head.keeps_alive(),
            upgrade: head.wants_upgrade(),
            connect: head.is_connect(),
            expects_continue: head.fields.expects_continue,
        };
        let mut body = Body::of_request(&head);
        let length = head.length;
        self.input.consume(length);
        let mut beside = 0;
        // A small body travels with its head, and both can be sent again should a pooled connection turn out to be dead.
        if let Body::Length(size) = body {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size <= SIZE.saturating_sub(out.len()) && size <= self.input.len() {
                out.push(self.input.bytes().get(..size).unwrap_or_default());
                beside = u64::try_from(size).unwrap_or_default();
                self.input.consume(size);
                body = Body::Done;
            }
        }
        Ok(Some(Request { decision, whole: body.is_done(), pump: Pump::new(out, body), traits, beside }))
    }

    async fn answer(&mut self, request: Request) -> After {
        let Request { decision, mut pump, traits, whole, beside } = request;
        // What is left of a body that nobody wants is not read: the connection ends.
        let keep = traits.keeps_alive && !traits.http10 && whole;
        let mut plan = match decision {
            Ok(plan) => plan,
            Err(Refused { reason, status, tally, delay, .. }) => {
                wait(delay).await;
                tally.refuse_with(reason, status);
                return self.explained(reason, status, keep).await;
            }
        };
        wait(plan.delay).await;
        let proxy = Rc::clone(self.session.proxy());
        let timeouts = plan.carry.as_ref().map(Carry::timeouts).unwrap_or_default();
        let mut clock = Clock::start(timeouts, None);
        let _room = match self.keep_body(&mut pump, &plan, traits, clock.as_ref()).await {
            Ok(room) => room,
            Err(None) => return After::Gone,
            Err(Some(reason)) => {
                plan.tally.refuse(reason);
                return self.explained(reason, reason.status(), false).await;
            }
        };
        let keep = keep || (traits.keeps_alive && !traits.http10 && pump.is_kept());
        let mut stale = 0;
        loop {
            let pooled = if stale < STALE { proxy.http1.take(&plan.target) } else { None };
            let reused = pooled.is_some();
            let mut upstream = match pooled {
                Some(upstream) => upstream,
                // Boxed, so that a connection does not hold room for a handshake all its life.
                None => {
                    let dial = Box::pin(proxy.dial(&plan.target, Protocol::Http1));
                    match Clock::bound(clock.as_ref(), dial).await {
                        Some(Ok(upstream)) => {
                            plan.tally.connected();
                            upstream
                        }
                        Some(Err(_)) if plan.another() => continue,
                        dialled => {
                            let reason = dialled.and_then(Result::err).unwrap_or(ErrorReason::Timeout);
                            let pause = plan.after(reason).filter(|pause| allows(clock.as_ref(), *pause));
                            if let Some(pause) = pause {
                                wait(pause).await;
                                plan.again();
                                continue;
                            }
                            plan.tally.refuse(reason);
                            return self.explained(reason, reason.status(), keep).await;
                        }
                    }
                }
            };
            if let Some(clock) = &mut clock {
                clock.begin_try();
            }
            let others = plan.carry.is_some() && plan.has_others();
            let streams = !pump.is_kept();
            if streams {
                upstream.expect_prompt_reads(false);
            }
            let mut reply = Buffer::default();
            let mut exchange = Exchange {
                client: &mut self.stream,
                input: &mut self.input,
                upstream: &mut upstream,
                reply: &mut reply,
                request: &mut pump,
                traits,
                tally: &mut plan.tally,
                reused,
                ending: self.session.ending(),
                patience: proxy.config.limits.half_closed,
                carry: plan.carry.as_mut(),
                others,
                clock: clock.as_mut(),
                state: State::default(),
            };
            let ended = poll_fn(|context| exchange.poll(context)).await;
            let response_bytes = exchange.state.body_bytes();
            plan.tally.bytes(beside + pump.body_bytes(), response_bytes);
            match ended {
                Ended::Complete { status, reusable, keep } => {
                    plan.tally.finish(End { status, grpc: None, error: None });
                    if reusable {
                        put(&proxy, &plan.target, upstream, streams);
                    }
                    return if keep { After::Continue } else { After::Close };
                }
                Ended::Tunnel { status } => {
                    let held = plan.tally.hold();
                    plan.tally.finish(End { status, grpc: None, error: None });
                    return After::Tunnel(upstream, reply, held);
                }
                Ended::ClientGone => {
                    upstream.reset_on_drop();
                    return After::Gone;
                }
                Ended::Again { pause, reusable } => {
                    if reusable {
                        put(&proxy, &plan.target, upstream, streams);
                    } else {
                        upstream.reset_on_drop();
                        drop(upstream);
                    }
                    pump.rewind();
                    if Clock::bound(clock.as_ref(), wait(pause)).await.is_none() {
                        plan.tally.refuse(ErrorReason::Timeout);
                        return self.explained(ErrorReason::Timeout, 504, keep).await;
                    }
                    plan.again();
                }
                Ended::Stale if stale < STALE + LEAVING => {
                    stale += 1;
                    // A proxy that ends a connection it has only just taken is leaving: another endpoint, if there is one.
                    if !reused {
                        let _ = plan.another();
                    }
                    pump.rewind();
                }
                Ended::Stale => {
                    plan.tally.refuse(ErrorReason::Upstream);
                    return self.explained(ErrorReason::Upstream, 502, keep).await;
                }
                Ended::Failed(reason) => {
                    upstream.reset_on_drop();
                    drop(upstream);
                    plan.tally.refuse(reason);
                    return self.explained(reason, reason.status(), keep).await;
                }
                Ended::Broken { status, reason } => {
                    upstream.reset_on_drop();
                    self.stream.reset_on_drop();
                    plan.tally.finish(End { status, grpc: None, error: Some(reason) });
                    return After::Gone;
                }
            }
        }
    }

    /// Takes in the body of a request that may have to be sent again, if it is short enough and there is room; the room is held as long as the result.
    ///
    /// # Errors
    /// The answer to a body that breaks its grammar or does not come in time; None: the client is gone.
    async fn keep_body(
        &mut self,
        pump: &mut Pump,
        plan: &Plan,
        traits: Traits,
        clock: Option<&Clock>,
    ) -> Result<Option<Reserved>, Option<ErrorReason>> {
        let limit = plan.carry.as_ref().and_then(Carry::keeps).filter(|limit| *limit > 0);
        // Whoever waits for 100 (Continue) sends nothing before a server has said it.
        let Some(limit) = limit.filter(|_| !pump.is_kept() && !traits.expects_continue) else { return Ok(None) };
        if pump.body_length().is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX)) {
            return Ok(None);
        }
        let Some(room) = self.session.proxy().carriers.room().reserve(limit) else { return Ok(None) };
        let limit = limit.saturating_add(pump.head.len());
        let kept = poll_fn(|context| pump.poll_keep(context, &mut self.stream, &mut self.input, limit));
        match Clock::bound(clock, kept).await {
            Some(Ok(())) => Ok(Some(room)),
            Some(Err(Stop::Malformed)) => Err(Some(ErrorReason::BadRequest)),
            Some(Err(_)) => Err(None),
            None => Err(Some(ErrorReason::Timeout)),
        }
    }

    async fn explained(&mut self, reason: ErrorReason, status: u16, keep: bool) -> After {
        let keep = keep && !self.session.ending() && reason != ErrorReason::BadRequest;
        if !self.explain(reason, status, !keep).await {
            return After::Gone;
        }
        if keep { After::Continue } else { After::Close }
    }

    /// Writes an answer of the proxy's own; false when the client is gone.
    async fn explain(&mut self, reason: ErrorReason, status: u16, close: bool) -> bool {
        let mut out = Buffer::default();
        encode::error(reason, status, close, &mut out);
        let written: io::Result<()> = async {
            self.stream.write_all(out.bytes()).await?;
            self.stream.flush().await
        }
        .await;
        written.is_ok()
    }

    /// Ends the sending side, then reads what still comes: closing with unread bytes would reset the connection, and the reset
    /// could overtake the last response.
    async fn close(mut self) {
        self.input.clear();
        let deadline = Instant::now() + LINGER;
        if !matches!(timeout_at(deadline, self.stream.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        let mut read = 0;
        while read < LINGER_BYTES {
            let filled = poll_fn(|context| self.input.poll_fill(&mut self.stream, context));
            match timeout_at(deadline, filled).await {
                Ok(Ok(count @ 1..)) => read += count,
                _ => return,
            }
            self.input.clear();
        }
    }
}
