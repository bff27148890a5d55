//! Cases of the conversion.
