//! HTTP/1.1, our own: one task per client connection, an upstream connection to itself for the length of one exchange.
//!
//! Heads are parsed in place into an array on the stack (`head`, `fields`), judged strictly, and written anew (`encode`) into one
//! buffer together with what is at hand of the body, so that a small message costs one read and one write on each side. Bodies are
//! passed on as they come (`body`, `chunked`, `pump`). Nothing is allocated for a request while connections are reused. The parsing
//! files are pure and know no sockets.

mod body;
mod chunked;
mod encode;
mod exchange;
mod fields;
mod head;
pub mod pool;
mod pump;
mod server;

pub use server::serve;

/// What `crate::fuzzing` looks into.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed {
    pub(crate) use super::body::Body;
    pub(crate) use super::chunked::Chunked;
    pub(crate) use super::encode::{Added, Persistence};
    pub(crate) use super::head::{MAX_HEADERS, RequestHead, ResponseHead, slots};

    pub(crate) mod encode {
        pub(crate) use crate::h1::encode::{request, response};
    }
}
