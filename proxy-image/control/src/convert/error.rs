//! What is wrong with a message, and where.

use std::fmt;

/// A field that cannot be used; its text becomes the reason of a nack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConvertError {
    /// As in the contract, e.g. `ports[2].authorizations[0].networks[0].cidr`.
    field: String,
    problem: String,
}

/// Names the place of what went wrong further in.
pub(super) trait At<T> {
    /// Inside the field.
    fn at(self, field: &str) -> Result<T, ConvertError>;
}

impl<T> At<T> for Result<T, ConvertError> {
    fn at(self, field: &str) -> Self {
        self.map_err(|error| {
            let separator = if error.field.is_empty() || error.field.starts_with('[') { "" } else { "." };
            ConvertError { field: format!("{field}{separator}{}", error.field), problem: error.problem }
        })
    }
}

/// A value that is not what the contract says.
pub(super) fn invalid(value: impl fmt::Debug, expected: impl fmt::Display) -> ConvertError {
    // Values may be long and end up in logs and on the stream.
    let value: String = format!("{value:?}").chars().take(200).collect();
    ConvertError { field: String::new(), problem: format!("{value} is not {expected}") }
}

/// A field that must be set, or a oneof arm that this proxy does not know: on the wire the two look the same.
pub(super) fn missing(field: &str) -> ConvertError {
    ConvertError { field: field.to_owned(), problem: "not set, or a kind that this proxy does not know".to_owned() }
}

/// Converts every item; the error names the index.
pub(super) fn each<W, M>(
    field: &str,
    items: Vec<W>,
    convert: impl Fn(W) -> Result<M, ConvertError>,
) -> Result<Vec<M>, ConvertError> {
    items.into_iter().enumerate().map(|(index, item)| convert(item).at(&format!("{field}[{index}]"))).collect()
}
