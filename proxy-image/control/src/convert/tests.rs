//! What is refused, and how the refusal names the place.

use prost::Message;
use weft_policy::model::{
    AccessLog, Authorization, Balancing, Clients, HashKey, Outbound, OutboundKind, PathMatch, RequestPolicy,
    RetryBudget, Timeouts, Transport, Workload,
};

use crate::convert::Trusted;
use crate::store::EndpointsChange;
use crate::tests::pki::Pki;
use crate::tests::resources::{endpoint, reference, wire_outbound, wire_workload};
use crate::wire::config as wire;

type SpoilPolicy = fn(&mut wire::RequestPolicy);
type Spoil = Box<dyn FnOnce(&mut wire::Workload)>;

fn authorization(clients: Option<wire::authorization::Clients>) -> wire::Authorization {
    let network = wire::Network { cidr: "10.0.0.0/8".to_owned(), except: vec!["10.1.0.0/16".to_owned()] };
    wire::Authorization { authorization: reference("a"), networks: vec![network], clients }
}

fn port(number: u32) -> wire::InboundPort {
    let anybody = wire::authorization::Clients::Unauthenticated(wire::Unauthenticated {});
    wire::InboundPort {
        port: number,
        protocol: wire::Protocol::Http1.into(),
        server: reference("s"),
        authorizations: vec![authorization(Some(anybody))],
        ..wire::InboundPort::default()
    }
}

