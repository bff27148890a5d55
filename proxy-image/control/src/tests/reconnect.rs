//! The operator goes away, comes back, falls silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::life::established;
use super::operator::Operator;
use super::pki::Pki;
use super::resources::{outbound, workload};
use super::{Folder, config, ready, soon};
use crate::handle::Control;
use crate::types::Resolution;

#[tokio::test]
async fn everything_known_goes_on_while_the_operator_is_away_and_the_next_hello_says_what_is_held() {
    let (folder, pki) = (Folder::new("away"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (control, link, resolution) = established(&mut operator, &folder, &pki).await;
    let connected = control.connected();
    operator.stop().await;
    drop(link);
    soon("disconnected", || !*connected.borrow()).await;

    assert!(control.ready());
    assert!(matches!(*resolution.borrow(), Resolution::Known(_)));
    let again = control.outbound("10.96.0.1:80".parse().unwrap()).await;
    assert!(matches!(*again.resolution.borrow(), Resolution::Known(_)));
    // The first caller of a new address waits a second, the next one does not.
    let fresh: SocketAddr = "10.96.0.2:80".parse().unwrap();
    let started = Instant::now();
    let unknown = control.outbound(fresh).await.resolution;
    assert!(matches!(*unknown.borrow(), Resolution::Unknown));
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(control.stats().unanswered, 1);
    let started = Instant::now();
    control.outbound(fresh).await;
    assert!(started.elapsed() < Duration::from_millis(500));

    folder.write("token", "token-2\n");
    operator.resume().await;
    let mut link = operator.link().await;
    assert_eq!(link.token, "Bearer token-2", "the token is read anew");
    let hello = link.hello().await;
    let held: Vec<_> = hello.held.iter().map(|held| (held.name.as_str(), held.version.as_str())).collect();
    assert_eq!(held, [("workload", "w1"), ("outbound/10.96.0.1:80", "o1"), ("endpoints/demo/v1:80", "e1")]);
    assert_eq!(link.subscribed().await, ["outbound/10.96.0.2:80"]);
    link.upsert(1, "outbound/10.96.0.2:80", "p1", outbound(&["v1"])).await;
    assert_eq!(link.acked().await, 1);
    assert!(matches!(*unknown.borrow(), Resolution::Known(_)), "the answer reaches whoever still holds the address");
    assert!(*connected.borrow());
}

#[tokio::test]
async fn a_route_that_was_waiting_when_the_stream_ended_is_asked_for_again() {
    let (folder, pki) = (Folder::new("staged"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (_control, mut link, _resolution) = established(&mut operator, &folder, &pki).await;
    link.upsert(4, "outbound/10.96.0.1:80", "o2", outbound(&["v2"])).await;
    assert_eq!(link.subscribed().await, ["endpoints/demo/v2:80"]);
    drop(link);
    let mut link = operator.link().await;
    let hello = link.hello().await;
    assert!(hello.held.iter().any(|held| held.name == "outbound/10.96.0.1:80" && held.version == "o1"));
    assert_eq!(link.subscribed().await, ["endpoints/demo/v2:80"]);
}

/// A wire that can be cut without either end being told.
async fn relay(upstream: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let cut = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let flag = Arc::clone(&cut);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut client_read, mut client_write) = client.into_split();
            let (mut server_read, mut server_write) = TcpStream::connect(upstream).await.unwrap().into_split();
            let up = Arc::clone(&flag);
            tokio::spawn(async move { pump(&mut client_read, &mut server_write, &up).await });
            let down = Arc::clone(&flag);
            tokio::spawn(async move { pump(&mut server_read, &mut client_write, &down).await });
        }
    });
    (address, cut)
}

async fn pump(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if cut.load(Ordering::Relaxed) {
            // Holds both ends open and passes nothing on.
            return std::future::pending().await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_left() {
    let (folder, pki) = (Folder::new("silent"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    let (address, cut) = relay(operator.address).await;
    let mut config = config(&operator, &folder, &pki);
    config.address = address.to_string();
    config.timeouts.keepalive = (Duration::from_millis(100), Duration::from_millis(200));
    let control = Control::start(config);
    let mut link = operator.link().await;
    link.hello().await;
    link.upsert(1, "workload", "w1", workload()).await;
    ready(&control).await;
    // Control: idle far longer than ping and answer together, the connection stays.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((control.stats().streams, control.stats().failures), (1, 0));

    cut.store(true, Ordering::Relaxed);
    let connected = control.connected();
    soon("left", || !*connected.borrow()).await;
    cut.store(false, Ordering::Relaxed);
    let mut link = operator.link().await;
    assert_eq!(link.hello().await.held.len(), 1);
}

#[tokio::test]
async fn subscriptions_reach_an_operator_that_has_nothing_to_say_yet() {
    let (folder, pki) = (Folder::new("withheld"), Arc::new(Pki::new()));
    let mut operator = Operator::start(&pki).await;
    operator.withhold.send_replace(true);
    let control = Control::start(config(&operator, &folder, &pki));
    let mut link = operator.link().await;
    link.hello().await;
    let asking = tokio::spawn({
        let control = control.clone();
        async move { control.outbound("10.96.0.1:80".parse().unwrap()).await.resolution }
    });
    assert_eq!(link.subscribed().await, ["outbound/10.96.0.1:80"]);
    operator.withhold.send_replace(false);
    link.upsert(1, "outbound/10.96.0.1:80", "o1", outbound(&[])).await;
    let mut resolution = asking.await.unwrap();
    resolution.wait_for(|resolution| matches!(resolution, Resolution::Known(_))).await.unwrap();
}
