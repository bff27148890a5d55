//! The data path: accept, detect, mutual TLS, HTTP/1.1, HTTP/2, bytes.
//!
//! Module map, from the outside in. A module imports only from lines below its own.
//!
//! | module | owns |
//! |---|---|
//! | `serve` | listeners and accept loops |
//! | `inbound`, `outbound` | one connection from its first byte to the protocol that serves it |
//! | `h1`, `h2`, `bytes`, `tcp` | protocols |
//! | `first`, `dial` | who speaks first; connections to upstreams |
//! | `exchange` | decisions and counts, the same for every protocol |
//! | `admin`, `access_log` | what people and kubelets ask; one line per request |
//! | `context` | what all connections share |
//! | `carry` | timeouts, retries, breakers, limits and faults of one request |
//! | `balance`, `redirected`, `counters`, `drain` | endpoints; their ports that do not answer; refusals and error answers counted; the end |
//! | `tls`, `preamble`, `detect`, `io`, `buffer`, `sys` | bytes and sockets |
//! | `metrics`, `config`, `refusal` | numbers; environment; closed sets |
//!
//! One thread: shared state is `Rc`, and nothing on the path of a request takes a lock.
#![forbid(unsafe_code)]

pub mod access_log;
pub mod admin;
pub mod balance;
pub mod buffer;
mod bytes;
pub mod carry;
pub mod config;
pub mod context;
pub mod counters;
pub mod detect;
mod dial;
pub mod drain;
pub mod exchange;
mod first;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod h1;
pub mod h2;
pub mod inbound;
pub mod io;
pub mod metrics;
pub mod outbound;
pub mod preamble;
mod redirected;
pub mod refusal;
pub mod serve;
pub mod sys;
mod tcp;
pub mod throttle;
pub mod tls;
