//! `conformance/route.yaml`

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::matching::Match;
use super::{Request, run};
use crate::model::{Backend, BackendTarget, HttpMatch, Labels, OutboundRoute, Ref, Routed};
use crate::route::{Choice, pick_backend, select_connection, select_route};

/// Draws per unit of weight: evenly spread, so that shares come out exactly.
const DRAWS: u32 = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    routes: Vec<RouteText>,
    #[serde(default)]
    default: Vec<BackendText>,
    request: Option<Request>,
    ready: Option<Vec<String>>,
    want: Want,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteText {
    name: String,
    #[serde(default)]
    matches: Vec<Match>,
    backends: Vec<BackendText>,
    #[serde(default)]
    cede: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendText {
    name: String,
    #[serde(default = "one")]
    weight: u32,
    error: Option<u16>,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Want {
    route: Option<String>,
    shares: BTreeMap<String, u32>,
}

#[test]
fn requests_go_where_the_routes_say() {
    run(
        "route.yaml",
        |case: &Case| &case.name,
        |case| {
            let routed = routed(case);
            let choice = match &case.request {
                Some(request) => select_route(&routed, request),
                None => select_connection(&routed),
            };
            let got = Want { route: choice.route.map(|route| route.route.name.clone()), shares: shares(&choice, case) };
            if got == case.want { Ok(()) } else { Err(format!("wanted {:?}, got {got:?}", case.want)) }
        },
    );
}

/// Draws evenly over the whole range of randomness, as often as the wanted weights add up to.
fn shares(choice: &Choice<'_>, case: &Case) -> BTreeMap<String, u32> {
    let ready = |name: &str| case.ready.as_ref().is_none_or(|ready| ready.iter().any(|one| one == name));
    let draws = case.want.shares.values().sum::<u32>().max(1) * DRAWS;
    let mut counts = BTreeMap::new();
    for draw in 0..draws {
        let random = ((u128::from(draw) * 2 + 1) << 63) / u128::from(draws);
        if let Some(backend) = pick_backend(choice, ready, u64::try_from(random).unwrap()) {
            *counts.entry(backend.backend.name.clone()).or_insert(0) += 1;
        }
    }
    assert!(counts.values().all(|count| count % DRAWS == 0), "uneven shares {counts:?}");
    counts.values_mut().for_each(|count| *count /= DRAWS);
    counts
}

fn routed(case: &Case) -> Routed {
    let routes = case.routes.iter().map(|route| OutboundRoute {
        route: Ref { name: route.name.clone(), ..Ref::default() },
        matches: route.matches.iter().map(HttpMatch::from).collect(),
        backends: route.backends.iter().map(backend).collect(),
        cede_unavailable: route.cede,
    });
    let default_backends = case.default.iter().map(backend).collect();
    Routed { routes: routes.collect(), default_backends, policies: Vec::new() }
}

fn backend(text: &BackendText) -> Backend {
    Backend {
        weight: text.weight,
        backend: Ref { name: text.name.clone(), ..Ref::default() },
        target: match text.error {
            Some(status) => BackendTarget::Error(status),
            None => BackendTarget::Endpoints(Arc::from(text.name.as_str())),
        },
        labels: Labels::from([]),
    }
}
