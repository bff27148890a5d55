//! `conformance/authorize.yaml`

use std::net::IpAddr;

use serde::Deserialize;

use super::matching::Match;
use super::{Request, run};
use crate::authorize::{Decision, authorize_connection, authorize_request};
use crate::client::{Client, ClientTls};
use crate::model::{Authorization, Clients, HttpMatch, InboundPort, InboundRoute, Network, Ref};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    port: PortText,
    client: ClientText,
    request: Option<Request>,
    want: Want,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
struct PortText {
    authorizations: Vec<AuthorizationText>,
    routes: Vec<RouteText>,
    unmatched_not_found: bool,
    audit: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteText {
    name: String,
    #[serde(default)]
    matches: Vec<Match>,
    #[serde(default)]
    authorizations: Vec<AuthorizationText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationText {
    name: String,
    networks: Option<Vec<NetworkText>>,
    clients: ClientsText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkText {
    cidr: String,
    #[serde(default)]
    except: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum ClientsText {
    Kind(ClientsKind),
    Names {
        #[serde(default)]
        exact: Vec<String>,
        #[serde(default)]
        suffixes: Vec<String>,
    },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ClientsKind {
    Unauthenticated,
    UnauthenticatedTls,
    AnyIdentity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ClientText {
    address: IpAddr,
    #[serde(default)]
    pod_ips: Vec<IpAddr>,
    tls: Option<TlsText>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum TlsText {
    Kind(TlsKind),
    Identity { spiffe: String, dns: Option<String> },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum TlsKind {
    None,
    NoIdentity,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Want {
    allow: Option<String>,
    route: Option<String>,
    audited: bool,
    deny: bool,
    not_found: bool,
}

#[test]
fn the_right_clients_are_let_in() {
    run(
        "authorize.yaml",
        |case: &Case| &case.name,
        |case| {
            let port = port(&case.port);
            let client = Client::new(case.client.address, tls(&case.client), &case.client.pod_ips);
            let decision = match &case.request {
                Some(request) => authorize_request(&port, &client, request),
                None => authorize_connection(&port, &client),
            };
            let got = outcome(decision);
            if got == case.want { Ok(()) } else { Err(format!("wanted {:?}, got {got:?}", case.want)) }
        },
    );
}

fn outcome(decision: Decision<'_>) -> Want {
    let route = |route: Option<&Ref>| route.map(label);
    match decision {
        Decision::Allow { route: by, authorization, audited } => {
            Want { allow: Some(label(authorization)), route: route(by), audited, ..Want::default() }
        }
        Decision::Deny { route: by } => Want { deny: true, route: route(by), ..Want::default() },
        Decision::NotFound => Want { not_found: true, ..Want::default() },
    }
}

fn label(reference: &Ref) -> String {
    if reference.kind == "default" { format!("default/{}", reference.name) } else { reference.name.clone() }
}

fn named(name: &str) -> Ref {
    Ref { name: name.to_owned(), ..Ref::default() }
}

fn port(text: &PortText) -> InboundPort {
    let routes = text.routes.iter().map(|route| InboundRoute {
        route: named(&route.name),
        matches: route.matches.iter().map(HttpMatch::from).collect(),
        authorizations: route.authorizations.iter().map(authorization).collect(),
    });
    InboundPort {
        authorizations: text.authorizations.iter().map(authorization).collect(),
        routes: routes.collect(),
        unmatched_not_found: text.unmatched_not_found,
        audit: text.audit,
        ..InboundPort::default()
    }
}

fn authorization(text: &AuthorizationText) -> Authorization {
    let everywhere = || ["0.0.0.0/0", "::/0"].map(|cidr| Network { cidr: cidr.parse().unwrap(), except: Vec::new() });
    let network = |text: &NetworkText| Network {
        cidr: text.cidr.parse().unwrap(),
        except: text.except.iter().map(|cidr| cidr.parse().unwrap()).collect(),
    };
    Authorization {
        authorization: named(&text.name),
        networks: match &text.networks {
            Some(networks) => networks.iter().map(network).collect(),
            None => everywhere().to_vec(),
        },
        clients: match &text.clients {
            ClientsText::Kind(ClientsKind::Unauthenticated) => Clients::Unauthenticated,
            ClientsText::Kind(ClientsKind::UnauthenticatedTls) => Clients::UnauthenticatedTls,
            ClientsText::Kind(ClientsKind::AnyIdentity) => Clients::AnyIdentity,
            ClientsText::Names { exact, suffixes } => {
                Clients::Identities { exact: exact.clone(), suffixes: suffixes.clone() }
            }
        },
    }
}

fn tls(client: &ClientText) -> ClientTls {
    match &client.tls {
        None | Some(TlsText::Kind(TlsKind::None)) => ClientTls::None,
        Some(TlsText::Kind(TlsKind::NoIdentity)) => ClientTls::MeshNoIdentity,
        Some(TlsText::Identity { spiffe, dns }) => {
            ClientTls::Identity { spiffe: spiffe.as_str().into(), dns: dns.as_deref().map(Into::into) }
        }
    }
}
