use super::*;

use weft_policy::model::{Breaker, Retry, RetryBudget, Timeouts};

fn policy(with: impl FnOnce(&mut RequestPolicy)) -> Vec<Arc<RequestPolicy>> {
    let mut policy = RequestPolicy { policy: reference("trafficpolicy", "web"), ..RequestPolicy::default() };
    with(&mut policy);
    vec![Arc::new(policy)]
}

fn retry() -> Retry {
    Retry {
        limit: 2,
        statuses: vec![500..=599],
        grpc_codes: vec![14],
        on_connection_error: true,
        on_timeout: true,
        methods: vec!["GET".into(), "POST".into()],
        max_body: 64 * 1024,
        budget: RetryBudget { percent: 20, min_per_second: 100, ttl: Duration::from_secs(10) },
        backoff: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        max_retry_after: Duration::from_secs(1),
    }
}

/// Fails with `status` unless the number of the request is a multiple of three; every answer says how long the body was.
async fn flaky(status: u16) -> Backend {
    Backend::start(100, move |number, (mut body, mut respond)| async move {
        let (length, _) = drain(&mut body).await;
        let status = if number % 3 == 2 { 200 } else { status };
        let head = Response::builder().status(status).header("x-length", length).body(()).unwrap();
        let _ = respond.send_response(head, true);
    })
    .await
}

#[tokio::test]
async fn what_a_policy_retries_is_sent_again_with_its_body() {
    local(async {
        let backend = flaky(503).await;
        let world = World::new();
        let (plain, _) = connect(world.route_to(&[backend.address]).await).await;
        assert_eq!(ask(&plain, get("/")).await.unwrap().status(), 503, "without a policy it is told");
        ask(&plain, get("/")).await.unwrap();
        ask(&plain, get("/")).await.unwrap();

        world.policies.replace(policy(|policy| policy.retry = Some(retry())));
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut sender = client.clone().ready().await.unwrap();
        let post = Request::post("http://web.demo/").body(()).unwrap();
        let (response, mut upload) = sender.send_request(post, false).unwrap();
        upload.send_data(Bytes::from(vec![7; 5_000]), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["x-length"]), (200, &"5000".parse().unwrap()));
        assert_eq!(backend.served(), 6);
        assert!(world.metric("outbound_http_route_retry_requests_total{|} 2"));
        assert!(world.metric("outbound_http_route_retry_successes_total{|} 1"));
        assert!(world.metric("response_total{|status_code=\"200\"|} 2"), "one request, one response");
    })
    .await;
}

#[tokio::test]
async fn a_grpc_failure_is_retried_from_its_head_and_from_its_trailers() {
    for in_head in [true, false] {
        local(async {
            let backend = Backend::start(100, move |number, (mut body, mut respond)| async move {
                drain(&mut body).await;
                let code = if number == 2 { "0" } else { "14" };
                let head = Response::builder().header("content-type", "application/grpc");
                if in_head {
                    respond.send_response(head.header("grpc-status", code).body(()).unwrap(), true).unwrap();
                    return;
                }
                let mut out = respond.send_response(head.body(()).unwrap(), false).unwrap();
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", code.parse().unwrap());
                out.send_trailers(trailers).unwrap();
            })
            .await;
            let world = World::new();
            world.policies.replace(policy(|policy| policy.retry = Some(retry())));
            let (client, _) = connect(world.route_to(&[backend.address]).await).await;
            let response = ask(&client, grpc()).await.unwrap();
            let in_its_head = response.headers().get("grpc-status").cloned();
            let (_, trailers) = drain(&mut response.into_body()).await;
            let told = in_its_head.or_else(|| trailers.and_then(|trailers| trailers.get("grpc-status").cloned()));
            assert_eq!(told.unwrap(), "0", "in its head: {in_head}");
            assert_eq!(backend.served(), 3);
        })
        .await;
    }
}

#[tokio::test]
async fn a_budget_bounds_what_a_failing_server_gets() {
    local(async {
        let backend = Backend::start(100, |_, (mut body, mut respond)| async move {
            drain(&mut body).await;
            let _ = respond.send_response(Response::builder().status(500).body(()).unwrap(), true);
        })
        .await;
        let world = World::new();
        let budget = RetryBudget { percent: 20, min_per_second: 0, ttl: Duration::from_secs(60) };
        world.policies.replace(policy(|policy| policy.retry = Some(Retry { budget, ..retry() })));
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        for _ in 0..100 {
            assert_eq!(ask(&client, get("/")).await.unwrap().status(), 500);
        }
        assert_eq!(backend.served(), 120);
    })
    .await;
}

