//! Who may come in.
//!
//! Rules only grant: a client is let in when one authorization of its port, or of the route that its request matches, admits it.
//! The semantics are Linkerd's (Server, AuthorizationPolicy, HTTPRoute); `conformance/authorize.yaml` holds the cases.

use std::sync::LazyLock;

use crate::client::{Client, ClientTls};
use crate::http_match::any_matches;
use crate::model::{Authorization, Clients, InboundPort, InboundRoute, Network, Ref};
use crate::request::RequestView;

/// Whether a client is let in, and the objects that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Let in.
    Allow {
        /// The inbound route that the request matched.
        route: Option<&'a Ref>,
        /// What admitted the client: an object, or the built-in `default/localhost` and `default/audit`.
        authorization: &'a Ref,
        /// It would have been refused but for the audit policy.
        audited: bool,
    },
    /// Refused: 403, or the connection is closed.
    Deny {
        /// The inbound route that the request matched.
        route: Option<&'a Ref>,
    },
    /// The port has routes and the request matches none: 404.
    NotFound,
}

static LOCALHOST: LazyLock<Ref> = LazyLock::new(|| built_in("localhost"));
static AUDIT: LazyLock<Ref> = LazyLock::new(|| built_in("audit"));

fn built_in(name: &str) -> Ref {
    Ref { kind: "default".to_owned(), name: name.to_owned(), ..Ref::default() }
}

/// Decides about a connection that is not HTTP; routes do not apply.
#[must_use]
pub fn authorize_connection<'a>(port: &'a InboundPort, client: &Client) -> Decision<'a> {
    decide(port, None, client)
}

/// Decides about one request.
#[must_use]
pub fn authorize_request<'a>(port: &'a InboundPort, client: &Client, request: &impl RequestView) -> Decision<'a> {
    match matching_route(&port.routes, request) {
        None if port.unmatched_not_found => Decision::NotFound,
        route => decide(port, route, client),
    }
}

fn decide<'a>(port: &'a InboundPort, route: Option<&'a InboundRoute>, client: &Client) -> Decision<'a> {
    let by_route = route.map_or(&[][..], |route| &route.authorizations);
    let admitting = by_route.iter().chain(&port.authorizations).find(|authorization| admits(authorization, client));
    let route = route.map(|route| &route.route);
    match admitting {
        Some(Authorization { authorization, .. }) => Decision::Allow { route, authorization, audited: false },
        None if client.own_pod => Decision::Allow { route, authorization: &LOCALHOST, audited: false },
        None if port.audit => Decision::Allow { route, authorization: &AUDIT, audited: true },
        None => Decision::Deny { route },
    }
}

fn admits(authorization: &Authorization, client: &Client) -> bool {
    authorization.networks.iter().any(|network| contains(network, client))
        && proves(&authorization.clients, &client.tls)
}

fn contains(network: &Network, client: &Client) -> bool {
    network.cidr.contains(&client.address) && !network.except.iter().any(|hole| hole.contains(&client.address))
}

fn proves(wanted: &Clients, tls: &ClientTls) -> bool {
    match (wanted, tls) {
        (Clients::Unauthenticated, _) | (Clients::UnauthenticatedTls, ClientTls::MeshNoIdentity) => true,
        (Clients::UnauthenticatedTls | Clients::AnyIdentity, ClientTls::Identity { .. }) => true,
        (Clients::Identities { exact, suffixes }, ClientTls::Identity { spiffe, dns }) => {
            let dns = dns.as_deref();
            // Suffixes speak of DNS names only: a URI that happens to end so proves nothing.
            exact.iter().any(|name| name == &**spiffe || Some(name.as_str()) == dns)
                || dns.is_some_and(|dns| suffixes.iter().any(|suffix| dns.ends_with(suffix.as_str())))
        }
        _ => false,
    }
}

fn matching_route<'a>(routes: &'a [InboundRoute], request: &impl RequestView) -> Option<&'a InboundRoute> {
    if routes.is_empty() {
        return None;
    }
    let ambiguous = has_dot_segments(request.path());
    routes.iter().find(|route| {
        let usable = !ambiguous || route.matches.iter().all(|alternative| alternative.path.is_none());
        usable && any_matches(&route.matches, request)
    })
}

/// Whether an application could read the path as another one: `.` or `..` elements, plain or percent-encoded, also before `;`.
///
/// Such a request must not win the grants of a path (`/public/../admin`), so it matches only routes without path conditions. That
/// is never wider than a match: routes only add authorizations.
fn has_dot_segments(path: &str) -> bool {
    let mut rest = path.as_bytes();
    // How many dots the element has, as long as it has nothing else.
    let mut dots = Some(0_u8);
    let mut parameters = false;
    while let Some((byte, tail)) = decoded(rest) {
        rest = tail;
        match byte {
            b'/' if matches!(dots, Some(1 | 2)) => return true,
            b'/' => (dots, parameters) = (Some(0), false),
            b';' => parameters = true,
            _ if parameters => {}
            b'.' => dots = dots.map(|count| count.saturating_add(1)),
            _ => dots = None,
        }
    }
    matches!(dots, Some(1 | 2))
}

/// The next byte of a path with `%2e`, `%2f` and `%5c` decoded and backslashes read as slashes, and what follows it.
fn decoded(path: &[u8]) -> Option<(u8, &[u8])> {
    match path {
        [b'%', b'2', b'e' | b'E', rest @ ..] => Some((b'.', rest)),
        [b'%', b'2', b'f' | b'F', rest @ ..] | [b'%', b'5', b'c' | b'C', rest @ ..] | [b'\\', rest @ ..] => {
            Some((b'/', rest))
        }
        [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}
