//! What goes wrong between proxy and operator. Every one is retried; the texts end with what to look at.

use std::path::PathBuf;
use std::time::Duration;

/// A failed attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("service account token {path} cannot be read: {source}")]
    Token { path: PathBuf, source: std::io::Error },
    #[error("service account token {0} is not a header value")]
    TokenText(PathBuf),
    #[error("no trust anchors: none in the environment and none in the trust file; was the pod injected?")]
    NoTrust,
    #[error("operator name {0} is not a DNS name")]
    ServerName(String),
    #[error("cannot reach the operator at {address}: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("the operator at {address} is not trusted as {name}: {source}")]
    Handshake { address: String, name: String, source: std::io::Error },
    #[error("no connection to the operator at {0} within {1:?}")]
    Timeout(String, Duration),
    #[error("connection to the operator: {}", chain(.0))]
    Transport(#[from] tonic::transport::Error),
    #[error("the operator answered {:?}: {}", .0.code(), .0.message())]
    Status(#[from] Box<tonic::Status>),
    #[error("the operator ended the stream")]
    Ended,
    #[error("the operator does not read acknowledgements")]
    Stalled,
    #[error("key or request: {0}")]
    Request(#[from] rcgen::Error),
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
}

impl From<tonic::Status> for ControlError {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The innermost cause says what happened, the outer ones only where.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
