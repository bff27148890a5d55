//! One request: decide, open a stream to the upstream, pass both directions on, count.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ::h2::client::ResponseFuture;
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};

use super::answer::{self, Answer, refuse, refuse_with};
use super::body::{Ahead, Broken, Keeping, Source, copy};
use super::clients::Slot;
use super::headers::{
    View, grpc_status, grpc_timeout, has_several_lengths, is_grpc, prepare, pushback, strip_hop_by_hop, trim,
};
use super::tries::{again, expired, pause, peek, retried, told};
use super::{INTERIM, SEND_BUFFER};
use crate::carry::{Carry, Clock, Expired, Failure};
use crate::exchange::{Direction, End, ErrorReason, Plan, Refused, Session};

/// Times that one request is sent to an upstream which provably has not looked at it.
const TRIES: usize = 3;

/// Serves one request of a client. Ends early, resetting the upstream's stream, when the client goes away.
pub(super) async fn exchange(session: &Rc<Session>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (mut parts, body) = request.into_parts();
    // Before any rule looks at them.
    trim(&mut parts.headers);
    let grpc = is_grpc(&parts.headers);
    let mut plan = match session.decide(&View(&parts)) {
        Ok(plan) => plan,
        Err(Refused { reason, status, grpc: code, delay, tally }) => {
            if !pause(&mut respond, None, delay).await {
                return;
            }
            return refuse_with(&mut respond, grpc, Answer { reason, status, code }, *tally);
        }
    };
    let Some(_under_way) = session.proxy().http2.request(session.proxy()) else {
        return refuse(&mut respond, grpc, ErrorReason::Overload, plan.tally);
    };
    if let Err(reason) = prepare(&mut parts, &plan.target, session.caller()) {
        return refuse(&mut respond, grpc, reason, plan.tally);
    }
    let deadline = if grpc && session.direction() == Direction::Outbound { grpc_timeout(&parts.headers) } else { None };
    let timeouts = plan.carry.as_ref().map(Carry::timeouts).unwrap_or_default();
    let mut clock = Clock::start(timeouts, deadline);
    let delay = plan.delay;
    if !pause(&mut respond, clock.as_ref(), delay).await {
        return;
    }
    let keeping = Keeping::default();
    // What every stream may keep is bounded by their number; what a policy wants beyond is taken from what all share.
    let keeps =
        plan.carry.as_ref().and_then(Carry::keeps).filter(|keeps| *keeps > SEND_BUFFER && !body.is_end_stream());
    let room = keeps.and_then(|keeps| session.proxy().carriers.room().reserve(keeps));
    let limit = keeps.filter(|_| room.is_some()).unwrap_or(SEND_BUFFER);
    let mut body = Source::rewindable(body, &keeping, limit);
    let bytes = Bodies::default();
    let mut tries = 1;
    let verdict = loop {
        let opened = {
            let whole = body.is_end();
            let open = pin!(open(session, &mut plan, &parts, whole));
            let open = pin!(Clock::bound(clock.as_ref(), open));
            tokio::select! {
                biased;
                opened = open => opened,
                _ = poll_fn(|context| respond.poll_reset(context)) => break Verdict::ClientGone,
                never = body.read_ahead() => match never {},
            }
        };
        let (opened, slot) = match opened {
            Some(Ok(opened)) => opened,
            None => break Verdict::Answer(ErrorReason::Timeout),
            Some(Err(reason)) => match plan.after(reason) {
                Some(wait) if pause(&mut respond, clock.as_ref(), wait).await => {
                    plan.again();
                    continue;
                }
                _ => break Verdict::Answer(reason),
            },
        };
        if let Some(clock) = &mut clock {
            clock.begin_try();
        }
        let others = plan.carry.is_some() && plan.has_others();
        let attempt = Attempt {
            respond: &mut respond,
            plan: &mut plan,
            keeping: &keeping,
            bytes: &bytes,
            clock: clock.as_mut(),
            grpc,
            others,
        };
        match attempt.run(opened, &slot, &mut body).await {
            Verdict::Again(wait) => {
                drop(slot);
                if !body.rewind() {
                    break Verdict::Answer(ErrorReason::Upstream);
                }
                if !pause(&mut respond, clock.as_ref(), wait).await {
                    break Verdict::Answer(ErrorReason::Timeout);
                }
                plan.again();
            }
            Verdict::Unseen(certain) => {
                let safe = certain || parts.method.is_idempotent();
                if !safe || tries >= TRIES || !body.rewind() {
                    break Verdict::Answer(ErrorReason::Upstream);
                }
                // One that turns away on a new connection as well is leaving: another endpoint, if there is one.
                if tries > 1 {
                    let _ = plan.another();
                }
                tries += 1;
            }
            verdict => break verdict,
        }
    };
    plan.tally.bytes(bytes.request.get(), bytes.response.get());
    match verdict {
        Verdict::Ended(end) => plan.tally.finish(end),
        Verdict::Answer(reason) => refuse(&mut respond, grpc, reason, plan.tally),
        // The tally counts that when it is dropped.
        Verdict::ClientGone | Verdict::Unseen(_) | Verdict::Again(_) => {}
    }
}

