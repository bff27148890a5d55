//! Upstream connections that wait for their next request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::app::App;
use common::node::Pair;
use common::{GET, eventually, get, read_until, run, status};
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_local;

/// Mesh connections to one target that are kept for the whole of their idle time.
const KEPT: usize = 32;

#[test]
fn what_a_burst_leaves_in_the_pool_beyond_the_usual_goes_first() {
    run(async {
        let burst = KEPT + 16;
        let all = Rc::new(tokio::sync::Barrier::new(burst));
        let app = App::start(move |mut stream| {
            let all = Rc::clone(&all);
            async move {
                let request = read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
                if !request.is_empty() {
                    all.wait().await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
                // The connection stays for as long as the proxy keeps it.
                let _ = read_until(&mut stream, |_| false).await;
            }
        })
        .await;
        let pair = Pair::start(app.address);
        let requests: Vec<_> = (0..burst).map(|_| spawn_local(get(pair.client.outbound, GET))).collect();
        for request in requests {
            assert_eq!(status(&request.await.unwrap()), 200);
        }
        let pooled = || pair.client.proxy.http1.len();
        eventually("every connection is pooled", || pooled() == burst).await;
        eventually("the surplus goes", || pooled() == KEPT).await;
        eventually("and in time the rest", || pooled() == 0).await;
    });
}

#[test]
fn a_request_that_meets_many_dead_connections_gets_a_new_one() {
    run(async {
        let burst = 8;
        let all = Rc::new(tokio::sync::Barrier::new(burst));
        let opened = Rc::new(Cell::new(0));
        let count = Rc::clone(&opened);
        let app = App::start(move |mut stream| {
            let all = Rc::clone(&all);
            count.set(count.get() + 1);
            let first = count.get() <= burst;
            async move {
                let request = read_until(&mut stream, |bytes| bytes.ends_with(b"\r\n\r\n")).await;
                if first && !request.is_empty() {
                    all.wait().await;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                // Closes when the next request is here, as a server does whose idle timeout ends in that moment.
                let _ = read_until(&mut stream, |bytes| !bytes.is_empty()).await;
            }
        })
        .await;
        let pair = Pair::start(app.address);
        let requests: Vec<_> = (0..burst).map(|_| spawn_local(get(pair.client.outbound, GET))).collect();
        for request in requests {
            assert_eq!(status(&request.await.unwrap()), 200);
        }
        eventually("every connection is pooled", || pair.server.proxy.http1.len() == burst).await;
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200);
        assert_eq!(opened.get(), burst + 1);
    });
}
