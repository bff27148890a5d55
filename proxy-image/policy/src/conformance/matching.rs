//! Conditions as the case files write them.

use serde::Deserialize;

use crate::expression::{from_start, whole};
use crate::model::{HeaderMatch, HttpMatch, PathMatch, QueryMatch, ValueMatch};

#[derive(Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Match {
    path: Option<PathText>,
    methods: Vec<String>,
    headers: Vec<Named>,
    query: Vec<Named>,
}

#[derive(Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct PathText {
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
    regex_prefix: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    exact: Option<String>,
    regex: Option<String>,
}

impl From<&Match> for HttpMatch {
    fn from(text: &Match) -> Self {
        Self {
            path: text.path.as_ref().map(path),
            headers: text.headers.iter().map(|one| HeaderMatch { name: one.name.clone(), value: value(one) }).collect(),
            query: text.query.iter().map(|one| QueryMatch { name: one.name.clone(), value: value(one) }).collect(),
            methods: text.methods.clone(),
        }
    }
}

fn path(text: &PathText) -> PathMatch {
    match text {
        PathText { exact: Some(path), prefix: None, regex: None, regex_prefix: None } => PathMatch::Exact(path.clone()),
        PathText { exact: None, prefix: Some(path), regex: None, regex_prefix: None } => {
            PathMatch::Prefix(path.clone())
        }
        PathText { exact: None, prefix: None, regex: Some(path), regex_prefix: None } => {
            PathMatch::Regex(whole(path).unwrap())
        }
        PathText { exact: None, prefix: None, regex: None, regex_prefix: Some(path) } => {
            PathMatch::Regex(from_start(path).unwrap())
        }
        _ => panic!("a path has exactly one kind"),
    }
}

fn value(named: &Named) -> ValueMatch {
    match (&named.exact, &named.regex) {
        (Some(exact), None) => ValueMatch::Exact(exact.clone()),
        (None, Some(regex)) => ValueMatch::Regex(whole(regex).unwrap()),
        _ => panic!("{} has exactly one of exact and regex", named.name),
    }
}
