//! What the operator says: configuration and identity, held and kept fresh.
//!
//! Owns the configuration stream, the conversion from wire messages into `weft_policy::model`, the certificate and its renewal,
//! and the trust bundle. The data path sees a `Control` handle only and never waits for the network through it, but for the first
//! answer about a new destination. Imports `weft-policy`; knows nothing of connections, metrics or the environment.

mod apply;
mod backoff;
mod config;
mod connect;
mod convert;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod identity;
mod memory;
mod report;
mod store;
mod stream;
mod trust;
mod types;

#[cfg(test)]
mod tests;

#[doc(hidden)]
pub mod wire;

pub use config::{ControlConfig, Timeouts, TrustSource};
pub use handle::Control;
pub use memory::ControlSetter;
pub use report::Counted;
pub use types::{Credentials, Destination, Held, Resolution, Stats, TrustDomain};