/// The error of a workload that one change spoiled.
fn workload_error(spoil: impl FnOnce(&mut wire::Workload)) -> String {
    let mut workload = wire_workload();
    workload.ports = vec![port(8080), port(9090)];
    assert!(Workload::try_from(workload.clone()).is_ok());
    spoil(&mut workload);
    Workload::try_from(workload).map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_trust_domain_that_two_meshes_claim_is_refused() {
    let domain = |mesh: &str, name: &str| wire::TrustDomain {
        mesh: mesh.to_owned(),
        trust_domain: name.to_owned(),
        anchors: vec![Pki::new().root_der()],
    };
    let read = |second: &str| {
        let domains = vec![domain("a", "a.test"), domain("b", second)];
        let trust = wire::Trust { domains, ..wire::Trust::default() };
        Trusted::try_from(trust).map(|trusted| trusted.domains.len()).map_err(|error| error.to_string())
    };
    assert_eq!(read("b.test"), Ok(2));
    assert_eq!(read("a.test"), Err(r#"domains: "a.test" is not given once"#.to_owned()));
}

#[test]
fn a_bad_workload_names_the_field() {
    let suffixes = |suffix: &str| {
        let suffixes = vec![suffix.to_owned()];
        Some(wire::authorization::Clients::MeshTls(wire::MeshTls { suffixes, ..wire::MeshTls::default() }))
    };
    let cases: Vec<(Spoil, &str)> = vec![
        (Box::new(|w| w.pod_uid.clear()), r#"pod_uid: "" is not a pod UID of 1 to 64 bytes"#),
        (
            Box::new(|w| w.identity = "web.demo".to_owned()),
            r#"identity: "web.demo" is not spiffe://<trust domain>/<path>"#,
        ),
        (Box::new(|w| w.default_port = None), "default_port: not set, or a kind that this proxy does not know"),
        (Box::new(|w| w.unknown_destination = 9), "unknown_destination: 9 is not a rule that this proxy knows"),
        (Box::new(|w| w.access_log = 9), "access_log: 9 is not a format that this proxy knows"),
        (Box::new(|w| w.inbound_ports = vec![80, 65_536]), "inbound_ports[1]: 65536 is not a port from 1 to 65535"),
        (Box::new(|w| w.pod_ips = vec!["10.0.0".to_owned()]), r#"pod_ips[0]: "10.0.0" is not an IP address"#),
        (Box::new(|w| w.ports[1].port = 0), "ports[1].port: 0 is not a port from 1 to 65535"),
        (Box::new(|w| w.ports[1].port = 8080), "ports: 8080 is not given once"),
        (Box::new(|w| w.ports[0].protocol = 42), "ports[0].protocol: 42 is not a protocol that this proxy knows"),
        (Box::new(|w| w.ports[0].protocol = 0), "ports[0].protocol: 0 is not a protocol that this proxy knows"),
        (Box::new(|w| w.ports[0].server = None), "ports[0].server: not set, or a kind that this proxy does not know"),
        (
            Box::new(|w| w.ports[0].authorizations[0].clients = None),
            "ports[0].authorizations[0].clients: not set, or a kind that this proxy does not know",
        ),
        (
            Box::new(|w| w.ports[0].authorizations[0].networks[0].cidr = "10.0.0.0/99".to_owned()),
            r#"ports[0].authorizations[0].networks[0].cidr: "10.0.0.0/99" is not a CIDR"#,
        ),
        (
            Box::new(|w| w.ports[0].authorizations[0].networks[0].except.push("x".to_owned())),
            r#"ports[0].authorizations[0].networks[0].except[1]: "x" is not a CIDR"#,
        ),
        (
            Box::new(move |w| w.ports[0].authorizations[0].clients = suffixes("example")),
            r#"ports[0].authorizations[0].mesh_tls.suffixes[0]: "example" is not a suffix after a dot"#,
        ),
    ];
    for (spoil, wanted) in cases {
        assert_eq!(workload_error(spoil), wanted);
    }
}

#[test]
fn a_workload_keeps_what_was_said() {
    let mut wire = wire_workload();
    wire.ports = vec![port(9090), port(8080)];
    wire.inbound_ports = vec![3000, 81, 81];
    let workload = Workload::try_from(wire).unwrap();
    assert_eq!(workload.ports.iter().map(|rule| rule.port).collect::<Vec<_>>(), [8080, 9090]);
    assert_eq!(workload.inbound_ports, [81, 3000]);
    assert_eq!((workload.detect_timeout_ms, workload.access_log), (10_000, AccessLog::Off));
    assert!(workload.admits_port(8080) && workload.admits_port(81) && !workload.admits_port(4143));
    assert_eq!(workload.port(1).server.name, "all-unauthenticated");
}

#[test]
fn clients_are_what_they_were_said_to_be() {
    use wire::authorization::Clients as Wire;
    let mesh = |mesh: wire::MeshTls| Some(Wire::MeshTls(mesh));
    let identities = vec!["spiffe://td/ns/a/sa/b".to_owned()];
    let cases = [
        (Some(Wire::Unauthenticated(wire::Unauthenticated {})), Clients::Unauthenticated),
        (Some(Wire::UnauthenticatedTls(wire::UnauthenticatedTls {})), Clients::UnauthenticatedTls),
        (mesh(wire::MeshTls { any: true, ..wire::MeshTls::default() }), Clients::AnyIdentity),
        // Nobody is nobody, not anybody.
        (mesh(wire::MeshTls::default()), Clients::Identities { exact: Vec::new(), suffixes: Vec::new() }),
        (
            mesh(wire::MeshTls { identities: identities.clone(), ..wire::MeshTls::default() }),
            Clients::Identities { exact: identities, suffixes: Vec::new() },
        ),
    ];
    for (wire, wanted) in cases {
        assert_eq!(Authorization::try_from(authorization(wire)).unwrap().clients, wanted);
    }
}

/// The error of an outbound whose only route was spoiled.
fn outbound_error(spoil: impl FnOnce(&mut wire::OutboundRoute)) -> String {
    let mut outbound = wire_outbound(&["v1"]);
    let Some(wire::outbound::Kind::Routed(routed)) = &mut outbound.kind else { panic!("not routed") };
    let mut route = wire::OutboundRoute {
        route: reference("r"),
        backends: routed.default_backends.clone(),
        ..wire::OutboundRoute::default()
    };
    spoil(&mut route);
    routed.routes.push(route);
    Outbound::try_from(outbound).map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_bad_outbound_names_the_field() {
    use wire::backend::Target;
    use wire::path_match::Kind;
    let path = |kind: Option<Kind>| {
        move |route: &mut wire::OutboundRoute| {
            let path = Some(wire::PathMatch { kind });
            route.matches = vec![wire::HttpMatch { path, ..wire::HttpMatch::default() }];
        }
    };
    assert_eq!(outbound_error(|_| {}), "accepted");
    assert_eq!(outbound_error(path(Some(Kind::Regex("/a|/b".to_owned())))), "accepted");
    assert_eq!(
        outbound_error(path(None)),
        "routed.routes[0].matches[0].path.kind: not set, or a kind that this proxy does not know"
    );
    assert!(
        outbound_error(path(Some(Kind::Regex("a)|(b".to_owned()))))
            .starts_with(r#"routed.routes[0].matches[0].path.regex: "a)|(b" is not an expression: "#)
    );
    assert_eq!(
        outbound_error(path(Some(Kind::Prefix("a".to_owned())))),
        r#"routed.routes[0].matches[0].path.prefix: "a" is not a path that starts with /"#
    );
    assert_eq!(
        outbound_error(|route| route.backends[0].weight = 0),
        "routed.routes[0].backends[0].weight: 0 is not above 0"
    );
    assert_eq!(
        outbound_error(|route| route.backends[0].target = None),
        "routed.routes[0].backends[0].target: not set, or a kind that this proxy does not know"
    );
    assert_eq!(
        outbound_error(|route| route.backends[0].target = Some(Target::ErrorStatus(200))),
        "routed.routes[0].backends[0].error_status: 200 is not a status from 400 to 599"
    );
    assert_eq!(
        outbound_error(|route| route.backends[0].target = Some(Target::Endpoints("workload".to_owned()))),
        r#"routed.routes[0].backends[0].endpoints: "workload" is not an endpoints resource"#
    );
    let header = wire::HeaderMatch { name: "X-User".to_owned(), kind: None };
    assert_eq!(
        outbound_error(|route| route.matches = vec![wire::HttpMatch { headers: vec![header], ..Default::default() }]),
        r#"routed.routes[0].matches[0].headers[0].name: "X-User" is not a lower-case header name"#
    );
}

#[test]
fn expressions_are_anchored_as_their_field_says() {
    let compiled = |kind| match PathMatch::try_from(wire::PathMatch { kind: Some(kind) }) {
        Ok(PathMatch::Regex(regex)) => regex,
        other => panic!("not an expression: {other:?}"),
    };
    let whole = compiled(wire::path_match::Kind::Regex("/a|/b".to_owned()));
    let start = compiled(wire::path_match::Kind::RegexPrefix("/a|/b".to_owned()));
    let paths = ["/a", "/a/x", "/x/b"];
    assert_eq!(paths.map(|path| whole.is_match(path)), [true, false, false]);
    assert_eq!(paths.map(|path| start.is_match(path)), [true, true, false]);
}

#[test]
fn only_plain_endpoints_may_do_without_an_identity() {
    let convert = |spoil: fn(&mut wire::Endpoint)| {
        let mut one = endpoint("fd00::1");
        spoil(&mut one);
        match EndpointsChange::try_from(wire::Endpoints { endpoints: vec![one], balancing: None }) {
            Ok(EndpointsChange::Full { endpoints, .. }) => Ok(endpoints[0].clone()),
            Ok(EndpointsChange::Delta { .. }) => panic!("not a delta"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(convert(|_| {}).unwrap().address.to_string(), "[fd00::1]:8080");
    assert_eq!(
        convert(|one| one.identity.clear()),
        Err(r#"endpoints[0].identity: "" is not spiffe://<trust domain>/<path>"#.to_owned())
    );
    let plain = convert(|one| {
        one.identity.clear();
        one.transport = wire::Transport::Plain.into();
    });
    assert_eq!(plain.unwrap().transport, Transport::Plain);
    assert_eq!(
        convert(|one| one.transport = 0),
        Err("endpoints[0].transport: 0 is not a transport that this proxy knows".to_owned())
    );
    assert_eq!(
        convert(|one| one.address = "pod.demo".to_owned()),
        Err(r#"endpoints[0].address: "pod.demo" is not an IP address"#.to_owned())
    );
}

/// Every byte string is refused or converted; nothing panics. Deterministic: a failure can be repeated.
#[test]
fn conversion_is_total() {
    let mut workload = wire_workload();
    workload.ports = vec![port(8080)];
    let seeds = [workload.encode_to_vec(), wire_outbound(&["v1", "v2"]).encode_to_vec()];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let (mut converted, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = seeds[round % 2].clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        let outcomes = [
            wire::Workload::decode(bytes.as_slice()).ok().map(|wire| Workload::try_from(wire).is_ok()),
            wire::Outbound::decode(bytes.as_slice()).ok().map(|wire| {
                Outbound::try_from(wire).is_ok_and(|outbound| matches!(outbound.kind, OutboundKind::Routed(_)))
            }),
        ];
        converted += outcomes.iter().filter(|outcome| **outcome == Some(true)).count();
        refused += outcomes.iter().filter(|outcome| **outcome == Some(false)).count();
    }
    assert!(converted > 100 && refused > 100, "converted {converted}, refused {refused}");
}

fn policy(spoil: impl FnOnce(&mut wire::RequestPolicy)) -> Result<RequestPolicy, String> {
    let mut policy = wire::RequestPolicy {
        policy: reference("p"),
        retry: Some(wire::Retry {
            limit: 2,
            statuses: vec![wire::StatusRange { first: 500, last: 504 }],
            ..wire::Retry::default()
        }),
        breaker: Some(wire::Breaker { consecutive_failures: 3, ..wire::Breaker::default() }),
        faults: vec![wire::Fault { until_unix_ms: 1, abort_status: 503, abort_grpc: 14, ..wire::Fault::default() }],
        ..wire::RequestPolicy::default()
    };
    spoil(&mut policy);
    RequestPolicy::try_from(policy).map_err(|error| error.to_string())
}

#[test]
fn a_policy_gets_the_defaults_that_the_contract_states() {
    let policy = policy(|_| {}).unwrap();
    let retry = policy.retry.unwrap();
    assert_eq!((retry.limit, retry.budget), (2, RetryBudget::default()));
    assert!(retry.statuses[0].contains(&504) && !retry.statuses[0].contains(&505));
    let breaker = policy.breaker.unwrap();
    assert_eq!((breaker.pause.as_millis(), breaker.pause_max.as_millis()), (1_000, 60_000));
    assert_eq!((policy.max_requests, policy.timeouts), (None, Timeouts::default()));
}

#[test]
fn a_policy_that_means_nothing_is_refused_by_field() {
    let table: [(&str, SpoilPolicy); 7] = [
        ("policy: not set", |policy| policy.policy = None),
        ("retry.limit: 0 is not above 0", |policy| policy.retry.as_mut().unwrap().limit = 0),
        ("retry.statuses[0].first: 505 is not at most 504", |policy| {
            policy.retry.as_mut().unwrap().statuses[0].first = 505;
        }),
        ("retry.max_body_bytes", |policy| policy.retry.as_mut().unwrap().max_body_bytes = (1 << 20) + 1),
        ("breaker.success_rate.threshold_permille", |policy| {
            policy.breaker.as_mut().unwrap().success_rate = Some(wire::SuccessRate::default());
        }),
        ("faults[0].until_unix_ms", |policy| policy.faults[0].until_unix_ms = 0),
        ("faults[0].abort_status: 200 is not", |policy| policy.faults[0].abort_status = 200),
    ];
    for (wanted, spoil) in table {
        let error = policy(spoil).unwrap_err();
        assert!(error.starts_with(wanted), "{error} does not start with {wanted}");
    }
}

#[test]
fn balancing_names_what_it_hashes_by_or_is_refused() {
    let ring = wire::Balancing { algorithm: wire::Algorithm::RingHash.into(), ..wire::Balancing::default() };
    assert!(Balancing::try_from(ring.clone()).unwrap_err().to_string().starts_with("hash_key: not set"));
    let key = |kind| wire::Balancing { hash_key: Some(wire::HashKey { kind: Some(kind) }), ..ring.clone() };
    let by_cookie = Balancing::try_from(key(wire::hash_key::Kind::Cookie("session".to_owned()))).unwrap();
    assert_eq!(by_cookie.hash_key, Some(HashKey::Cookie("session".to_owned())));
    let upper = Balancing::try_from(key(wire::hash_key::Kind::Header("X-User".to_owned())));
    assert!(upper.unwrap_err().to_string().starts_with("hash_key.header"));
    let unknown = wire::Balancing { algorithm: 99, ..wire::Balancing::default() };
    assert!(Balancing::try_from(unknown).unwrap_err().to_string().starts_with("algorithm: 99"));
    assert_eq!(Balancing::try_from(wire::Balancing::default()).unwrap(), Balancing::default());
}

#[test]
fn a_pod_uid_that_no_preamble_can_name_is_refused() {
    assert_eq!(workload_error(|w| w.pod_uid = "u".repeat(64)), "accepted");
    assert!(workload_error(|w| w.pod_uid = "u".repeat(65)).ends_with("is not a pod UID of 1 to 64 bytes"));
}

#[test]
fn more_expressions_than_the_bound_are_refused_wherever_they_stand() {
    let pattern = |index: usize| wire::path_match::Kind::Regex(format!("/{index}"));
    let matching = |index| wire::HttpMatch {
        path: Some(wire::PathMatch { kind: Some(pattern(index)) }),
        ..wire::HttpMatch::default()
    };
    let route = |count: usize| wire::OutboundRoute {
        route: reference("r"),
        matches: (0..count).map(matching).collect(),
        ..wire::OutboundRoute::default()
    };
    let outbound = |count: usize| {
        let routed = wire::Routed { routes: vec![route(count / 2), route(count - count / 2)], ..Default::default() };
        wire::Outbound { kind: Some(wire::outbound::Kind::Routed(routed)), ..wire_outbound(&[]) }
    };
    assert!(Outbound::try_from(outbound(256)).is_ok());
    let error = Outbound::try_from(outbound(257)).unwrap_err().to_string();
    assert_eq!(error, "routed.routes: 257 is not at most 256 expressions in one resource");
    let inbound = |count: usize| {
        workload_error(|w| {
            let matches = (0..count).map(matching).collect();
            w.ports[1].routes = vec![wire::InboundRoute { route: reference("r"), matches, ..Default::default() }];
        })
    };
    assert_eq!(inbound(256), "accepted");
    assert_eq!(inbound(257), "ports: 257 is not at most 256 expressions in one resource");
}
