//! `conformance/policy.yaml`

use std::sync::Arc;

use serde::Deserialize;

use super::matching::Match;
use super::{Request, run};
use crate::carry::select_policy;
use crate::model::{HttpMatch, RequestPolicy, Routed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    policies: Vec<PolicyText>,
    request: Request,
    want: Want,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    rule: String,
    #[serde(default)]
    matches: Vec<Match>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Want {
    rule: Option<String>,
}

#[test]
fn requests_are_carried_by_the_first_policy_that_matches() {
    run(
        "policy.yaml",
        |case: &Case| &case.name,
        |case| {
            let policies = case.policies.iter().map(policy).collect();
            let routed = Routed { routes: Vec::new(), default_backends: Vec::new(), policies };
            let selected = select_policy(&routed, &case.request);
            let got = Want { rule: selected.map(|(_, policy)| policy.rule.to_string()) };
            if got == case.want { Ok(()) } else { Err(format!("wanted {:?}, got {got:?}", case.want)) }
        },
    );
}

fn policy(text: &PolicyText) -> Arc<RequestPolicy> {
    Arc::new(RequestPolicy {
        rule: text.rule.as_str().into(),
        matches: text.matches.iter().map(HttpMatch::from).collect(),
        ..RequestPolicy::default()
    })
}
