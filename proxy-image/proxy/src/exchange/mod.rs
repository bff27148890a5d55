//! Decisions about requests and connections, shared by HTTP/1, HTTP/2 and bytes: route, authorise, pick, count, explain.
//!
//! Owns [`Session`] (one client connection), [`Plan`] (where one request goes), [`Tally`] (what is counted of it) and the closed
//! set of error answers. Imports policy, balancing and metrics; knows nothing of sockets or of how a head is written.

mod connection;
mod error;
pub mod headers;
mod inbound;
mod limit;
mod outbound;
mod session;
mod tally;
mod target;

pub use connection::ConnectionPlan;
pub use error::ErrorReason;
pub use inbound::Inbound as InboundRules;
pub use limit::Ports as InFlightPorts;
pub use outbound::{Outbound as OutboundRules, Table};
pub use session::{Plan, Refused, Session};
pub use tally::{Carried, Counted, End, Tally};
pub use target::{ByTarget, Target};

pub use crate::metrics::Direction;
