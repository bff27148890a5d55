//! Tells the proxy of this pod that its end has come, and waits until it has finished what it had begun.

use std::net::SocketAddr;
use std::time::Duration;

use crate::ask::ask;

/// The proxy was not drained.
#[derive(Debug, thiserror::Error)]
#[error("the proxy at {address} was not drained: {reason}")]
pub struct DrainError {
    address: SocketAddr,
    reason: String,
}

/// Asks `POST /drain`, which is answered when inbound is idle or the proxy's own deadline has come; blocks, for at most about `limit`.
/// Returns what the proxy said about it.
///
/// # Errors
/// When nothing answers in time, or with anything but 200.
pub fn drain(address: SocketAddr, limit: Duration) -> Result<String, DrainError> {
    let reason = match ask(address, "POST", "/drain", limit) {
        Ok((200, said)) => return Ok(said),
        Ok((status, said)) => format!("it answered {status}: {said}"),
        Err(error) => error.to_string(),
    };
    Err(DrainError { address, reason })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::drain;

    /// Answers one connection once `pause` has passed; returns the request line.
    fn answering(listener: TcpListener, answer: &'static str, pause: Duration) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            assert!(lines.any(|line| line.is_empty()));
            std::thread::sleep(pause);
            // Whoever has given up is not there to read it.
            let _ = stream.write_all(answer.as_bytes());
            first
        })
    }

    #[test]
    fn says_what_the_proxy_says() {
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\ndrained\n", Ok("drained")),
            ("HTTP/1.1 403 Forbidden\r\n\r\nonly the pod itself\n", Err("it answered 403: only the pod itself")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = answering(listener, answer, Duration::from_millis(50));
            match (drain(address, Duration::from_secs(20)), want) {
                (Ok(said), Ok(want)) => assert_eq!(said, want),
                (Err(error), Err(want)) => assert!(error.to_string().ends_with(want), "{error}"),
                (got, want) => panic!("{got:?}, not {want:?}"),
            }
            assert_eq!(server.join().unwrap(), "POST /drain HTTP/1.1");
        }
    }

    #[test]
    fn gives_up_at_its_limit_and_where_nothing_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = answering(listener, "", Duration::from_millis(600));
        assert!(drain(address, Duration::from_millis(100)).is_err());
        server.join().unwrap();
        let error = drain(address, Duration::from_secs(5)).unwrap_err().to_string();
        assert!(error.contains("refused"), "{error}");
    }
}
