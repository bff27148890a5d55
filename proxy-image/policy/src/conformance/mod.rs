//! Runs the cases of `conformance/*.yaml`, whose headers define the format; another implementation reads the same files.

mod authorize;
mod matching;
mod policy;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::request::RequestView;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<C> {
    cases: Vec<C>,
}

/// The request of a case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    method: String,
    path: String,
    query: Option<String>,
    headers: BTreeMap<String, Vec<String>>,
}

impl Default for Request {
    fn default() -> Self {
        Self { method: "GET".to_owned(), path: "/".to_owned(), query: None, headers: BTreeMap::new() }
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        &self.method
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get(name).into_iter().flatten().map(String::as_bytes)
    }
}

/// Runs every case of a file and reports all that fail, not only the first.
fn run<C: DeserializeOwned>(file: &str, name: impl Fn(&C) -> &str, check: impl Fn(&C) -> Result<(), String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let File { cases } = serde_yaml_ng::from_str::<File<C>>(&text).unwrap();
    assert!(!cases.is_empty());
    let names: BTreeSet<_> = cases.iter().map(&name).collect();
    assert_eq!(names.len(), cases.len(), "a name is used twice");
    let failed: Vec<_> =
        cases.iter().filter_map(|case| check(case).err().map(|error| format!("{}: {error}", name(case)))).collect();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
