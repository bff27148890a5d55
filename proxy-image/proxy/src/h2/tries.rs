//! What a request's policy makes of time and of failures, on a stream.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::h2::RecvStream;
use ::h2::server::SendResponse;
use bytes::Bytes;
use http::Response;
use http::header::RETRY_AFTER;

use super::body::{Ahead, Keeping};
use super::headers::{grpc_status, pushback};
use super::stream::{Bodies, Verdict};
use crate::carry::{Clock, Expired, Failure, Progress};
use crate::exchange::Plan;

/// Waits; false when the client has gone or the request's time is over before.
pub(super) async fn pause(respond: &mut SendResponse<Bytes>, clock: Option<&Clock>, pause: Duration) -> bool {
    if pause.is_zero() {
        return true;
    }
    tokio::select! {
        waited = Clock::bound(clock, tokio::time::sleep(pause)) => waited.is_some(),
        _ = poll_fn(|context| respond.poll_reset(context)) => false,
    }
}

/// Whether a limit of time is reached; `progress`: the request is sent, the head of the response is here.
pub(super) fn expired(
    clock: Option<&mut Clock>,
    bytes: &Bodies,
    context: &mut Context<'_>,
    (sent, answered): (bool, bool),
) -> Poll<Expired> {
    let Some(clock) = clock else { return Poll::Pending };
    clock.poll(context, Progress { sent, answered, bytes: bytes.request.get() + bytes.response.get() })
}

/// Another try, if the request can be made again and its policy wants one.
pub(super) fn again(plan: &mut Plan, keeping: &Keeping, others: bool, failure: Failure) -> Option<Verdict> {
    if keeping.lost.get() {
        return None;
    }
    plan.carry.as_mut()?.again(failure, others).map(Verdict::Again)
}

/// The client has its response.
pub(super) fn told(plan: &Plan, status: u16, grpc: Option<u16>) {
    if let (Some(carry), 200..500, None | Some(0)) = (&plan.carry, status, grpc) {
        carry.succeeded();
    }
}

/// What a response's head alone says of another try.
pub(super) fn retried(
    response: &Response<RecvStream>,
    plan: &mut Plan,
    keeping: &Keeping,
    others: bool,
    grpc: bool,
) -> Option<Verdict> {
    let headers = response.headers();
    if grpc && let Some(code) = grpc_status(headers) {
        let after = pushback(headers);
        if let Some(after) = after {
            plan.tally.asked_to_wait(after);
        }
        return again(plan, keeping, others, Failure::Grpc(code, after));
    }
    let status = response.status().as_u16();
    if status < 400 {
        return None;
    }
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let after = seconds.map(Duration::from_secs).filter(|_| matches!(status, 429 | 503));
    if let Some(after) = after {
        plan.tally.asked_to_wait(after);
    }
    again(plan, keeping, others, Failure::Status(status, after))
}

/// The next piece of a response: data, or its end.
pub(super) fn peek(from: &mut RecvStream, context: &mut Context<'_>) -> Poll<Result<Ahead, ::h2::Error>> {
    match ready!(from.poll_data(context)) {
        Some(data) => Poll::Ready(data.map(Ahead::Data)),
        None => from.poll_trailers(context).map_ok(Ahead::End),
    }
}
