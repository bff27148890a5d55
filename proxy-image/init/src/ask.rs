//! One question to the admin port of the proxy in the same pod.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(1);
/// More of an answer than anybody wants to read.
const ANSWER: u64 = 64 * 1024;

/// Status and body of the answer to `<method> <path>`, whose head and body each may take `patience`; blocks.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, patience: Duration) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(CONNECT))?;
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::new(stream.take(ANSWER));
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("it answered {line:?}")))?;
    // Its line's end again: a head without fields ends with it.
    let mut rest = "\r\n".to_owned();
    // What matters has been read: an end that comes as a reset is an end.
    let _ = answer.read_to_string(&mut rest);
    let body = rest.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.trim_ascii().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn more_of_an_answer_than_the_bound_is_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            assert!(asked.any(|line| line.is_empty()));
            // Endless, as far as whoever asks can tell.
            let written = stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .and_then(|()| (0..1_000).try_for_each(|_| stream.write_all(&[b'x'; 64 * 1024])));
            assert!(written.is_err(), "somebody read it all");
        });
        let (status, body) = ask(address, "GET", "/", Duration::from_secs(20)).unwrap();
        let head = "HTTP/1.1 200 OK\r\n\r\n".len() as u64;
        assert_eq!((status, body.len() as u64), (200, ANSWER - head));
        server.join().unwrap();
    }
}
