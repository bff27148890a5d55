//! Waits for the proxy: where it is a plain container, the application's own start is held back by it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::ask::ask;

const INTERVAL: Duration = Duration::from_millis(100);
const ATTEMPT: Duration = Duration::from_secs(1);

/// The proxy did not become ready.
#[derive(Debug, thiserror::Error)]
#[error(
    "the proxy at {address} was not ready within {limit:?}: {last}. Its log says why; without an answer from the operator no \
     workload and no certificate is held"
)]
pub struct AwaitError {
    address: SocketAddr,
    limit: Duration,
    last: String,
}

/// Asks `GET /ready` until the answer is 200; blocks.
///
/// # Errors
/// When `limit` has passed; the error says what the last answer was.
pub fn await_ready(address: SocketAddr, limit: Duration) -> Result<(), AwaitError> {
    let deadline = Instant::now() + limit;
    loop {
        let last = match ask(address, "GET", "/ready", ATTEMPT) {
            Ok((200, _)) => return Ok(()),
            Ok((status, _)) => format!("it answered {status}"),
            Err(error) => error.to_string(),
        };
        if Instant::now() + INTERVAL >= deadline {
            return Err(AwaitError { address, limit, last });
        }
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::await_ready;

    #[test]
    fn waits_until_the_answer_is_200() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let answers = ["HTTP/1.1 503 x\r\n\r\n", "nonsense\r\n", "HTTP/1.1 200 OK\r\n\r\n"];
            answers.map(|answer| {
                let (mut stream, _) = listener.accept().unwrap();
                // All of it: closing with bytes unread would reset the connection and lose the answer.
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let first = lines.next();
                assert!(lines.any(|line| line.is_empty()));
                stream.write_all(answer.as_bytes()).unwrap();
                first.as_deref() == Some("GET /ready HTTP/1.1")
            })
        });
        await_ready(address, Duration::from_secs(20)).unwrap();
        assert_eq!(server.join().unwrap(), [true; 3]);
    }

    #[test]
    fn gives_up_at_the_limit_and_says_what_it_saw() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = await_ready(address, Duration::from_millis(250)).unwrap_err().to_string();
        assert!(error.contains("was not ready within 250ms") && error.contains("refused"), "{error}");
    }
}
