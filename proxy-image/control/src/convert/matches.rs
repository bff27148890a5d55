//! Conditions on requests.

use regex::Regex;
use weft_policy::expression;
use weft_policy::model::{HeaderMatch, HttpMatch, PathMatch, QueryMatch, ValueMatch};

use super::error::{each, invalid};
use super::{At, ConvertError, missing};
use crate::wire::config as wire;

impl TryFrom<wire::HttpMatch> for HttpMatch {
    type Error = ConvertError;

    fn try_from(wire: wire::HttpMatch) -> Result<Self, ConvertError> {
        Ok(Self {
            path: wire.path.map(PathMatch::try_from).transpose().at("path")?,
            headers: each("headers", wire.headers, HeaderMatch::try_from)?,
            query: each("query", wire.query, QueryMatch::try_from)?,
            methods: wire.methods,
        })
    }
}

impl TryFrom<wire::PathMatch> for PathMatch {
    type Error = ConvertError;

    fn try_from(wire: wire::PathMatch) -> Result<Self, ConvertError> {
        use wire::path_match::Kind;
        Ok(match wire.kind.ok_or_else(|| missing("kind"))? {
            Kind::Exact(path) => Self::Exact(path),
            Kind::Prefix(path) if !path.starts_with('/') => {
                return Err(invalid(path, "a path that starts with /")).at("prefix");
            }
            Kind::Prefix(path) => Self::Prefix(path),
            Kind::Regex(pattern) => Self::Regex(whole(&pattern).at("regex")?),
            Kind::RegexPrefix(pattern) => Self::Regex(from_start(&pattern).at("regex_prefix")?),
        })
    }
}

impl TryFrom<wire::HeaderMatch> for HeaderMatch {
    type Error = ConvertError;

    fn try_from(wire: wire::HeaderMatch) -> Result<Self, ConvertError> {
        use wire::header_match::Kind;
        if wire.name.is_empty() || wire.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid(wire.name, "a lower-case header name")).at("name");
        }
        let value = match wire.kind.ok_or_else(|| missing("kind"))? {
            Kind::Exact(value) => ValueMatch::Exact(value),
            Kind::Regex(pattern) => ValueMatch::Regex(whole(&pattern).at("regex")?),
        };
        Ok(Self { name: wire.name, value })
    }
}

impl TryFrom<wire::QueryMatch> for QueryMatch {
    type Error = ConvertError;

    fn try_from(wire: wire::QueryMatch) -> Result<Self, ConvertError> {
        use wire::query_match::Kind;
        let value = match wire.kind.ok_or_else(|| missing("kind"))? {
            Kind::Exact(value) => ValueMatch::Exact(value),
            Kind::Regex(pattern) => ValueMatch::Regex(whole(&pattern).at("regex")?),
        };
        Ok(Self { name: wire.name, value })
    }
}

fn whole(pattern: &str) -> Result<Regex, ConvertError> {
    expression::whole(pattern).map_err(|error| invalid(pattern, format!("an expression: {error}")))
}

fn from_start(pattern: &str) -> Result<Regex, ConvertError> {
    expression::from_start(pattern).map_err(|error| invalid(pattern, format!("an expression: {error}")))
}
