//! Which route a request or connection takes, and which backend serves it.

use crate::http_match::any_matches;
use crate::model::{Backend, BackendTarget, OutboundRoute, Routed};
use crate::request::RequestView;

/// The backends that a request or connection may be sent to.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The route that matched; None when the default backends serve.
    pub route: Option<&'a OutboundRoute>,
    /// To be chosen from by weight. Empty: nothing serves (answer 500, Gateway API: a rule without valid backends).
    pub backends: &'a [Backend],
    /// A backend without a ready endpoint cedes its share to the others.
    pub cede: bool,
}

/// The first route that matches, else the default backends.
#[must_use]
pub fn select_route<'a>(routed: &'a Routed, request: &impl RequestView) -> Choice<'a> {
    choice(routed, routed.routes.iter().find(|route| any_matches(&route.matches, request)))
}

/// For a connection that is bytes: the first route without conditions, else the default backends.
#[must_use]
pub fn select_connection(routed: &Routed) -> Choice<'_> {
    choice(routed, routed.routes.iter().find(|route| route.matches.is_empty()))
}

fn choice<'a>(routed: &'a Routed, route: Option<&'a OutboundRoute>) -> Choice<'a> {
    match route {
        Some(route) => Choice { route: Some(route), backends: &route.backends, cede: route.cede_unavailable },
        None => Choice { route: None, backends: &routed.default_backends, cede: false },
    }
}

/// One backend by weight; `random` is uniform over u64 and `ready` says whether an endpoints resource has a ready endpoint.
///
/// None only when there are no backends. Where shares are ceded and nobody is ready, the weights decide as if all were, so that
/// the caller fails (503) with the name of a backend.
#[must_use]
pub fn pick_backend<'a>(choice: &Choice<'a>, ready: impl Fn(&str) -> bool, random: u64) -> Option<&'a Backend> {
    if let [only] = choice.backends {
        return Some(only);
    }
    if choice.cede {
        let available = |backend: &Backend| match &backend.target {
            BackendTarget::Endpoints(name) => ready(name),
            BackendTarget::Error(_) => true,
        };
        if let Some(backend) = by_weight(choice.backends, available, random) {
            return Some(backend);
        }
    }
    by_weight(choice.backends, |_| true, random)
}

fn by_weight(backends: &[Backend], eligible: impl Fn(&Backend) -> bool, random: u64) -> Option<&Backend> {
    let weight = |backend: &Backend| if eligible(backend) { u64::from(backend.weight) } else { 0 };
    let total: u64 = backends.iter().map(&weight).sum();
    // Maps the whole range of `random` onto 0..total without a modulo's bias; the high half of the product is below `total`.
    let mut point = u64::try_from((u128::from(random) * u128::from(total)) >> 64).unwrap_or_default();
    backends.iter().find(|backend| {
        let weight = weight(backend);
        let hit = point < weight;
        point = point.saturating_sub(weight);
        hit
    })
}
