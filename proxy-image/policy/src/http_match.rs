//! Whether a request fulfils the conditions of a route.

use std::borrow::Cow;

use crate::model::{HttpMatch, PathMatch, ValueMatch};
use crate::request::RequestView;

/// Alternatives: one that holds is enough, and no alternatives at all match everything.
#[must_use]
pub fn any_matches(alternatives: &[HttpMatch], request: &impl RequestView) -> bool {
    alternatives.is_empty() || alternatives.iter().any(|alternative| matches(alternative, request))
}

/// Whether every condition of `wanted` holds.
#[must_use]
pub fn matches(wanted: &HttpMatch, request: &impl RequestView) -> bool {
    method_matches(&wanted.methods, request.method())
        && wanted.path.as_ref().is_none_or(|path| path_matches(path, request.path()))
        && wanted
            .headers
            .iter()
            .all(|header| request.header(&header.name).any(|value| value_matches(&header.value, value)))
        && wanted.query.iter().all(|query| {
            first_parameter(request.query(), &query.name).is_some_and(|value| value_matches(&query.value, &value))
        })
}

fn method_matches(methods: &[String], method: &str) -> bool {
    methods.is_empty() || methods.iter().any(|wanted| wanted == method)
}

fn path_matches(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(exact) => path == exact,
        PathMatch::Prefix(prefix) => prefix_matches(prefix, path),
        PathMatch::Regex(regex) => regex.is_match(path),
    }
}

/// Whole path elements, and a trailing slash of the prefix says nothing (Gateway API, PathMatchPathPrefix).
fn prefix_matches(prefix: &str, path: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

fn value_matches(wanted: &ValueMatch, value: &[u8]) -> bool {
    match wanted {
        ValueMatch::Exact(exact) => exact.as_bytes() == value,
        // A value that is no text cannot fulfil an expression over text.
        ValueMatch::Regex(regex) => std::str::from_utf8(value).is_ok_and(|text| regex.is_match(text)),
    }
}

/// The first value of the parameter, decoded as application/x-www-form-urlencoded; a name without `=` has the empty value.
fn first_parameter<'q>(query: Option<&'q str>, name: &str) -> Option<Cow<'q, [u8]>> {
    query?.split('&').filter(|pair| !pair.is_empty()).find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (*decode_form(key) == *name.as_bytes()).then(|| decode_form(value))
    })
}

fn decode_form(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(first),
        }
    }
    Cow::Owned(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
