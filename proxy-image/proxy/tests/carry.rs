//! What a policy does to requests over HTTP/1: tries, time, breakers, limits, faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use common::app::{App, Seen, request_is_whole};
use common::node::{ENDPOINTS, Node, Pair, SERVICE, backend, no_labels, routed, split, workload};
use common::{get, is_whole, read_until, run, status, talk};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weft_policy::model::{
    Abort, Breaker, Endpoint, Fault, Outbound, OutboundKind, Protocol, Ref, RequestPolicy, Retry, RetryBudget, Routed,
    Timeouts, Transport,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: app\r\n\r\n";

fn retry() -> Retry {
    Retry {
        limit: 2,
        statuses: vec![500..=599],
        grpc_codes: Vec::new(),
        on_connection_error: true,
        on_timeout: true,
        methods: Vec::new(),
        max_body: 64 * 1024,
        budget: RetryBudget { percent: 20, min_per_second: 100, ttl: Duration::from_secs(10) },
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        max_retry_after: Duration::from_secs(1),
    }
}

fn policy(with: impl FnOnce(&mut RequestPolicy)) -> RequestPolicy {
    let mut policy =
        RequestPolicy { policy: Ref { name: "web".to_owned(), ..Ref::default() }, ..RequestPolicy::default() };
    with(&mut policy);
    policy
}

fn under(policy: RequestPolicy) -> Outbound {
    let mut outbound = routed(Protocol::Detect, ENDPOINTS);
    if let OutboundKind::Routed(routed) = &mut outbound.kind {
        routed.policies = vec![Arc::new(policy)];
    }
    outbound
}

/// A client's proxy whose service is these applications, without a mesh between.
fn client(apps: &[SocketAddr], policy: RequestPolicy) -> Node {
    let ca = common::certs::Ca::new();
    let node = Node::start(&ca, "client", 1);
    let endpoint = |address: &SocketAddr| Endpoint {
        address: *address,
        pod_uid: address.to_string(),
        identity: String::new(),
        transport: Transport::Plain,
        zone: String::new(),
        labels: no_labels(),
    };
    node.setter.set_endpoints(ENDPOINTS, apps.iter().map(endpoint).collect());
    node.setter.set_outbound(SERVICE.parse().unwrap(), under(policy));
    node
}

/// Answers the requests with the heads of `answers` in turn, the last one for ever; bodies are empty.
async fn app(answers: &'static [&'static str]) -> (App, Seen) {
    let (seen, turn) = (Seen::default(), Rc::new(Cell::new(0)));
    let heard = seen.clone();
    let app = App::start(move |mut stream| {
        let (heard, turn) = (heard.clone(), Rc::clone(&turn));
        async move {
            loop {
                let request = read_until(&mut stream, request_is_whole).await;
                if request.is_empty() {
                    return;
                }
                heard.0.borrow_mut().push(String::from_utf8_lossy(&request).into_owned());
                let answer = answers[turn.replace(turn.get() + 1).min(answers.len() - 1)];
                if answer == "hang" {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                if answer == "cut" {
                    return;
                }
                let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (app, seen)
}

#[test]
fn a_failure_that_a_policy_names_is_tried_again_on_the_same_connection_and_told_without_one() {
    run(async {
        let answers = &["503 Busy", "500 Broken", "200 OK"];
        let (server, seen) = app(answers).await;
        let node = client(&[server.address], policy(|_| {}));
        assert_eq!(status(&get(node.outbound, GET).await), 503);
        assert_eq!(seen.count(), 1);

        let (server, seen) = app(answers).await;
        let node = client(&[server.address], policy(|policy| policy.retry = Some(retry())));
        assert_eq!(status(&get(node.outbound, GET).await), 200);
        assert_eq!((seen.count(), server.connections()), (3, 1));
        let metrics = node.proxy.metrics.render();
        assert!(metrics.contains("outbound_http_route_retry_requests_total{policy_group=\"\",policy_kind=\"\",policy_name=\"web\",rule=\"\"} 2\n"), "{metrics}");
    });
}

#[test]
fn a_post_is_sent_once_unless_its_method_is_named_and_then_with_its_whole_body() {
    run(async {
        let post = format!("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 40000\r\n\r\n{}", "x".repeat(40_000));
        let chunked = "POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
        for request in [post.as_str(), chunked] {
            let (server, seen) = app(&["503 Busy", "200 OK"]).await;
            let node = client(&[server.address], policy(|policy| policy.retry = Some(retry())));
            assert_eq!(status(&get(node.outbound, request).await), 503);
            assert_eq!(seen.count(), 1);
            let named = Retry { methods: vec!["POST".to_owned()], ..retry() };
            let node = client(&[server.address], policy(|policy| policy.retry = Some(named)));
            let (server, seen) = app(&["503 Busy", "200 OK"]).await;
            node.setter.set_endpoints(
                ENDPOINTS,
                vec![Endpoint {
                    address: server.address,
                    pod_uid: "again".to_owned(),
                    identity: String::new(),
                    transport: Transport::Plain,
                    zone: String::new(),
                    labels: no_labels(),
                }],
            );
            assert_eq!(status(&get(node.outbound, request).await), 200);
            let seen = seen.0.borrow();
            assert_eq!((seen.len(), &seen[0]), (2, &seen[1]));
        }
    });
}

#[test]
fn a_body_longer_than_what_is_kept_is_sent_once() {
    run(async {
        let (server, seen) = app(&["503 Busy", "200 OK"]).await;
        let named = Retry { methods: vec!["POST".to_owned()], max_body: 20_000, ..retry() };
        let node = client(&[server.address], policy(|policy| policy.retry = Some(named)));
        let post = format!("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 40000\r\n\r\n{}", "x".repeat(40_000));
        assert_eq!(status(&get(node.outbound, &post).await), 503);
        assert_eq!(seen.count(), 1);
    });
}

#[test]
fn a_broken_connection_is_tried_again_only_if_the_policy_says_so() {
    run(async {
        for (on_connection_error, wanted) in [(false, 502), (true, 200)] {
            let (server, _) = app(&["cut", "200 OK"]).await;
            let retry = Retry { on_connection_error, ..retry() };
            let node = client(&[server.address], policy(|policy| policy.retry = Some(retry)));
            assert_eq!(status(&get(node.outbound, GET).await), wanted);
        }
    });
}

#[test]
fn a_server_that_asks_for_patience_gets_it_within_bounds() {
    run(async {
        let (server, seen) = app(&["503 Busy\r\nRetry-After: 1", "200 OK"]).await;
        let node = client(&[server.address], policy(|policy| policy.retry = Some(retry())));
        let began = Instant::now();
        assert_eq!(status(&get(node.outbound, GET).await), 200);
        assert!(began.elapsed() >= Duration::from_millis(990), "{:?}", began.elapsed());
        assert_eq!(seen.count(), 2);

        let (server, seen) = app(&["503 Busy\r\nRetry-After: 2", "200 OK"]).await;
        let node = client(&[server.address], policy(|policy| policy.retry = Some(retry())));
        assert_eq!(status(&get(node.outbound, GET).await), 503, "longer than the policy waits");
        assert_eq!(seen.count(), 1);
    });
}

#[test]
fn each_limit_of_time_answers_504() {
    run(async {
        let ms = |ms| Some(Duration::from_millis(ms));
        let table = [
            (Timeouts { request: ms(80), ..Timeouts::default() }, 1),
            (Timeouts { per_try: ms(80), ..Timeouts::default() }, 1),
            (Timeouts { response: ms(80), ..Timeouts::default() }, 1),
            (Timeouts { idle: ms(80), ..Timeouts::default() }, 1),
        ];
        for (timeouts, tries) in table {
            let (server, seen) = app(&["hang"]).await;
            let node = client(&[server.address], policy(|policy| policy.timeouts = timeouts));
            let began = Instant::now();
            let answer = get(node.outbound, GET).await;
            assert_eq!(status(&answer), 504, "{timeouts:?}");
            assert!(answer.contains("weft-error: timeout"), "{answer}");
            assert!(began.elapsed() >= Duration::from_millis(75), "{timeouts:?}");
            assert_eq!(seen.count(), tries);
        }
    });
}

#[test]
fn a_slow_try_is_made_again_and_the_whole_is_bounded() {
    run(async {
        let (server, seen) = app(&["hang", "200 OK"]).await;
        let per_try = Some(Duration::from_millis(60));
        let node = client(
            &[server.address],
            policy(|policy| {
                policy.timeouts = Timeouts { per_try, ..Timeouts::default() };
                policy.retry = Some(retry());
            }),
        );
        assert_eq!(status(&get(node.outbound, GET).await), 200);
        assert_eq!(seen.count(), 2);

        let (server, seen) = app(&["hang"]).await;
        let node = client(
            &[server.address],
            policy(|policy| {
                policy.timeouts =
                    Timeouts { per_try, request: Some(Duration::from_millis(100)), ..Timeouts::default() };
                policy.retry = Some(Retry { limit: 50, ..retry() });
            }),
        );
        assert_eq!(status(&get(node.outbound, GET).await), 504);
        assert_eq!(seen.count(), 2, "60 + 40 ms");
    });
}

#[test]
fn a_breaker_opens_and_closes_again_after_its_probe() {
    run(async {
        let (server, seen) = app(&["500 A", "500 B", "500 C", "200 OK"]).await;
        let pause = Duration::from_millis(300);
        let breaker = Breaker { consecutive_failures: Some(3), success_rate: None, pause, pause_max: pause };
        let node = client(&[server.address], policy(|policy| policy.breaker = Some(breaker)));
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(status(&get(node.outbound, GET).await));
        }
        assert_eq!(statuses, [500, 500, 500, 503, 503]);
        assert_eq!(seen.count(), 3);
        tokio::time::sleep(pause).await;
        assert_eq!(status(&get(node.outbound, GET).await), 200);
        assert_eq!(status(&get(node.outbound, GET).await), 200);
    });
}

fn fault(with: impl FnOnce(&mut Fault)) -> RequestPolicy {
    let mut fault = Fault {
        name: "test".to_owned(),
        matches: Vec::new(),
        identities: Vec::new(),
        share_ppm: 1_000_000,
        delay: Duration::ZERO,
        abort: None,
        until: SystemTime::now() + Duration::from_secs(60),
        success_floor_permille: None,
    };
    with(&mut fault);
    policy(|policy| policy.faults = vec![fault])
}

#[test]
fn faults_delay_and_abort_their_share_and_end() {
    run(async {
        let (server, seen) = app(&["200 OK"]).await;
        let node = client(&[server.address], fault(|fault| fault.delay = Duration::from_millis(100)));
        let began = Instant::now();
        assert_eq!(status(&get(node.outbound, GET).await), 200);
        assert!(began.elapsed() >= Duration::from_millis(95));

        let abort = Some(Abort { status: 418, grpc: 14 });
        let node = client(&[server.address], fault(|fault| fault.abort = abort));
        let answer = get(node.outbound, GET).await;
        assert_eq!(status(&answer), 418);
        assert!(answer.contains("weft-error: fault-injected"), "{answer}");
        assert_eq!(seen.count(), 1, "what is aborted is not sent");

        let node = client(&[server.address], fault(|fault| (fault.abort, fault.share_ppm) = (abort, 300_000)));
        let mut hit = 0;
        let mut stream = TcpStream::connect(node.outbound).await.unwrap();
        for _ in 0..1_000 {
            let answer = talk(&mut stream, GET.as_bytes(), is_whole).await;
            hit += usize::from(status(&String::from_utf8_lossy(&answer)) == 418);
        }
        // Six standard deviations.
        assert!((213..=387).contains(&hit), "{hit} of 1000");

        let over = client(&[server.address], fault(|fault| (fault.abort, fault.until) = (abort, SystemTime::now())));
        assert_eq!(status(&get(over.outbound, GET).await), 200);
    });
}

#[test]
fn a_fault_is_for_the_callers_that_it_names() {
    run(async {
        let (server, _) = app(&["200 OK"]).await;
        let abort = Some(Abort { status: 503, grpc: 14 });
        for (caller, wanted) in [("client", 503), ("other", 200)] {
            let identities = vec![common::certs::spiffe(caller)];
            let node = client(&[server.address], fault(|fault| (fault.abort, fault.identities) = (abort, identities)));
            node.setter.set_workload(workload("client", Vec::new()));
            assert_eq!(status(&get(node.outbound, GET).await), wanted, "{caller}");
        }
    });
}

#[test]
fn a_fault_stops_by_itself_when_too_little_succeeds() {
    run(async {
        let (server, _) = app(&["500 Broken"]).await;
        let node = client(
            &[server.address],
            fault(|fault| {
                fault.abort = Some(Abort { status: 418, grpc: 14 });
                fault.share_ppm = 500_000;
                fault.success_floor_permille = Some(900);
            }),
        );
        let mut stream = TcpStream::connect(node.outbound).await.unwrap();
        let mut statuses = Vec::new();
        for _ in 0..200 {
            let answer = talk(&mut stream, GET.as_bytes(), is_whole).await;
            statuses.push(status(&String::from_utf8_lossy(&answer)));
        }
        assert!(statuses[..40].contains(&418), "it began: {statuses:?}");
        assert!(!statuses[100..].contains(&418), "and stopped: {statuses:?}");
    });
}

#[test]
fn an_application_has_no_more_than_its_limit_under_way() {
    run(async {
        let (server, seen) = app(&["hang"]).await;
        let pair = Pair::start(server.address);
        let rule = weft_policy::model::InboundPort {
            max_requests: Some(2),
            ..common::node::rule(server.address.port(), Protocol::Http1, common::node::anybody())
        };
        pair.server.setter.set_workload(workload("server", vec![rule]));
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
            stream.write_all(GET.as_bytes()).await.unwrap();
            held.push(stream);
        }
        common::eventually("both are under way", || seen.count() == 2).await;
        let answer = get(pair.client.outbound, GET).await;
        assert_eq!(status(&answer), 503);
        assert!(answer.contains("weft-error: overload"), "{answer}");
        for stream in held {
            // A close would look like a client that still reads.
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        common::eventually("they are given up", || pair.server.proxy.metrics.render().contains("cancelled")).await;
        let mut stream = TcpStream::connect(pair.client.outbound).await.unwrap();
        stream.write_all(GET.as_bytes()).await.unwrap();
        common::eventually("another is let in", || seen.count() == 3).await;
    });
}

#[test]
fn nothing_of_a_policy_touches_a_split_that_it_does_not_match() {
    run(async {
        let (server, _) = app(&["503 Busy"]).await;
        let node = client(&[server.address], policy(|_| {}));
        let mut outbound = split(Protocol::Detect, vec![backend(ENDPOINTS, 1)]);
        if let OutboundKind::Routed(Routed { policies, .. }) = &mut outbound.kind {
            let only = weft_policy::model::HttpMatch { methods: vec!["PUT".to_owned()], ..Default::default() };
            *policies = vec![Arc::new(policy(|policy| {
                policy.matches = vec![only];
                policy.retry = Some(retry());
            }))];
        }
        node.setter.set_outbound(SERVICE.parse().unwrap(), outbound);
        assert_eq!(status(&get(node.outbound, GET).await), 503);
    });
}
