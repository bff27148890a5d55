//! gRPC unary calls: so many streams at once over one connection, each with a request of 128 bytes and an answer of 1 KB.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use crate::AnyError;
use crate::latency::Latencies;

const REQUEST: usize = 128;
const ANSWER: usize = 1_024;
const WINDOW: u32 = 1024 * 1024;
/// An answer that takes longer than this after the end fails.
const GRACE: Duration = Duration::from_secs(5);

/// A message behind the five bytes that gRPC puts before it.
fn message(length: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).unwrap_or_default());
    bytes.put_bytes(0x2a, length);
    bytes.freeze()
}

/// Reads a body to its end; its length.
async fn drain(body: &mut RecvStream) -> Result<usize, h2::Error> {
    let mut length = 0;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        length += chunk.len();
        body.flow_control().release_capacity(chunk.len())?;
    }
    Ok(length)
}

async fn send(stream: &mut SendStream<Bytes>, bytes: Bytes, end: bool) -> Result<(), AnyError> {
    stream.reserve_capacity(bytes.len());
    while stream.capacity() < bytes.len() {
        poll_fn(|context| stream.poll_capacity(context)).await.ok_or("the stream is gone")??;
    }
    Ok(stream.send_data(bytes, end)?)
}

pub async fn serve(listen: &str) -> Result<(), AnyError> {
    let listener = TcpListener::bind(listen).await?;
    let answer = message(ANSWER);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut builder = h2::server::Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
                return;
            };
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    if drain(&mut body).await? != 5 + REQUEST {
                        return Err("a request of another length".into());
                    }
                    let mut response = Response::new(());
                    let headers = response.headers_mut();
                    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
                    let mut stream = respond.send_response(response, false)?;
                    send(&mut stream, answer, false).await?;
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    stream.send_trailers(trailers)?;
                    Ok::<_, AnyError>(())
                });
            }
        });
    }
}

pub async fn run(address: &str, streams: usize, seconds: Duration) -> Result<(), AnyError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await?;
    let driver = tokio::spawn(connection);
    let started = Instant::now();
    let end = started + seconds;
    let uri = format!("http://{address}/bench.Bench/Unary");
    let mut tasks = JoinSet::new();
    for _ in 0..streams {
        tasks.spawn(one(sender.clone(), uri.clone(), end));
    }
    drop(sender);
    let mut all = Latencies::default();
    while let Some(one) = tasks.join_next().await {
        all.merge(&one?);
    }
    all.report(started.elapsed());
    driver.abort();
    Ok(())
}

async fn one(mut sender: SendRequest<Bytes>, uri: String, end: Instant) -> Latencies {
    let mut latencies = Latencies::default();
    let request = message(REQUEST);
    loop {
        let began = Instant::now();
        if began >= end {
            return latencies;
        }
        match timeout_at((end + GRACE).into(), call(sender, &uri, request.clone())).await {
            Ok(Ok(same)) => {
                sender = same;
                latencies.record(began.elapsed());
            }
            _ => {
                latencies.errors += 1;
                return latencies;
            }
        }
    }
}

async fn call(sender: SendRequest<Bytes>, uri: &str, message: Bytes) -> Result<SendRequest<Bytes>, AnyError> {
    let mut sender = sender.ready().await?;
    let request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "weft-bench/1")
        .body(())?;
    let (response, mut upload) = sender.send_request(request, false)?;
    send(&mut upload, message, true).await?;
    let response = response.await?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status()).into());
    }
    let mut body = response.into_body();
    let length = drain(&mut body).await?;
    let trailers = body.trailers().await?.ok_or("no trailers")?;
    if length != 5 + ANSWER || trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err("not the answer that the application gives".into());
    }
    Ok(sender)
}
