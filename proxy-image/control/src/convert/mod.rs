//! Wire messages into the domain model: total, and precise about what is wrong.
//!
//! An enum value or oneof arm that this proxy does not know is an error, never a default: it may narrow what a rule admits. The
//! error names the field, the resource is refused as a whole, and the version held before stays in force.

mod balancing;
mod carry;
mod endpoints;
mod error;
mod inbound;
mod matches;
mod outbound;
mod shared;
mod trust;

#[cfg(test)]
mod tests;

pub(crate) use endpoints::delta;
pub(crate) use error::ConvertError;
pub(crate) use trust::Trusted;

use error::{At, missing};
