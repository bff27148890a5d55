//! What the proxy holds, as JSON for people and for `weft proxy-config`. Holds no secret: no key, no token.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use weft_control::{Held, Resolution};
use weft_policy::model::{Backend, BackendTarget, Endpoint, Labels, Outbound, OutboundKind, Ref, Workload};

use crate::context::Proxy;

/// Destinations and endpoints resources that are told; of more only the number is.
const LISTED: usize = 1_000;
/// Endpoints that are told in all.
const ENDPOINTS: usize = 10_000;

pub(super) fn render(proxy: &Proxy) -> String {
    let mut held = proxy.control.held();
    let omitted = omit(&mut held);
    let stats = proxy.control.stats();
    let credentials = proxy.control.credentials();
    let identity = credentials.borrow().as_ref().map(|credentials| {
        let expires = credentials.not_after.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let trust: Vec<Value> = credentials
            .trust_domains
            .iter()
            .map(|domain| {
                json!({ "mesh": domain.mesh, "trustDomain": domain.trust_domain, "anchors": domain.anchors.len() })
            })
            .collect();
        json!({ "identity": &*credentials.identity, "expiresUnixSeconds": expires, "trustDomains": trust })
    });
    let versions: serde_json::Map<String, Value> =
        held.versions.into_iter().map(|(name, version)| (name, Value::from(version))).collect();
    let outbounds: Vec<Value> = held
        .outbounds
        .iter()
        .map(|(address, resolution)| match resolution {
            Resolution::Pending => json!({ "address": address.to_string(), "state": "pending" }),
            Resolution::Unknown => json!({ "address": address.to_string(), "state": "unknown" }),
            Resolution::Known(known) => {
                json!({ "address": address.to_string(), "state": "known", "outbound": outbound(known) })
            }
        })
        .collect();
    let endpoints: serde_json::Map<String, Value> = held
        .endpoints
        .iter()
        .map(|(name, set)| (name.clone(), set.iter().map(|one| endpoint(one)).collect()))
        .collect();
    let refused: Vec<Value> =
        held.refused.iter().map(|(name, reason)| json!({ "resource": name, "reason": reason })).collect();
    json!({
        "ready": proxy.ready(),
        "connected": *proxy.control.connected().borrow(),
        "lastError": stats.last_error,
        "identity": identity,
        "workload": proxy.workload().as_deref().map(workload),
        "versions": versions,
        "outbounds": outbounds,
        "endpoints": endpoints,
        "refused": refused,
        "omitted": omitted,
    })
    .to_string()
}

/// Keeps what may be told; how much was left out.
fn omit(held: &mut Held) -> Value {
    let all = (held.versions.len(), held.outbounds.len(), held.endpoints.len());
    held.versions.truncate(2 * LISTED + 2);
    held.outbounds.truncate(LISTED);
    held.endpoints.truncate(LISTED);
    let mut left = ENDPOINTS;
    held.endpoints.retain(|(_, set)| {
        let fits = set.len() <= left;
        left -= if fits { set.len() } else { 0 };
        fits
    });
    json!({
        "versions": all.0 - held.versions.len(),
        "outbounds": all.1 - held.outbounds.len(),
        "endpoints": all.2 - held.endpoints.len(),
    })
}

fn workload(workload: &Workload) -> Value {
    let ports: Vec<Value> = workload
        .ports
        .iter()
        .chain([&workload.default_port])
        .map(|port| {
            let authorizations: Vec<Value> =
                port.authorizations.iter().map(|one| reference(&one.authorization)).collect();
            let routes: Vec<Value> = port.routes.iter().map(|route| reference(&route.route)).collect();
            json!({
                "port": port.port,
                "protocol": format!("{:?}", port.protocol),
                "server": reference(&port.server),
                "authorizations": authorizations,
                "routes": routes,
                "audit": port.audit,
            })
        })
        .collect();
    json!({
        "mesh": workload.mesh,
        "namespace": workload.namespace,
        "pod": workload.pod,
        "podUid": workload.pod_uid,
        "identity": workload.identity,
        "labels": labels(&workload.labels),
        "ports": ports,
    })
}

fn outbound(outbound: &Outbound) -> Value {
    let kind = match &outbound.kind {
        OutboundKind::Routed(routed) => {
            let routes: Vec<Value> = routed
                .routes
                .iter()
                .map(|route| json!({ "route": reference(&route.route), "backends": backends(&route.backends) }))
                .collect();
            json!({ "routes": routes, "defaultBackends": backends(&routed.default_backends) })
        }
        OutboundKind::Endpoint(one) => json!({ "endpoint": endpoint(one) }),
        OutboundKind::PassThrough => json!("passThrough"),
        OutboundKind::Refused(reason) => json!({ "refused": reason }),
    };
    json!({
        "destination": reference(&outbound.destination),
        "protocol": format!("{:?}", outbound.protocol),
        "kind": kind,
    })
}

fn backends(backends: &[Backend]) -> Value {
    backends
        .iter()
        .map(|backend| match &backend.target {
            BackendTarget::Endpoints(name) => {
                json!({ "weight": backend.weight, "backend": reference(&backend.backend), "endpoints": &**name })
            }
            BackendTarget::Error(status) => {
                json!({ "weight": backend.weight, "backend": reference(&backend.backend), "error": status })
            }
        })
        .collect()
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "address": endpoint.address.to_string(),
        "identity": endpoint.identity,
        "transport": format!("{:?}", endpoint.transport),
        "zone": endpoint.zone,
        "labels": labels(&endpoint.labels),
    })
}

fn labels(labels: &Labels) -> Value {
    labels
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(&**value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn reference(reference: &Ref) -> Value {
    json!({
        "group": reference.group,
        "kind": reference.kind,
        "namespace": reference.namespace,
        "name": reference.name,
        "port": reference.port,
    })
}
