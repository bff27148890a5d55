//! One request: decide, open a stream to the upstream, pass both directions on, count.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use ::h2::client::ResponseFuture;
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};

use super::answer::{self, refuse};
use super::body::{Broken, Source, copy};
use super::clients::Slot;
use super::headers::{View, grpc_status, is_grpc, prepare, strip_hop_by_hop};
use crate::exchange::{End, ErrorReason, Plan, Session};

/// Times that one request is sent to an upstream which provably has not looked at it.
const TRIES: usize = 3;

/// Serves one request of a client. Ends early, resetting the upstream's stream, when the client goes away.
pub(super) async fn exchange(session: &Rc<Session>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (mut parts, body) = request.into_parts();
    let grpc = is_grpc(&parts.headers);
    let mut plan = match session.decide(&View(&parts)) {
        Ok(plan) => plan,
        Err(refused) => return refuse(&mut respond, grpc, refused.reason, refused.status, refused.tally),
    };
    if let Err(reason) = prepare(&mut parts, &plan.target, session.caller()) {
        return refuse(&mut respond, grpc, reason, reason.status(), plan.tally);
    }
    let settled = Cell::new(false);
    let mut body = Source::rewindable(body, &settled);
    let bytes = Bodies::default();
    let mut tries = 1;
    let verdict = loop {
        let opened = {
            let open = pin!(open(session, &mut plan, &parts, body.is_end()));
            tokio::select! {
                biased;
                opened = open => opened,
                _ = poll_fn(|context| respond.poll_reset(context)) => break Verdict::ClientGone,
            }
        };
        let (opened, slot) = match opened {
            Ok(opened) => opened,
            Err(reason) => break Verdict::Answer(reason),
        };
        let attempt = Attempt { respond: &mut respond, plan: &mut plan, settled: &settled, bytes: &bytes, grpc };
        match attempt.run(opened, &slot, &mut body).await {
            Verdict::Unseen(reset) => {
                let safe = reset || parts.method.is_idempotent();
                if !safe || tries >= TRIES || !body.rewind() {
                    break Verdict::Answer(ErrorReason::Upstream);
                }
                tries += 1;
            }
            verdict => break verdict,
        }
    };
    plan.tally.bytes(bytes.request.get(), bytes.response.get());
    match verdict {
        Verdict::Ended(end) => plan.tally.finish(end),
        Verdict::Answer(reason) => refuse(&mut respond, grpc, reason, reason.status(), plan.tally),
        // The tally counts that when it is dropped.
        Verdict::ClientGone | Verdict::Unseen(_) => {}
    }
}

/// Bytes of the bodies that were passed on.
#[derive(Default)]
struct Bodies {
    request: Cell<u64>,
    response: Cell<u64>,
}

/// How an attempt at an upstream ended.
enum Verdict {
    /// The client has its response, as much of it as there was.
    Ended(End),
    /// The proxy has to answer.
    Answer(ErrorReason),
    /// The upstream has not processed the request: for certain when it reset the stream with REFUSED_STREAM (true), very probably when it
    /// said GOAWAY (false).
    Unseen(bool),
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
    settled: &'a Cell<bool>,
    bytes: &'a Bodies,
    grpc: bool,
}

/// What ended the wait for a response's head.
enum Head {
    Response(Response<RecvStream>),
    Failed(::h2::Error),
    ClientGone,
}

impl Attempt<'_> {
    /// Passes the request on while waiting for the response, then the response. `_slot` counts the stream until both are over.
    async fn run(self, opened: Opened, _slot: &Slot, body: &mut Source<'_>) -> Verdict {
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
        let head = poll_fn(|context| {
            if sent.is_none()
                && let Poll::Ready(done) = sending.as_mut().poll(context)
            {
                sent = Some(done);
            }
            if client_left(sent.as_ref()) || self.respond.poll_reset(context).is_ready() {
                return Poll::Ready(Head::ClientGone);
            }
            while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(context) {
                pass_interim(self.respond, interim);
            }
            Pin::new(&mut response).poll(context).map(|result| match result {
                Ok(response) => Head::Response(response),
                Err(error) => Head::Failed(error),
            })
        });
        let response = match head.await {
            Head::Response(response) => response,
            Head::ClientGone => return Verdict::ClientGone,
            Head::Failed(error) => return unanswered(&error),
        };
        self.settled.set(true);
        let (mut parts, from) = response.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        let (status, in_head) = (parts.status.as_u16(), grpc_status(&parts.headers));
        let ended = from.is_end_stream();
        let Ok(mut download) = self.respond.send_response(Response::from_parts(parts, ()), ended) else {
            return Verdict::ClientGone;
        };
        if ended {
            return Verdict::Ended(End { status, grpc: in_head, error: None });
        }
        self.plan.tally.head(status);
        let mut from = Source::once(from);
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
                receiving.as_mut().poll(context).map(Some)
            })
            .await
        };
        match received {
            Some(Ok(trailers)) => {
                let grpc = trailers.as_ref().and_then(grpc_status).or(in_head);
                Verdict::Ended(End { status, grpc, error: None })
            }
            Some(Err(Broken::Sender(reason))) => {
                let grpc = answer::break_off(&mut download, self.grpc, reason);
                Verdict::Ended(End { status, grpc: grpc.or(in_head), error: Some(ErrorReason::Upstream) })
            }
            Some(Err(Broken::Receiver)) | None => Verdict::ClientGone,
        }
    }
}

fn client_left(sent: Option<&Sent>) -> bool {
    matches!(sent, Some(Err(Broken::Sender(_))))
}

/// What the end of a stream without a response means.
fn unanswered(error: &::h2::Error) -> Verdict {
    if error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM) {
        return Verdict::Unseen(true);
    }
    if error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR) {
        return Verdict::Unseen(false);
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
