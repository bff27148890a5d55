//! How requests are carried beyond their first try: what the policies of all destinations remember, and what one request takes along.
//!
//! Owns [`Carriers`] (the proxy's memory of policies), [`Carrier`] (one policy with its memory), [`Carry`] (one request under it) and
//! [`Clock`] (its limits of time). Decisions are `weft_policy::carry`'s; sockets are the protocols'.

mod clock;
mod request;
mod room;
mod state;

pub use clock::{Clock, Expired, Progress};
pub use request::{Begun, Carry, Failure};
pub use room::{Reserved, Room};
pub use state::{Carrier, Carriers, Permit};
