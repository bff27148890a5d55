//! The proxy's own answers on a stream.

use ::h2::server::SendResponse;
use ::h2::{Reason, SendStream};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::exchange::headers::ERROR;
use crate::exchange::{ErrorReason, Tally};

const WEFT_ERROR: HeaderName = HeaderName::from_static(ERROR);
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Answers and counts. gRPC gets a trailers-only response: status 200 with the reason's code, which is what its clients read.
pub(super) fn refuse(respond: &mut SendResponse<Bytes>, grpc: bool, reason: ErrorReason, tally: Tally) {
    let (status, code) = (reason.status(), reason.grpc());
    refuse_with(respond, grpc, Answer { reason, status, code }, tally);
}

/// What the proxy answers with where a route or a fault says so.
pub(super) struct Answer {
    /// Why.
    pub(super) reason: ErrorReason,
    /// For HTTP.
    pub(super) status: u16,
    /// For gRPC.
    pub(super) code: u16,
}

/// The same with other statuses than the reason's own.
pub(super) fn refuse_with(respond: &mut SendResponse<Bytes>, grpc: bool, answer: Answer, tally: Tally) {
    let Answer { reason, status, code } = answer;
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(WEFT_ERROR, HeaderValue::from_static(reason.name()));
    if grpc {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(GRPC_STATUS, HeaderValue::from(code));
        headers.insert(GRPC_MESSAGE, HeaderValue::from_static(reason.name()));
    } else {
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    // A client that is gone needs no answer; the count stays what was decided.
    let _ = respond.send_response(response, true);
    if grpc {
        tally.refuse_grpc(reason, code);
    } else {
        tally.refuse_with(reason, status);
    }
}

/// Ends a response that broke in the middle: gRPC is told in trailers, everything else by a reset. Returns the gRPC status told.
pub(super) fn break_off(
    download: &mut SendStream<Bytes>,
    grpc: bool,
    why: ErrorReason,
    reason: Option<Reason>,
) -> Option<u16> {
    if grpc {
        let mut trailers = HeaderMap::new();
        trailers.insert(GRPC_STATUS, HeaderValue::from(why.grpc()));
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(why.name()));
        trailers.insert(WEFT_ERROR, HeaderValue::from_static(why.name()));
        if download.send_trailers(trailers).is_ok() {
            return Some(why.grpc());
        }
    }
    // NO_ERROR would make a cut-off body look whole.
    download.send_reset(reason.filter(|reason| *reason != Reason::NO_ERROR).unwrap_or(Reason::INTERNAL_ERROR));
    None
}
