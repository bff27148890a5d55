//! Who speaks first on a connection, and what: nothing is consumed from the client.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use weft_policy::model::Protocol;

use crate::buffer::Buffer;
use crate::detect::{self, Verdict};
use crate::exchange::{ConnectionPlan, Session};
use crate::io::Stream;
use crate::preamble;

/// Pauses between looks at a client that has sent too little to judge.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// What came first.
pub enum First {
    /// The client's bytes, judged.
    Client(Verdict),
    /// The server's: the connection is bytes.
    Server(Box<Early>),
    /// The client went away.
    Closed,
}

/// A connection that was dialled because the server may be the one to speak.
pub struct Early {
    /// To the server.
    pub upstream: Stream,
    /// What it said.
    pub received: Buffer,
    /// The decision behind it.
    pub plan: ConnectionPlan,
}

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; detect::LIMIT].into_boxed_slice());
}

/// What a look at a client's first bytes shows.
struct Look {
    length: usize,
    verdict: Verdict,
    lone_word: bool,
}

/// Looks at what has arrived, waiting for the first byte only. None: the client is gone.
async fn peek(stream: &TcpStream) -> Option<Look> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match stream.poll_peek(context, &mut buffer) {
                Poll::Ready(Ok(1..)) => {
                    let bytes = buffer.filled();
                    let verdict = detect::judge(bytes);
                    let lone_word = verdict == Verdict::Undecided && detect::is_lone_word(bytes);
                    Poll::Ready(Some(Look { length: bytes.len(), verdict, lone_word }))
                }
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
    })
    .await
}

/// How long a client that has begun to speak is listened to.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// In all.
    pub whole: Duration,
    /// After one word that nothing follows.
    pub word: Duration,
}

impl Patience {
    /// The same whatever was said.
    #[must_use]
    pub fn even(whole: Duration) -> Self {
        Self { whole, word: whole }
    }
}

/// The verdict on the client's first bytes, however late they come; once the first has come the rest may take `patience`, and what is
/// `Undecided` then may pass as bytes only while its first line is watched.
pub async fn judged(stream: &TcpStream, patience: Patience) -> Option<Verdict> {
    let mut pauses = PAUSES.iter().copied();
    let mut look = peek(stream).await?;
    let began = Instant::now();
    let mut heard = began;
    while look.verdict == Verdict::Undecided {
        // A look leaves the bytes where they are, so the end behind them shows in the socket's state alone.
        let ended = stream.ready(Interest::READABLE).await.is_ok_and(|ready| ready.is_read_closed());
        let waited_enough = began.elapsed() >= patience.whole || (look.lone_word && heard.elapsed() >= patience.word);
        if ended || waited_enough {
            return Some(Box::pin(unfinished(stream, ended)).await);
        }
        sleep(Duration::from_millis(pauses.next().unwrap_or(50))).await;
        let newer = peek(stream).await?;
        if newer.length > look.length {
            pauses = PAUSES.iter().copied();
            heard = Instant::now();
        }
        look = newer;
    }
    Some(look.verdict)
}

/// What a beginning that is never finished counts as.
async fn unfinished(stream: &TcpStream, ended: bool) -> Verdict {
    let mut first = [0; detect::LIMIT];
    let bytes = match stream.peek(&mut first).await {
        Ok(length) => first.get(..length).unwrap_or_default(),
        Err(_) => &[],
    };
    match detect::judge(bytes) {
        // No header field follows any more, so it can only be bytes; but what looks like HTTP gets an answer.
        Verdict::Undecided if ended && !matches!(bytes.first(), Some(0x16 | b'A'..=b'Z')) => Verdict::Bytes,
        Verdict::Undecided if ended || bytes.first() == Some(&0x16) => detect::endless(bytes),
        decided => decided,
    }
}

/// Waits for the first to speak. The server is given a chance only where `protocol` leaves room for it and `session` allows bytes.
pub async fn first(stream: &TcpStream, session: &Rc<Session>, protocol: Protocol, patience: Duration) -> First {
    let proxy = session.proxy();
    let server_may_begin = matches!(protocol, Protocol::Detect | Protocol::Opaque);
    // Where nothing but HTTP is spoken, a word can only be the beginning of a request.
    let word = if server_may_begin { proxy.config.limits.word } else { patience };
    let client = judged(stream, Patience { whole: patience, word });
    tokio::pin!(client);
    if !server_may_begin {
        return client.await.map_or(First::Closed, First::Client);
    }
    if let Ok(judged) = timeout(proxy.config.limits.early_dial, &mut client).await {
        return judged.map_or(First::Closed, First::Client);
    }
    let server = async {
        let mut plan = session.connect().ok()?;
        let mut upstream = proxy.dial_for(&plan, preamble::Protocol::Opaque).await.ok()?;
        plan.connected();
        let mut received = Buffer::default();
        loop {
            let read = poll_fn(|context| received.poll_fill(&mut upstream, context)).await.ok()?;
            match detect::is_http_server(received.bytes()) {
                // Its client is to be served as HTTP, forged headers and all: what was dialled is let go.
                Some(true) => return None,
                None if read > 0 => {}
                // A server that ends without a word has decided; a peer proxy may only have refused bytes where HTTP is to come.
                _ => {
                    let spoke = !received.is_empty();
                    return (spoke || !upstream.is_mesh()).then_some(Early { upstream, received, plan });
                }
            }
        }
    };
    tokio::select! {
        biased;
        judged = &mut client => judged.map_or(First::Closed, First::Client),
        Some(early) = Box::pin(server) => First::Server(Box::new(early)),
        // No server to speak, or none that may be spoken to: the client decides.
        else => First::Closed,
    }
}
