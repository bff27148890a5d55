//! One admin connection: requests one after the other, each with its deadline.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Caller;
use super::request::{MAX_HEAD, Malformed, Method, Request, parse};
use super::routes::{Answer, Body, answer};
use crate::context::Proxy;

/// A head must arrive in this time; between requests the same silence ends the connection.
const HEAD: Duration = Duration::from_secs(10);
/// A client must take the next piece of an answer in this time.
const WRITE: Duration = Duration::from_secs(10);

/// Serves `stream` until its client has had enough, misbehaves or is too slow.
pub(super) async fn serve(proxy: &Rc<Proxy>, mut stream: TcpStream, caller: &Caller) {
    let mut buffer = Vec::new();
    loop {
        let request = match timeout(HEAD, read(&mut stream, &mut buffer)).await {
            Ok(Ok(Some(Ok(request)))) => request,
            Ok(Ok(Some(Err(Malformed(status))))) => {
                let _ = write(&mut stream, &Answer::plain(status, "bad request\n"), Method::Get, true, false).await;
                // An unread rest would turn the close into a reset that overtakes the answer.
                let _ = stream.shutdown().await;
                let _ = timeout(Duration::from_millis(100), discard(&mut stream)).await;
                return;
            }
            Ok(Ok(None) | Err(_)) | Err(_) => return,
        };
        let keep_alive = request.keep_alive;
        let answer = answer(proxy, &request, caller).await;
        let written = write(&mut stream, &answer, request.method, request.http11, keep_alive).await;
        if written.is_err() || !keep_alive {
            return;
        }
    }
}

/// Reads one head; None when the client has closed.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Result<Request, Malformed>>> {
    loop {
        if !buffer.is_empty() {
            match parse(buffer) {
                Ok(Some(request)) => {
                    buffer.drain(..request.length.min(buffer.len()));
                    buffer.shrink_to(1024);
                    return Ok(Some(Ok(request)));
                }
                Ok(None) => {}
                Err(malformed) => return Ok(Some(Err(malformed))),
            }
        }
        let mut piece = [0; 1024];
        let room = (MAX_HEAD - buffer.len().min(MAX_HEAD)).min(piece.len());
        let count = stream.read(piece.get_mut(..room).unwrap_or_default()).await?;
        if count == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

async fn discard(stream: &mut TcpStream) {
    let mut piece = [0; 1024];
    while matches!(stream.read(&mut piece).await, Ok(count) if count > 0) {}
}

async fn write(
    stream: &mut TcpStream,
    answer: &Answer,
    method: Method,
    http11: bool,
    keep_alive: bool,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\ncontent-type: {}\r\n", answer.status, phrase(answer.status), answer.kind);
    if answer.status == 405 {
        head.push_str("allow: GET, HEAD\r\n");
    }
    if !keep_alive {
        head.push_str("connection: close\r\n");
    }
    match &answer.body {
        Body::Whole(text) => {
            head.push_str(&format!("content-length: {}\r\n\r\n", text.len()));
            if method != Method::Head {
                head.push_str(text);
            }
            send(stream, head.as_bytes()).await
        }
        Body::Metrics(metrics) => {
            head.push_str(if http11 { "transfer-encoding: chunked\r\n\r\n" } else { "\r\n" });
            send(stream, head.as_bytes()).await?;
            if method == Method::Head {
                return Ok(());
            }
            let mut exposition = metrics.exposition();
            let mut piece = String::new();
            while exposition.write_next(&mut piece) {
                if http11 {
                    send(stream, format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
                } else {
                    send(stream, piece.as_bytes()).await?;
                }
                piece.clear();
                // The data path shares this thread.
                tokio::task::yield_now().await;
            }
            if http11 { send(stream, b"0\r\n\r\n").await } else { Ok(()) }
        }
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    timeout(WRITE, stream.write_all(bytes)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}