/// Bytes of the bodies that were passed on.
#[derive(Default)]
pub(super) struct Bodies {
    pub(super) request: Cell<u64>,
    pub(super) response: Cell<u64>,
}

/// How an attempt at an upstream ended.
pub(super) enum Verdict {
    /// The client has its response, as much of it as there was.
    Ended(End),
    /// The proxy has to answer.
    Answer(ErrorReason),
    /// The upstream has not processed the request: for certain (true) when it reset the stream with REFUSED_STREAM or left it out of what its
    /// GOAWAY says it will process (RFC 9113 6.8); probably (false) when it said GOAWAY and then closed.
    Unseen(bool),
    /// The try failed, and the request's policy wants another after a pause.
    Again(Duration),
    /// Nobody waits for a response.
    ClientGone,
}

struct Opened {
    response: ResponseFuture,
    upload: SendStream<Bytes>,
    whole: bool,
}

/// Opens a stream, at another endpoint where one cannot be reached.
async fn open(
    session: &Rc<Session>,
    plan: &mut Plan,
    parts: &request::Parts,
    whole: bool,
) -> Result<(Opened, Slot), ErrorReason> {
    let proxy = session.proxy();
    let mut tries = 1;
    loop {
        let slot = match proxy.http2.acquire(proxy, &plan.target).await {
            Ok(slot) => slot,
            Err(reason) => {
                let unreached = !matches!(reason, ErrorReason::Overload | ErrorReason::NotReady);
                if unreached && plan.another() {
                    continue;
                }
                return Err(reason);
            }
        };
        let mut request = Request::new(());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = parts.headers.clone();
        *request.extensions_mut() = parts.extensions.clone();
        match slot.sender().send_request(request, whole) {
            Ok((response, upload)) => {
                plan.tally.connected();
                return Ok((Opened { response, upload, whole }, slot));
            }
            // The connection began to close between the look and the use; nothing was sent.
            Err(error) if tries < TRIES => {
                tracing::debug!(error = %error, "stream could not be opened");
                tries += 1;
            }
            Err(_) => return Err(ErrorReason::Upstream),
        }
    }
}

type Sent = Result<Option<HeaderMap>, Broken>;

struct Attempt<'a> {
    respond: &'a mut SendResponse<Bytes>,
    plan: &'a mut Plan,
    keeping: &'a Keeping,
    bytes: &'a Bodies,
    clock: Option<&'a mut Clock>,
    grpc: bool,
    /// Another endpoint can be tried.
    others: bool,
}

/// What ended the wait for a response's head.
enum Head {
    Response(Response<RecvStream>),
    Failed(::h2::Error),
    Expired(Expired),
    ClientGone,
}