#[tokio::test]
async fn each_limit_of_time_ends_a_request_with_504_and_grpc_with_its_code() {
    let ms = |ms| Some(Duration::from_millis(ms));
    let table = [
        Timeouts { request: ms(50), ..Timeouts::default() },
        Timeouts { per_try: ms(50), ..Timeouts::default() },
        Timeouts { response: ms(50), ..Timeouts::default() },
        Timeouts { idle: ms(50), ..Timeouts::default() },
    ];
    for timeouts in table {
        local(async {
            let backend = Backend::start(100, |_, exchange| async move {
                sleep(Duration::from_secs(30)).await;
                drop(exchange);
            })
            .await;
            let world = World::new();
            world.policies.replace(policy(|policy| policy.timeouts = timeouts));
            let (client, _) = connect(world.route_to(&[backend.address]).await).await;
            let response = ask(&client, get("/")).await.unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["weft-error"]),
                (504, &"timeout".parse().unwrap())
            );
            let response = ask(&client, grpc()).await.unwrap();
            assert_eq!(&response.headers()["grpc-status"], "4", "{timeouts:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_clients_own_deadline_holds_without_any_policy_and_late_trailers_tell_it() {
    local(async {
        let backend = Backend::start(100, |number, (_body, mut respond)| async move {
            let mut out = None;
            if number > 0 {
                out = Some(respond.send_response(Response::new(()), false).unwrap());
            }
            sleep(Duration::from_secs(30)).await;
            drop(out);
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let call = || {
            let mut call = grpc();
            call.headers_mut().insert("grpc-timeout", "60m".parse().unwrap());
            call
        };
        assert_eq!(&ask(&client, call()).await.unwrap().headers()["grpc-status"], "4");
        let response = ask(&client, call()).await.unwrap();
        assert!(response.headers().get("grpc-status").is_none(), "its head was on its way in time");
        let (_, trailers) = drain(&mut response.into_body()).await;
        assert_eq!(trailers.unwrap()["grpc-status"], "4");
    })
    .await;
}

#[tokio::test]
async fn a_slow_try_is_made_again_elsewhere() {
    local(async {
        let stuck = Backend::start(100, |_, exchange| async move {
            sleep(Duration::from_secs(30)).await;
            drop(exchange);
        })
        .await;
        let backend = Backend::plain().await;
        let world = World::new();
        let timeouts = Timeouts { per_try: Some(Duration::from_millis(500)), ..Timeouts::default() };
        world.policies.replace(policy(|policy| {
            policy.timeouts = timeouts;
            policy.retry = Some(retry());
        }));
        let (client, _) = connect(world.route_to(&[stuck.address, backend.address]).await).await;
        let mut asked = 0;
        while stuck.served() == 0 {
            assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
            asked += 1;
        }
        assert!(backend.served() >= asked, "each was answered there");
    })
    .await;
}

#[tokio::test]
async fn a_breaker_of_the_route_answers_itself_and_ejects_no_endpoint() {
    local(async {
        let backend = Backend::start(100, |_, (mut body, mut respond)| async move {
            drain(&mut body).await;
            let _ = respond.send_response(Response::builder().status(500).body(()).unwrap(), true);
        })
        .await;
        let world = World::new();
        let second = Duration::from_secs(60);
        let breaker = Breaker { consecutive_failures: Some(7), success_rate: None, pause: second, pause_max: second };
        world.policies.replace(policy(|policy| policy.breaker = Some(breaker)));
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut statuses = Vec::new();
        for _ in 0..10 {
            statuses.push(ask(&client, get("/")).await.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [500, 500, 500, 500, 500, 500, 500, 503, 503, 503]);
        let refused = ask(&client, get("/")).await.unwrap();
        assert_eq!(&refused.headers()["weft-error"], "circuit-open");
        assert_eq!(&ask(&client, grpc()).await.unwrap().headers()["grpc-status"], "14");
        assert_eq!(backend.served(), 7);
        let balancer = world.proxy.balancers.get(&Arc::from(SERVICE));
        assert_eq!(balancer.counts(), (1, 0));
        assert!(world.metric("outbound_http_circuit_opened_total{|} 1"));
    })
    .await;
}

#[tokio::test]
async fn more_requests_than_a_policy_lets_under_way_are_shed_and_the_next_batch_is_served() {
    local(async {
        let backend = slow_backend(Duration::from_millis(100)).await;
        let world = World::new();
        world.policies.replace(policy(|policy| policy.max_requests = Some(4)));
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        for batch in 0..2 {
            let asking: Vec<_> = (0..10)
                .map(|_| {
                    let client = client.clone();
                    spawn_local(async move { ask(&client, get("/")).await.unwrap().status().as_u16() })
                })
                .collect();
            let mut statuses = Vec::new();
            for one in asking {
                statuses.push(one.await.unwrap());
            }
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 200, 200, 200, 503, 503, 503, 503, 503, 503], "batch {batch}");
        }
    })
    .await;
}

async fn slow_backend(time: Duration) -> Backend {
    Backend::start(100, move |_, (mut body, mut respond)| async move {
        drain(&mut body).await;
        sleep(time).await;
        let _ = respond.send_response(Response::new(()), true);
    })
    .await
}

#[tokio::test]
async fn a_pod_sheds_what_is_beyond_its_ports_limit() {
    local(async {
        let backend = slow_backend(Duration::from_millis(100)).await;
        let world = World::new();
        world.limit_requests(2);
        let tls = ClientTls::None;
        // Two connections: the limit is the pod's.
        let (first, _) = connect(world.inbound(backend.address, tls.clone())).await;
        let (second, _) = connect(world.inbound(backend.address, tls)).await;
        let asking: Vec<_> = [&first, &first, &second, &second]
            .into_iter()
            .map(|client| {
                let client = client.clone();
                spawn_local(async move { ask(&client, get("/")).await.unwrap().status().as_u16() })
            })
            .collect();
        let mut statuses = Vec::new();
        for one in asking {
            statuses.push(one.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 503, 503]);
        assert_eq!(ask(&first, get("/")).await.unwrap().status(), 200);
        assert!(world.metric("inbound_http_shed_total{|} 2"));
    })
    .await;
}

#[tokio::test]
async fn an_old_connection_is_left_gently() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        world.limit_age(Duration::from_millis(100));
        let (client, serving) = connect(world.inbound(backend.address, ClientTls::None)).await;
        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
        serving.await.unwrap();
        assert!(ask(&client, get("/")).await.is_err(), "the client would stay");
        world.limit_age(Duration::from_secs(600));
        let (client, serving) = connect(world.inbound(backend.address, ClientTls::None)).await;
        sleep(Duration::from_millis(150)).await;
        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
        assert!(!serving.is_finished());
    })
    .await;
}
