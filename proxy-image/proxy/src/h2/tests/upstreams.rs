use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::bounds::frame;
use super::*;

/// Answers after `time`.
async fn slow(streams: u32, time: Duration) -> Backend {
    Backend::start(streams, move |_, (mut body, mut respond)| async move {
        drain(&mut body).await;
        sleep(time).await;
        let _ = respond.send_response(Response::new(()), true);
    })
    .await
}

#[tokio::test]
async fn sixteen_streams_of_one_connection_spread_over_three_endpoints() {
    local(async {
        let time = Duration::from_millis(20);
        let backends = [slow(100, time).await, slow(100, time).await, slow(100, time).await];
        let world = World::new();
        let (client, _) = connect(world.route_to(&backends.each_ref().map(|backend| backend.address)).await).await;
        let (workers, each) = (16, 40);
        let tasks: Vec<_> = (0..workers)
            .map(|_| {
                let client = client.clone();
                spawn_local(async move {
                    for _ in 0..each {
                        assert_eq!(ask(&client, grpc()).await.unwrap().status(), 200);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let served: Vec<usize> = backends.iter().map(Backend::served).collect();
        assert_eq!(served.iter().sum::<usize>(), workers * each);
        for (count, backend) in served.iter().zip(&backends) {
            assert!(count * 100 >= workers * each * 15, "spread: {served:?}");
            assert_eq!(backend.connections.get(), 1, "all streams share one connection");
        }
    })
    .await;
}

#[tokio::test]
async fn another_connection_is_opened_when_one_is_full_and_never_more_streams_than_allowed() {
    local(async {
        let open = Rc::new(Cell::new(0_usize));
        let count = Rc::clone(&open);
        let go = Rc::new(Cell::new(false));
        let gate = Rc::clone(&go);
        let backend = Backend::start(2, move |_, (_body, mut respond)| {
            let (count, gate) = (Rc::clone(&count), Rc::clone(&gate));
            async move {
                count.set(count.get() + 1);
                until("released", || gate.get()).await;
                let _ = respond.send_response(Response::new(()), true);
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        // The first settles what the server allows.
        let mut asking: Vec<_> = Vec::new();
        for number in 1..=6 {
            let client = client.clone();
            asking.push(spawn_local(async move { ask(&client, get("/")).await.unwrap().status() }));
            until("the request is served", || open.get() == number).await;
        }
        assert_eq!(backend.connections.get(), 3);
        go.set(true);
        for one in asking {
            assert_eq!(one.await.unwrap(), 200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_burst_shares_the_dial_that_is_under_way() {
    local(async {
        let backend = slow(100, Duration::from_millis(5)).await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                spawn_local(async move { ask(&client, get("/")).await.unwrap().status() })
            })
            .collect();
        for one in asking {
            assert_eq!(one.await.unwrap(), 200);
        }
        assert_eq!(backend.connections.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_costs_no_request() {
    local(async {
        let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let refusing = dead.local_addr().unwrap();
        drop(dead);
        let backend = Backend::plain().await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[refusing, backend.address]).await).await;
        for _ in 0..40 {
            assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
        }
        assert_eq!(backend.served(), 40);
        let (client, _) = connect(world.route_to(&[refusing]).await).await;
        let response = ask(&client, get("/")).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["weft-error"]), (502, &"connect".parse().unwrap()));
    })
    .await;
}

#[tokio::test]
async fn goaway_lets_open_streams_end_and_loses_no_request() {
    local(async {
        let backend = slow(100, Duration::from_millis(30)).await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let running = Rc::new(Cell::new(true));
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let (client, running) = (client.clone(), Rc::clone(&running));
                spawn_local(async move {
                    while running.get() {
                        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
                    }
                })
            })
            .collect();
        for connections in 1..=5 {
            until("the next connection serves", || backend.connections.get() >= connections).await;
            sleep(Duration::from_millis(60)).await;
            // Said again until it is heard: a connection that was only just accepted does not listen yet.
            until("a connection follows the GOAWAY", || {
                backend.leave.notify_waiters();
                backend.connections.get() > connections
            })
            .await;
        }
        running.set(false);
        for one in asking {
            one.await.unwrap();
        }
        until("left connections are let go", || world.proxy.http2.len() <= 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_refused_unseen_is_sent_again_with_its_body_and_one_that_was_seen_is_not() {
    local(async {
        let backend = Backend::start(100, |number, (mut body, mut respond)| async move {
            let (length, _) = drain(&mut body).await;
            match number {
                0 | 1 => respond.send_reset(::h2::Reason::REFUSED_STREAM),
                2 => {
                    let head = Response::builder().header("x-length", length).body(()).unwrap();
                    respond.send_response(head, true).unwrap();
                }
                _ => respond.send_reset(::h2::Reason::INTERNAL_ERROR),
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let post = || async {
            let (response, mut body) = client.clone().ready().await.unwrap().send_request(grpc(), false).unwrap();
            body.send_data(Bytes::from_static(b"once"), false).unwrap();
            body.send_data(Bytes::from_static(b"more"), true).unwrap();
            response.await.unwrap()
        };
        assert_eq!(post().await.headers()["x-length"], "8");
        assert_eq!(backend.served(), 3);
        let response = post().await;
        assert_eq!((&response.headers()["grpc-status"], backend.served()), (&"14".parse().unwrap(), 4));
    })
    .await;
}

#[tokio::test]
async fn a_drain_says_goaway_to_callers_and_lets_their_streams_end() {
    local(async {
        let backend = slow(100, Duration::from_millis(200)).await;
        let world = World::new();
        world.set_authorizations(anybody());
        let (client, serving) = connect(world.inbound(backend.address, ClientTls::None)).await;
        let (application, own) = connect(world.route_to(&[backend.address]).await).await;
        let (response, _) = client.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        until("the request is under way", || backend.served() == 1).await;
        world.proxy.drain.begin();
        assert_eq!(response.await.unwrap().status(), 200);
        timeout(PATIENCE, serving).await.expect("the connection ends").unwrap();
        assert!(ask(&client, get("/")).await.is_err());
        assert_eq!(ask(&application, get("/")).await.unwrap().status(), 200, "outbound goes on");
        world.proxy.drain.close();
        timeout(PATIENCE, own).await.expect("until the deadline").unwrap();
    })
    .await;
}

/// Answers the first connection's first request with GOAWAY for all streams after `last`, then closes if it is to; serves the others.
async fn leaves_first(last: u32, closes: bool) -> (SocketAddr, Rc<Cell<usize>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Rc::new(Cell::new(0));
    let count = Rc::clone(&served);
    spawn_local(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        let mut bytes = Vec::new();
        // HEADERS of stream 1, whatever comes before.
        while !bytes.windows(9).any(|head| head[3] == 1 && head[5..] == [0, 0, 0, 1]) {
            assert!(socket.read_buf(&mut bytes).await.unwrap() > 0);
        }
        socket.write_all(&frame(7, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())).await.unwrap();
        let _left = if closes {
            drop(socket);
            None
        } else {
            Some(socket)
        };
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let count = Rc::clone(&count);
            spawn_local(async move {
                let mut connection = ::h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    count.set(count.get() + 1);
                    respond.send_response(Response::new(()), true).unwrap();
                }
            });
        }
    });
    (address, served)
}

#[tokio::test]
async fn a_call_that_a_goaway_leaves_out_is_made_again_and_one_that_it_may_have_processed_is_not() {
    local(async {
        for (last, closes, want) in [(0, false, (200, 1)), (1, true, (502, 0))] {
            let (address, served) = leaves_first(last, closes).await;
            let world = World::new();
            let (client, _) = connect(world.route_to(&[address]).await).await;
            let post = Request::post("http://web.demo/").body(()).unwrap();
            let status = ask(&client, post).await.unwrap().status().as_u16();
            assert_eq!((status, served.get()), want, "the last stream to be processed is {last}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_comes_while_the_proxy_ends_has_its_first_request_served() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        world.set_authorizations(anybody());
        world.proxy.drain.begin();
        for silent in [false, true] {
            let (client, serving) = connect(world.inbound(backend.address, ClientTls::None)).await;
            // It takes its time: told to leave at once, it would not be able to ask any more.
            sleep(Duration::from_millis(50)).await;
            if !silent {
                assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
            }
            timeout(PATIENCE, serving).await.expect("the connection ends").unwrap();
        }
        assert_eq!(backend.served(), 1);
    })
    .await;
}
