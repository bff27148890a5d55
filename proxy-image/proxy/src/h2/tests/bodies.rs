use super::*;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_large_body_passes_both_ways_and_a_reader_that_stops_stops_the_writer() {
    local(async {
        let go = Rc::new(Notify::new());
        let waiting = Rc::clone(&go);
        let backend = Backend::start(100, move |_, (mut body, mut respond)| {
            let waiting = Rc::clone(&waiting);
            async move {
                waiting.notified().await;
                let mut out = respond.send_response(Response::new(()), false).unwrap();
                while let Some(Ok(chunk)) = body.data().await {
                    let length = chunk.len();
                    send(&mut out, chunk).await.unwrap();
                    body.flow_control().release_capacity(length).unwrap();
                }
                out.send_data(Bytes::new(), true).unwrap();
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
        let sent = Rc::new(Cell::new(0));
        let progress = Rc::clone(&sent);
        let total = 32 * MIB;
        let writing = spawn_local(async move {
            let chunk = Bytes::from(vec![7; 32 * 1024]);
            while progress.get() < total {
                send(&mut body, chunk.clone()).await.unwrap();
                progress.set(progress.get() + chunk.len());
            }
            body.send_data(Bytes::new(), true).unwrap();
        });
        // The writer comes to rest: nothing moves for a while.
        let mut before = usize::MAX;
        let deadline = Instant::now() + PATIENCE;
        while before != sent.get() || before == 0 {
            assert!(Instant::now() < deadline, "the writer never rests");
            before = sent.get();
            sleep(Duration::from_millis(200)).await;
        }
        // Two windows, two send buffers (the client's own is 400 kB), the pipe, and a frame in hand.
        assert!(sent.get() <= MIB, "{} bytes are held between writer and a reader that does not read", sent.get());
        go.notify_one();
        let (received, _) = drain(&mut response.await.unwrap().into_body()).await;
        assert_eq!(received, total);
        writing.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_stalled_stream_does_not_hold_up_another_on_the_same_connections() {
    local(async {
        let stalled = Rc::new(Cell::new(0));
        let seen = Rc::clone(&stalled);
        let backend = Backend::start(100, move |number, (mut body, mut respond)| {
            let seen = Rc::clone(&seen);
            async move {
                if number < 4 {
                    seen.set(seen.get() + 1);
                    // Holds the stream without reading from it.
                    std::future::pending::<()>().await;
                }
                let (length, _) = drain(&mut body).await;
                let head = Response::builder().header("x-length", length).body(()).unwrap();
                respond.send_response(head, true).unwrap();
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
            held.push(response);
            spawn_local(async move {
                let chunk = Bytes::from(vec![0; 64 * 1024]);
                while send(&mut body, chunk.clone()).await.is_ok() {}
            });
        }
        until("the stalled streams are open", || stalled.get() == 4).await;
        sleep(Duration::from_millis(100)).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
        for _ in 0..64 {
            send(&mut body, Bytes::from(vec![1; 64 * 1024])).await.unwrap();
        }
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(response.await.unwrap().headers()["x-length"], (4 * MIB).to_string());
        assert_eq!(backend.connections.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_cancels_resets_the_upstreams_stream_and_is_counted() {
    local(async {
        let cancelled = Rc::new(Cell::new(0));
        let count = Rc::clone(&cancelled);
        let backend = Backend::start(100, move |number, (body, mut respond)| {
            let count = Rc::clone(&count);
            async move {
                let _body = body;
                // The first is cancelled before its response, the second in the middle of it.
                let reset = if number == 0 {
                    poll_fn(|context| respond.poll_reset(context)).await
                } else {
                    let mut out = respond.send_response(Response::new(()), false).unwrap();
                    out.send_data(Bytes::from_static(b"some"), false).unwrap();
                    poll_fn(|context| out.poll_reset(context)).await
                };
                assert_eq!(reset.unwrap(), ::h2::Reason::CANCEL);
                count.set(count.get() + 1);
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
        until("the request is there", || backend.served() == 1).await;
        body.send_reset(::h2::Reason::CANCEL);
        drop(response);
        until("the upstream sees the reset", || cancelled.get() == 1).await;
        let response = ask(&client, get("/")).await.unwrap();
        drop(response);
        until("the upstream sees the second reset", || cancelled.get() == 2).await;
        until("both are counted", || world.metric("response_total{|error=\"cancelled\"|} 1")).await;
        assert_eq!(backend.connections.get(), 1, "the connection lives on");
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_resets_the_response_or_tells_grpc_in_trailers() {
    local(async {
        let backend = Backend::start(100, |_, (_body, mut respond)| async move {
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            out.send_data(Bytes::from_static(b"half"), false).unwrap();
            sleep(Duration::from_millis(50)).await;
            out.send_reset(::h2::Reason::INTERNAL_ERROR);
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut body = ask(&client, get("/")).await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "half");
        assert_eq!(body.data().await.unwrap().unwrap_err().reason(), Some(::h2::Reason::INTERNAL_ERROR));
        let (length, trailers) = drain(ask(&client, grpc()).await.unwrap().body_mut()).await;
        let trailers = trailers.unwrap();
        assert_eq!(
            (length, &trailers["grpc-status"], &trailers["weft-error"]),
            (4, &"14".parse().unwrap(), &"upstream".parse().unwrap())
        );
        assert!(world.metric("outbound_http_errors_total{|error=\"upstream\"|} 2"));
    })
    .await;
}

#[tokio::test]
async fn a_response_may_end_before_its_request() {
    local(async {
        let backend = Backend::start(100, |_, (_body, mut respond)| async move {
            let head = Response::builder().status(413).body(()).unwrap();
            respond.send_response(head, true).unwrap();
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
        let writing = spawn_local(async move { while send(&mut body, Bytes::from(vec![0; 16_384])).await.is_ok() {} });
        assert_eq!(response.await.unwrap().status(), 413);
        timeout(PATIENCE, writing).await.expect("the writer is told to stop").unwrap();
    })
    .await;
}

#[tokio::test]
async fn request_trailers_pass() {
    local(async {
        let backend = Backend::echo().await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
        body.send_data(Bytes::from_static(b"x"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "1".parse().unwrap());
        body.send_trailers(trailers).unwrap();
        let (length, trailers) = drain(response.await.unwrap().body_mut()).await;
        assert_eq!((length, &trailers.unwrap()["x-checksum"]), (1, &"1".parse().unwrap()));
    })
    .await;
}
