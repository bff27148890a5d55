use super::*;
use crate::h2::{CONNECTIONS, INTERIM, KEPT_CHUNKS, RESET_STREAMS, RESETS_LOCAL, RESETS_PENDING, WAITING};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// More streams than the windows of an unwidened connection hold together.
const STALLED: usize = 40;

fn overloaded(response: &Response<RecvStream>) -> bool {
    response.status() == 503 && response.headers()["weft-error"] == "overload"
}

/// Answers once it is released.
async fn gated(streams: u32) -> (Backend, Rc<Cell<bool>>) {
    let open = Rc::new(Cell::new(false));
    let gate = Rc::clone(&open);
    let backend = Backend::start(streams, move |_, (_body, mut respond)| {
        let gate = Rc::clone(&gate);
        async move {
            until("released", || gate.get()).await;
            let _ = respond.send_response(Response::new(()), true);
        }
    })
    .await;
    (backend, open)
}

fn asking(client: &SendRequest<Bytes>) -> JoinHandle<Response<RecvStream>> {
    let client = client.clone();
    spawn_local(async move { ask(&client, get("/")).await.unwrap() })
}

#[tokio::test]
async fn forty_uploads_that_nobody_reads_hold_up_no_other() {
    local(async {
        let stalled = Rc::new(Cell::new(0));
        let seen = Rc::clone(&stalled);
        let backend = Backend::start(100, move |number, (mut body, mut respond)| {
            let seen = Rc::clone(&seen);
            async move {
                if number < STALLED {
                    seen.set(seen.get() + 1);
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
        let (mut held, sent) = (Vec::new(), Rc::new(Cell::new(0)));
        for _ in 0..STALLED {
            let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
            held.push(response);
            let sent = Rc::clone(&sent);
            spawn_local(async move {
                let chunk = Bytes::from(vec![0; 16 * 1024]);
                while send(&mut body, chunk.clone()).await.is_ok() {
                    sent.set(sent.get() + chunk.len());
                }
            });
        }
        until("the stalled streams are open", || stalled.get() == STALLED).await;
        // Each fills the window at the backend and the one at the proxy.
        until("they are full", || sent.get() >= STALLED * 100 * 1024).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
        for _ in 0..16 {
            timeout(PATIENCE, send(&mut body, Bytes::from(vec![1; 64 * 1024]))).await.expect("it moves").unwrap();
        }
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(response.await.unwrap().headers()["x-length"], (1024 * 1024).to_string());
        assert_eq!(backend.connections.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn forty_downloads_that_nobody_reads_hold_up_no_other() {
    local(async {
        let backend = Backend::start(100, move |number, (_body, mut respond)| async move {
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            let size = if number < STALLED { 1024 * 1024 } else { 256 * 1024 };
            if send(&mut out, Bytes::from(vec![7; size])).await.is_ok() {
                let _ = out.send_data(Bytes::new(), true);
            }
        })
        .await;
        let world = World::new();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        spawn_local(serve(world.route_to(&[backend.address]).await, theirs));
        // Its own window is not to be what stops it.
        let mut builder = ::h2::client::Builder::new();
        builder.initial_connection_window_size(16 * 1024 * 1024);
        let (client, driver) = builder.handshake::<_, Bytes>(ours).await.unwrap();
        spawn_local(driver);
        let mut held = Vec::new();
        for _ in 0..STALLED {
            held.push(timeout(PATIENCE, ask(&client, get("/"))).await.expect("a head comes").unwrap());
        }
        sleep(Duration::from_millis(300)).await;
        let mut body = timeout(PATIENCE, ask(&client, get("/"))).await.expect("a head comes").unwrap().into_body();
        let (length, _) = timeout(PATIENCE, drain(&mut body)).await.expect("it moves");
        assert_eq!(length, 256 * 1024);
        assert_eq!(backend.connections.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn small_messages_to_a_reader_that_stops_end_no_connection() {
    local(async {
        let streams = 4;
        let backend = Backend::start(100, move |number, (body, mut respond)| async move {
            if number < streams {
                let _body = body;
                std::future::pending::<()>().await;
            }
            let _ = respond.send_response(Response::new(()), true);
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        // As gRPC streams send them: small frames, until the windows at the backend and at the proxy are full. Those at the proxy would cost
        // more than a connection may have, were they not read and joined.
        let message = Bytes::from_static(b"sixteen bytes...");
        let full = 2 * 65_535 / message.len();
        assert!(streams * (full / 2) * (256 - message.len()) > crate::h2::DATA_FRAMES);
        let (mut held, sent) = (Vec::new(), Rc::new(Cell::new(0)));
        for _ in 0..streams {
            let (response, mut body) = client.clone().ready().await.unwrap().send_request(grpc(), false).unwrap();
            held.push(response);
            let (message, sent) = (message.clone(), Rc::clone(&sent));
            spawn_local(async move {
                while send(&mut body, message.clone()).await.is_ok() {
                    sent.set(sent.get() + 1);
                }
            });
        }
        until("the windows are full", || sent.get() >= streams * (full - 2)).await;
        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200, "others are served");
        assert_eq!(backend.connections.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_stranger_may_have_fewer_streams_than_a_peer() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        world.set_authorizations(anybody());
        let (stranger, _) = connect(world.inbound(backend.address, ClientTls::None)).await;
        let (own, _) = connect(world.route_to(&[backend.address]).await).await;
        for client in [&stranger, &own] {
            assert_eq!(ask(client, get("/")).await.unwrap().status(), 200);
        }
        assert_eq!(stranger.current_max_send_streams(), crate::h2::STREAMS_PLAIN as usize);
        assert_eq!(own.current_max_send_streams(), crate::h2::STREAMS_TRUSTED as usize);
    })
    .await;
}

#[tokio::test]
async fn a_header_list_past_the_bound_is_answered_431_and_one_below_passes() {
    local(async {
        let backend = Backend::plain().await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        for (size, status) in [(70 * 1024, 431), (15 * 1024, 200)] {
            let request = Request::get("http://web.demo/").header("x-long", "y".repeat(size)).body(()).unwrap();
            assert_eq!(ask(&client, request).await.unwrap().status(), status, "{size} bytes");
        }
        assert_eq!(backend.served(), 1);
    })
    .await;
}

#[tokio::test]
async fn one_request_too_many_is_answered_503_and_counted() {
    local(async {
        let (backend, open) = gated(100).await;
        let mut config = Config::default();
        config.limits.http2_requests = 3;
        let world = World::with(config);
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let held: Vec<_> = (0..3).map(|_| asking(&client)).collect();
        until("three are under way", || backend.served() == 3).await;
        assert!(overloaded(&ask(&client, get("/")).await.unwrap()));
        assert!(world.metric("outbound_http_errors_total{|error=\"overload\"|} 1"));
        open.set(true);
        for one in held {
            assert_eq!(one.await.unwrap().status(), 200);
        }
        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn so_many_wait_for_a_stream_and_the_next_is_answered_503() {
    local(async {
        let (backend, open) = gated(1).await;
        let world = World::new();
        let (first, _) = connect(world.route_to(&[backend.address]).await).await;
        let (second, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut held = Vec::new();
        for number in 1..=CONNECTIONS {
            held.push(asking(&first));
            until("it is served", || backend.served() == number).await;
        }
        for number in 0..WAITING {
            held.push(asking(if number % 2 == 0 { &first } else { &second }));
        }
        sleep(Duration::from_millis(200)).await;
        assert!(overloaded(&ask(&second, get("/")).await.unwrap()));
        assert_eq!(backend.connections.get(), CONNECTIONS, "and no further connection is made");
        open.set(true);
        for one in held {
            assert_eq!(one.await.unwrap().status(), 200, "whoever waited is served");
        }
    })
    .await;
}

#[tokio::test]
async fn idle_connections_make_room_for_new_ones_and_busy_ones_do_not() {
    local(async {
        let (gates, mut backends) = ([gated(100).await, gated(100).await, gated(100).await], Vec::new());
        for (backend, open) in &gates {
            open.set(true);
            backends.push(backend.address);
        }
        let mut config = Config::default();
        config.limits.http2_connections = 2;
        let world = World::with(config);
        for address in &backends {
            let (client, _) = connect(world.route_to(&[*address]).await).await;
            assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
        }
        until("the bound is kept", || world.proxy.http2.len() <= 2).await;
        let mut held = Vec::new();
        for (backend, open) in &gates[..2] {
            open.set(false);
            let (client, _) = connect(world.route_to(&[backend.address]).await).await;
            held.push(asking(&client));
            until("it is under way", || backend.served() == 2).await;
        }
        let (client, _) = connect(world.route_to(&[backends[2]]).await).await;
        assert!(overloaded(&ask(&client, get("/")).await.unwrap()));
        gates.iter().for_each(|(_, open)| open.set(true));
        for one in held {
            assert_eq!(one.await.unwrap().status(), 200);
        }
        assert_eq!(ask(&client, get("/")).await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn interim_responses_past_the_bound_are_left_out() {
    local(async {
        let backend = Backend::start(100, |_, (_body, mut respond)| async move {
            for _ in 0..INTERIM * 3 {
                respond.send_informational(Response::builder().status(103).body(()).unwrap()).unwrap();
            }
            respond.send_response(Response::new(()), true).unwrap();
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let mut client = client.ready().await.unwrap();
        let (mut response, _) = client.send_request(get("/"), true).unwrap();
        let mut count = 0;
        while let Some(interim) = poll_fn(|context| response.poll_informational(context)).await {
            assert_eq!(interim.unwrap().status(), 103);
            count += 1;
        }
        assert_eq!(count, INTERIM);
        assert_eq!(response.await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_request_of_more_frames_than_are_kept_is_not_sent_again() {
    local(async {
        let backend = Backend::start(100, |number, (mut body, mut respond)| async move {
            drain(&mut body).await;
            match number {
                0 | 2 => respond.send_reset(::h2::Reason::REFUSED_STREAM),
                _ => drop(respond.send_response(Response::new(()), true)),
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        for (frames, status) in [(KEPT_CHUNKS / 2, 200), (KEPT_CHUNKS * 2, 502)] {
            let (response, mut body) = client.clone().ready().await.unwrap().send_request(get("/"), false).unwrap();
            for _ in 0..frames {
                body.send_data(Bytes::from_static(b"x"), false).unwrap();
            }
            body.send_data(Bytes::new(), true).unwrap();
            assert_eq!(response.await.unwrap().status(), status, "{frames} frames");
        }
        assert_eq!(backend.served(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_refused_unseen_again_and_again_is_given_up() {
    local(async {
        let backend = Backend::start(100, |_, (_body, mut respond)| async move {
            respond.send_reset(::h2::Reason::REFUSED_STREAM);
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let response = ask(&client, get("/")).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["weft-error"]),
            (502, &"upstream".parse().unwrap())
        );
        assert_eq!(backend.served(), 3);
    })
    .await;
}

#[tokio::test]
async fn more_cancelled_requests_than_are_remembered_leave_the_upstreams_connection_whole() {
    local(async {
        let backend = Backend::start(100, |number, (_body, mut respond)| async move {
            let mut out = respond.send_response(Response::new(()), number >= 2 * RESET_STREAMS).unwrap();
            // Goes on sending after the reset, until it is told.
            while number < 2 * RESET_STREAMS && send(&mut out, Bytes::from(vec![0; 4096])).await.is_ok() {}
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        for _ in 0..2 * RESET_STREAMS {
            drop(timeout(PATIENCE, ask(&client, get("/"))).await.unwrap().unwrap());
        }
        assert_eq!(timeout(PATIENCE, ask(&client, get("/"))).await.unwrap().unwrap().status(), 200);
        assert_eq!(backend.connections.get(), 1);
    })
    .await;
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Sends what `request` makes for each of `count` streams; the error code of the GOAWAY that ends the connection.
async fn provoked(count: usize, request: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
    let backend = Backend::plain().await;
    let world = World::new();
    world.set_authorizations(anybody());
    let (mut ours, theirs) = tokio::io::duplex(1024 * 1024);
    let serving = spawn_local(serve(world.inbound(backend.address, ClientTls::None), theirs));
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for number in 0..count {
        bytes.extend(request(u32::try_from(number).unwrap() * 2 + 1));
    }
    ours.write_all(&bytes).await.unwrap();
    let mut said = Vec::new();
    let _ = timeout(Duration::from_secs(1), ours.read_to_end(&mut said)).await;
    let mut rest = said.as_slice();
    while let Some((head, after)) = rest.split_first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        if head[3] == 7 {
            timeout(PATIENCE, serving).await.expect("the connection ends").unwrap();
            return Some(u32::from_be_bytes(after[4..8].try_into().unwrap()));
        }
        rest = &after[length..];
    }
    None
}

#[tokio::test]
async fn a_flood_of_resets_ends_its_connection_and_a_few_do_not() {
    local(async {
        // GET http://a/, and no: cancelled.
        let head = |stream| frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a']);
        let reset = |stream| [head(stream), frame(3, 0, stream, &8_u32.to_be_bytes())].concat();
        assert_eq!(provoked(4, reset).await, None);
        let calm = u32::from(::h2::Reason::ENHANCE_YOUR_CALM);
        assert_eq!(provoked(RESETS_PENDING * 3, reset).await, Some(calm));
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_broken_streams_ends_its_connection_and_a_few_do_not() {
    local(async {
        // POST http://a/ with a length of 1, and two bytes.
        let head = |stream| frame(1, 4, stream, &[0x83, 0x86, 0x84, 0x41, 1, b'a', 0x0f, 0x0d, 1, b'1']);
        let broken = |stream| [head(stream), frame(0, 0, stream, b"xy")].concat();
        assert_eq!(provoked(4, broken).await, None);
        let calm = u32::from(::h2::Reason::ENHANCE_YOUR_CALM);
        assert_eq!(provoked(RESETS_LOCAL + 64, broken).await, Some(calm));
    })
    .await;
}

#[tokio::test]
async fn trailers_vouch_for_nobody() {
    local(async {
        let told = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&told);
        let backend = Backend::start(100, move |_, (mut body, mut respond)| {
            let kept = Rc::clone(&kept);
            async move {
                *kept.borrow_mut() = drain(&mut body).await.1;
                let _ = respond.send_response(Response::new(()), true);
            }
        })
        .await;
        let world = World::new();
        let (client, _) = connect(world.route_to(&[backend.address]).await).await;
        let (response, mut body) = client.clone().ready().await.unwrap().send_request(grpc(), false).unwrap();
        let mut trailers = HeaderMap::new();
        for name in ["weft-client-id", "l5d-client-id", "x-checksum"] {
            trailers.insert(name, "spiffe://mesh/ns/x/sa/forged".parse().unwrap());
        }
        body.send_trailers(trailers).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        let told = told.borrow_mut().take().expect("trailers come");
        assert_eq!(told.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-checksum"]);
    })
    .await;
}
