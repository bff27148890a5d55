//! Round trips of 1 KB over TCP, one at a time on each connection.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::AnyError;
use crate::latency::Latencies;

/// No text: nobody must take it for HTTP.
const MESSAGE: [u8; 1_024] = [0x81; 1_024];
/// An answer that takes longer than this after the end fails.
const GRACE: Duration = Duration::from_secs(5);

pub async fn serve(listen: &str) -> Result<(), AnyError> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut bytes = [0; MESSAGE.len()];
            while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                if stream.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
        });
    }
}

pub async fn run(address: &str, connections: usize, seconds: Duration) -> Result<(), AnyError> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let started = Instant::now();
    let end = started + seconds;
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(one(stream, end));
    }
    let mut all = Latencies::default();
    while let Some(one) = tasks.join_next().await {
        all.merge(&one?);
    }
    all.report(started.elapsed());
    Ok(())
}

async fn one(mut stream: TcpStream, end: Instant) -> Latencies {
    let mut latencies = Latencies::default();
    let mut answer = [0; MESSAGE.len()];
    loop {
        let began = Instant::now();
        if began >= end {
            return latencies;
        }
        let trip = async {
            stream.write_all(&MESSAGE).await?;
            stream.read_exact(&mut answer).await
        };
        match timeout_at((end + GRACE).into(), trip).await {
            Ok(Ok(_)) if answer == MESSAGE => latencies.record(began.elapsed()),
            _ => {
                latencies.errors += 1;
                return latencies;
            }
        }
    }
}
