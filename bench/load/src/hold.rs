//! Connections that are held: idle, then all with a request in flight at the same moment, then closed.
//!
//! The client says `idle` once every connection has had an answer. Then it takes lines from standard input: `burst` sends a request on every
//! connection at once and says `answered N`; `close`, or the end of the input, ends it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stdin};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::AnyError;
use crate::http1;

/// The application answers nobody before all are there, and whoever is there after this long.
const HELD: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers once `count` requests wait.
pub async fn serve(listen: &str, count: usize) -> Result<(), AnyError> {
    let listener = TcpListener::bind(listen).await?;
    let all = Arc::new(Barrier::new(count));
    loop {
        let (mut stream, _) = listener.accept().await?;
        let all = Arc::clone(&all);
        tokio::spawn(async move {
            let mut bytes = [0; 4_096];
            let mut held = 0;
            while let Ok(read @ 1..) = stream.read(&mut bytes[held..]).await {
                held += read;
                if !bytes[..held].ends_with(b"\r\n\r\n") {
                    continue;
                }
                held = 0;
                let _ = timeout(HELD, all.wait()).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

pub async fn run(address: &str, connections: usize) -> Result<(), AnyError> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if exchange(&mut stream, "/1k").await != Some(200) {
            return Err("a connection without an answer".into());
        }
        streams.push(stream);
    }
    println!("idle");
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match line.as_str() {
            "burst" => {
                let mut tasks = JoinSet::new();
                for mut stream in streams.drain(..) {
                    tasks.spawn(async move {
                        let status = exchange(&mut stream, "/held").await;
                        (stream, status)
                    });
                }
                let mut answered = 0;
                while let Some(done) = tasks.join_next().await {
                    let (stream, status) = done?;
                    answered += usize::from(status == Some(200));
                    streams.push(stream);
                }
                println!("answered {answered}");
            }
            "close" => break,
            other => return Err(format!("{other:?} is neither burst nor close").into()),
        }
    }
    Ok(())
}

/// The status; None when there is no answer in time.
async fn exchange(stream: &mut TcpStream, path: &str) -> Option<u16> {
    let whole = async {
        stream.write_all(&http1::request(path)).await.ok()?;
        let mut bytes = Vec::new();
        loop {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
            if let Some((status, _)) = http1::response(&bytes) {
                return Some(status);
            }
        }
    };
    timeout(PATIENCE, whole).await.ok()?
}
