//! Conditions on requests.

use regex::Regex;
use weft_policy::expression;
use weft_policy::model::{HeaderMatch, HttpMatch, PathMatch, QueryMatch, ValueMatch};

use super::error::{each, invalid};
use super::{At, ConvertError, missing};
use crate::wire::config as wire;

/// Expressions in one resource: each may take a megabyte (`weft_policy::expression`), and whoever may write a route may write many.
const EXPRESSIONS: usize = 256;

/// Refuses a resource with more than [`EXPRESSIONS`] expressions, before any is compiled.
pub(super) fn few_expressions<'a>(matches: impl Iterator<Item = &'a wire::HttpMatch>) -> Result<(), ConvertError> {
    let count: usize = matches.map(expressions).sum();
    if count > EXPRESSIONS {
        return Err(invalid(count, format!("at most {EXPRESSIONS} expressions in one resource")));
    }
    Ok(())
}

fn expressions(wire: &wire::HttpMatch) -> usize {
    use wire::{header_match, path_match, query_match};
    let path = wire.path.as_ref().and_then(|path| path.kind.as_ref());
    let path = matches!(path, Some(path_match::Kind::Regex(_) | path_match::Kind::RegexPrefix(_)));
    let headers = wire.headers.iter().filter(|one| matches!(one.kind, Some(header_match::Kind::Regex(_)))).count();
    let query = wire.query.iter().filter(|one| matches!(one.kind, Some(query_match::Kind::Regex(_)))).count();
    usize::from(path) + headers + query
}

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
