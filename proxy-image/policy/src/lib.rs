//! Pure decisions of the proxy: which route, which backend, who may come in, which endpoint.
//!
//! Owns the domain model that the wire protocol is converted into (`weft-control` converts, `weft-proxy-core` acts).
//! Imports no runtime, no clock and no I/O: time and randomness are arguments.

pub mod authorize;
pub mod balance;
pub mod carry;
pub mod client;
pub mod expression;
pub mod http_match;
pub mod model;
pub mod request;
pub mod route;

#[cfg(test)]
mod conformance;

pub use authorize::{Decision, authorize_connection, authorize_request};
pub use carry::select_policy;
pub use client::{Client, ClientTls};
pub use request::RequestView;
pub use route::{Choice, pick_backend, select_connection, select_route};
