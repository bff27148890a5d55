use super::*;

#[tokio::test]
async fn a_grpc_call_passes_with_its_trailers_and_without_what_belongs_to_a_connection() {
    local(async {
        let backend = Backend::start(100, |_, (mut body, mut respond)| async move {
            let (length, _) = drain(&mut body).await;
            assert_eq!(length, 5);
            let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut out = respond.send_response(head, false).unwrap();
            out.send_data(Bytes::from_static(b"world"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            out.send_trailers(trailers).unwrap();
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut request = grpc();
        request.headers_mut().insert("weft-client-id", "spiffe://mesh/ns/x/sa/forged".parse().unwrap());
        request.headers_mut().insert("l5d-client-id", "forged".parse().unwrap());
        request.headers_mut().insert("host", "web.demo".parse().unwrap());
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let (length, trailers) = drain(&mut response.into_body()).await;
        assert_eq!((length, &trailers.unwrap()["grpc-status"]), (5, &"0".parse().unwrap()));

        let seen = backend.requests.borrow_mut().remove(0);
        assert_eq!(seen.uri, "http://web.demo/pkg.Service/Call");
        assert_eq!(seen.headers["te"], "trailers");
        for name in ["weft-client-id", "l5d-client-id", "host"] {
            assert!(!seen.headers.contains_key(name), "{name}");
        }
        until("the response is counted", || {
            world.metric("response_total{|direction=\"outbound\"|classification=\"success\"|grpc_status=\"0\"|} 1")
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_failure_in_grpcs_trailers_is_a_failure_in_the_metrics() {
    local(async {
        let backend = Backend::start(100, |_, (_body, mut respond)| async move {
            let head = Response::builder().header("grpc-status", "14").body(()).unwrap();
            respond.send_response(head, true).unwrap();
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        assert_eq!(ask(&client, grpc()).await.unwrap().headers()["grpc-status"], "14");
        assert!(world.metric("response_total{|classification=\"failure\"|status_code=\"200\"|grpc_status=\"14\"|} 1"));
    })
    .await;
}

#[tokio::test]
async fn the_verified_caller_is_named_to_the_application_and_a_forged_name_is_replaced() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        world.set_authorizations(anybody());
        let spiffe: Arc<str> = Arc::from("spiffe://mesh/ns/demo/sa/caller");
        let verified = ClientTls::Identity { spiffe, dns: None };
        for (tls, named) in [(verified, Some("spiffe://mesh/ns/demo/sa/caller")), (ClientTls::None, None)] {
            let (client, _) = connect(world.inbound(backend.address, tls)).await;
            let mut request = get("/");
            request.headers_mut().insert("weft-client-id", "forged".parse().unwrap());
            assert_eq!(ask(&client, request).await.unwrap().status(), 200);
            let seen = backend.requests.borrow();
            let values: Vec<_> = seen.last().unwrap().headers.get_all("weft-client-id").iter().collect();
            assert_eq!(values, named.iter().collect::<Vec<_>>());
        }
    })
    .await;
}

#[tokio::test]
async fn a_caller_without_authorization_gets_403_or_grpc_7_and_gets_in_once_there_is_one() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        let (client, _) = connect(world.inbound(backend.address, ClientTls::None)).await;
        let response = ask(&client, get("/")).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["weft-error"]), (403, &"denied".parse().unwrap()));
        let response = ask(&client, grpc()).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"7".parse().unwrap()));
        assert_eq!(backend.served(), 0);
        world.set_authorizations(anybody());
        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200, "on the same connection");
        assert_eq!(backend.served(), 1);
        assert!(world.metric("inbound_http_authz_deny_total{|srv_name=\"web\"|} 2"));
        assert!(world.metric("inbound_http_authz_allow_total{|authz_name=\"all\"|} 1"));
    })
    .await;
}

#[tokio::test]
async fn without_endpoints_the_answer_is_503_or_grpc_14() {
    local(async {
        let world = World::new();
        let (client, _) = connect(world.route_to(&[]).await).await;
        let response = ask(&client, get("/")).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["weft-error"], "no-endpoint");
        let response = ask(&client, grpc()).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert!(response.body().is_end_stream(), "trailers only");
    })
    .await;
}

#[tokio::test]
async fn a_host_that_contradicts_the_authority_is_refused_and_a_lone_host_becomes_it() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut request = get("/");
        request.headers_mut().insert("host", "another".parse().unwrap());
        let response = ask(&client, request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["weft-error"]),
            (400, &"bad-request".parse().unwrap())
        );
        assert_eq!(backend.served(), 0);
    })
    .await;
}

#[tokio::test]
async fn interim_responses_pass() {
    local(async {
        let backend = Backend::start(100, |_, (_body, mut respond)| async move {
            let hints = Response::builder().status(103).header("link", "</style.css>").body(()).unwrap();
            respond.send_informational(hints).unwrap();
            sleep(Duration::from_millis(20)).await;
            respond.send_response(Response::new(()), true).unwrap();
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let (mut response, _) = client.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        let interim = poll_fn(|context| response.poll_informational(context)).await.unwrap().unwrap();
        assert_eq!((interim.status().as_u16(), &interim.headers()["link"]), (103, &"</style.css>".parse().unwrap()));
        assert_eq!(response.await.unwrap().status(), 200);
    })
    .await;
}