impl Attempt<'_> {
    /// Passes the request on while waiting for the response, then the response. `slot` counts the stream until both are over.
    async fn run(mut self, opened: Opened, slot: &Slot, body: &mut Source<'_>) -> Verdict {
        let Opened { mut response, mut upload, whole } = opened;
        let mut sending = pin!(async {
            if whole {
                // Never ends: the stream must stay until the response is there.
                std::future::pending::<()>().await;
            }
            let sent = copy(body, &mut upload, &self.bytes.request).await;
            if let Err(Broken::Sender(reason)) = &sent {
                upload.send_reset(reason.unwrap_or(Reason::CANCEL));
            }
            sent
        });
        let mut sent: Option<Sent> = None;
        let mut interim = 0;
        let head = poll_fn(|context| {
            if sent.is_none()
                && let Poll::Ready(done) = sending.as_mut().poll(context)
            {
                sent = Some(done);
            }
            if client_left(sent.as_ref()) || self.respond.poll_reset(context).is_ready() {
                return Poll::Ready(Head::ClientGone);
            }
            while let Poll::Ready(Some(Ok(response))) = response.poll_informational(context) {
                // Heads know no flow control: a client that does not read would have them all kept for it.
                interim += 1;
                if interim <= INTERIM {
                    pass_interim(self.respond, response);
                }
            }
            match Pin::new(&mut response).poll(context) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Head::Response(response)),
                Poll::Ready(Err(error)) => return Poll::Ready(Head::Failed(error)),
                Poll::Pending => {}
            }
            expired(self.clock.as_deref_mut(), self.bytes, context, (whole || sent.is_some(), false)).map(Head::Expired)
        });
        let response = match head.await {
            Head::Response(response) => response,
            Head::ClientGone => return Verdict::ClientGone,
            Head::Expired(Expired::Request) => return Verdict::Answer(ErrorReason::Timeout),
            Head::Expired(Expired::Try) => {
                return again(self.plan, self.keeping, self.others, Failure::Timeout)
                    .unwrap_or(Verdict::Answer(ErrorReason::Timeout));
            }
            Head::Failed(error) => {
                let verdict = unanswered(&error, slot.is_cut());
                let broken = matches!(verdict, Verdict::Answer(_));
                let mut again = || again(self.plan, self.keeping, self.others, Failure::Connection);
                return if broken { again().unwrap_or(verdict) } else { verdict };
            }
        };
        if has_several_lengths(response.headers()) {
            return Verdict::Answer(ErrorReason::BadResponse);
        }
        if let Some(verdict) = retried(&response, self.plan, self.keeping, self.others, self.grpc) {
            return verdict;
        }
        let (mut parts, mut from) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        trim(&mut parts.headers);
        let (status, in_head) = (parts.status.as_u16(), grpc_status(&parts.headers));
        let ended = from.is_end_stream();
        let looks = self.grpc && self.plan.carry.as_ref().is_some_and(Carry::looks_at_trailers);
        let mut from = if looks && !ended && (whole || matches!(sent, Some(Ok(_)))) && !self.keeping.lost.get() {
            let next = poll_fn(|context| {
                if self.respond.poll_reset(context).is_ready() {
                    return Poll::Ready(None);
                }
                match peek(&mut from, context) {
                    Poll::Ready(ahead) => Poll::Ready(Some(Ok(ahead))),
                    Poll::Pending => {
                        expired(self.clock.as_deref_mut(), self.bytes, context, (true, true)).map(|_| Some(Err(())))
                    }
                }
            });
            match next.await {
                None => return Verdict::ClientGone,
                Some(Err(())) => return Verdict::Answer(ErrorReason::Timeout),
                Some(Ok(Ok(ahead))) => {
                    if let Ahead::End(Some(trailers)) = &ahead
                        && let Some(code) = grpc_status(trailers)
                        && let Some(verdict) =
                            again(self.plan, self.keeping, self.others, Failure::Grpc(code, pushback(trailers)))
                    {
                        return verdict;
                    }
                    Source::begun(from, ahead)
                }
                Some(Ok(Err(_))) => {
                    return again(self.plan, self.keeping, self.others, Failure::Connection)
                        .unwrap_or(Verdict::Answer(ErrorReason::Upstream));
                }
            }
        } else {
            Source::once(from)
        };
        self.keeping.settled.set(true);
        let Ok(mut download) = self.respond.send_response(Response::from_parts(parts, ()), ended) else {
            return Verdict::ClientGone;
        };
        if ended {
            told(self.plan, status, in_head);
            return Verdict::Ended(End { status, grpc: in_head, error: None });
        }
        self.plan.tally.head(status);
        let received = {
            let mut receiving = pin!(copy(&mut from, &mut download, &self.bytes.response));
            // The response's end ends the exchange, whether the request is whole or not (RFC 9113 8.1).
            poll_fn(|context| {
                if sent.is_none()
                    && let Poll::Ready(done) = sending.as_mut().poll(context)
                {
                    sent = Some(done);
                }
                if client_left(sent.as_ref()) {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(received) = receiving.as_mut().poll(context) {
                    return Poll::Ready(Some(Ok(received)));
                }
                expired(self.clock.as_deref_mut(), self.bytes, context, (whole || sent.is_some(), true))
                    .map(|_| Some(Err(())))
            })
            .await
        };
        match received {
            Some(Ok(Ok(trailers))) => {
                let grpc = trailers.as_ref().and_then(grpc_status).or(in_head);
                told(self.plan, status, grpc);
                Verdict::Ended(End { status, grpc, error: None })
            }
            Some(Ok(Err(Broken::Sender(reason)))) => {
                let grpc = answer::break_off(&mut download, self.grpc, ErrorReason::Upstream, reason);
                Verdict::Ended(End { status, grpc: grpc.or(in_head), error: Some(ErrorReason::Upstream) })
            }
            Some(Err(())) => {
                let grpc = answer::break_off(&mut download, self.grpc, ErrorReason::Timeout, Some(Reason::CANCEL));
                Verdict::Ended(End { status, grpc: grpc.or(in_head), error: Some(ErrorReason::Timeout) })
            }
            Some(Ok(Err(Broken::Receiver))) | None => Verdict::ClientGone,
        }
    }
}

fn client_left(sent: Option<&Sent>) -> bool {
    matches!(sent, Some(Err(Broken::Sender(_))))
}

/// What the end of a stream without a response means. GOAWAY ends at once the streams that it leaves out, the others only when the connection is
/// `cut`: those may have been processed.
fn unanswered(error: &::h2::Error, cut: bool) -> Verdict {
    if error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
        return Verdict::Unseen(true);
    }
    if error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR) {
        return Verdict::Unseen(!cut);
    }
    tracing::debug!(error = %error, "upstream gave no response");
    Verdict::Answer(ErrorReason::Upstream)
}

fn pass_interim(respond: &mut SendResponse<Bytes>, interim: Response<()>) {
    let (mut parts, ()) = interim.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    // 101 does not exist in HTTP/2 (RFC 9113 8.6); a client that is gone is noticed elsewhere.
    if parts.status.as_u16() != 101 {
        let _ = respond.send_informational(Response::from_parts(parts, ()));
    }
}
