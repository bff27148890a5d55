//! Proxies, certificates and applications for tests, all on loopback and on one thread.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

pub mod app;
pub mod certs;
pub mod frames;
pub mod node;

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Runs a test on one thread, as the proxy runs, and ends it when it hangs.
pub fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs");
    }));
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Sends `request` and reads until `done` says that the answer is whole, or until the end.
pub async fn talk(stream: &mut TcpStream, request: &[u8], done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    read_until(stream, done).await
}

/// Reads until `done`, or until the end.
pub async fn read_until<R: AsyncReadExt + Unpin>(stream: &mut R, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut chunk = [0; 16384];
    while !done(&answer) {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut chunk));
        match read.await.unwrap_or_else(|_| panic!("no more after {:?}", String::from_utf8_lossy(&answer))) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
        }
    }
    answer
}

/// Whether `answer` holds a head and as many bytes as its Content-Length says.
pub fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some(head) = text.find("\r\n\r\n") else { return false };
    match text[..head].split("\r\ncontent-length: ").nth(1) {
        Some(rest) => {
            let length: usize = rest.split("\r\n").next().unwrap().trim().parse().unwrap();
            answer.len() >= head + 4 + length
        }
        None if text[..head].contains("transfer-encoding: chunked") => text.ends_with("0\r\n\r\n"),
        None => text.starts_with("http/1.1 204") || text.starts_with("http/1.1 304"),
    }
}

/// One GET over a connection of its own.
pub async fn get(address: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    String::from_utf8(talk(&mut stream, head.as_bytes(), is_whole).await).unwrap()
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

pub const GET: &str = "GET /hello HTTP/1.1\r\nHost: app\r\n\r\n";
