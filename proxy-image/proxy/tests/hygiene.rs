//! Nothing that a stranger sends leaves anything behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use std::fs;

use common::app::App;
use common::node::Pair;
use common::{GET, eventually, get, run, status};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A small generator with a fixed seed: every run sends the same streams.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A stream that looks like something and then is not.
fn malformed(noise: &mut Noise) -> Vec<u8> {
    let beginnings: [&[u8]; 10] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x16\x03\x01",
        b"WFT1\x01\x00\x00\x50",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"",
    ];
    let mut stream = beginnings[usize::try_from(noise.next() % 10).unwrap()].to_vec();
    let length = usize::try_from(noise.next() % 600).unwrap();
    stream.extend(noise.bytes(length));
    stream
}

async fn batch(pair: &Pair, noise: &mut Noise, count: usize) {
    for index in 0..count {
        let address = match index % 3 {
            0 => pair.client.outbound,
            _ => pair.server.inbound,
        };
        pair.server.inbound_origin.set(if index % 3 == 1 { pair.app } else { pair.server.inbound });
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(&malformed(noise)).await;
        if index % 2 == 0 {
            socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(stream);
    }
    eventually("every connection ends", || pair.client.active() + pair.server.active() == 0).await;
}

#[test]
fn two_hundred_malformed_streams_leave_no_task_connection_or_descriptor() {
    run(async {
        let (app, _seen) = App::ok().await;
        let pair = Pair::start(app.address);
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let mut noise = Noise(0x5eed_cafe_f00d_0001);
        batch(&pair, &mut noise, 50).await;
        eventually("pools empty", || pair.server.proxy.http1.is_empty() && pair.client.proxy.http1.is_empty()).await;
        let mut before = (usize::MAX, usize::MAX);
        eventually("the first batch settles", || {
            let now = (descriptors(), tasks());
            std::mem::replace(&mut before, now) == now
        })
        .await;
        batch(&pair, &mut noise, 200).await;
        eventually("no descriptor stays", || descriptors() <= before.0).await;
        eventually("no task stays", || tasks() <= before.1).await;
        pair.server.inbound_origin.set(pair.server.inbound);
        assert_eq!(status(&get(pair.client.outbound, GET).await), 200, "and it still serves");
    });
}
