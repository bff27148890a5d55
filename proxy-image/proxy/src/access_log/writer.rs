//! From lines to standard output without ever waiting for it.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::metrics::Counter;

/// Lines wait this long for company.
const LINGER: Duration = Duration::from_millis(100);
/// A piece of this size goes at once.
const PIECE: usize = 16 * 1024;
/// Pieces that wait for the thread; one more is dropped.
const PIECES: usize = 16;

type Sink = Box<dyn Write + Send>;

/// The writer's handle. Cheap to clone; belongs to one thread. Its own thread begins with the first line.
#[derive(Clone)]
pub struct AccessLog(Rc<Inner>);

struct Inner {
    buffer: RefCell<String>,
    lingering: Cell<bool>,
    sink: RefCell<Option<Sink>>,
    thread: RefCell<Option<(SyncSender<String>, JoinHandle<()>)>>,
    dropped: Rc<Counter>,
}

impl AccessLog {
    /// Writes to standard output; lines that were lost are added to `dropped`.
    #[must_use]
    pub fn to_stdout(dropped: Rc<Counter>) -> Self {
        Self::new(Box::new(io::stdout()), dropped)
    }

    pub(super) fn new(sink: Sink, dropped: Rc<Counter>) -> Self {
        Self(Rc::new(Inner {
            buffer: RefCell::default(),
            lingering: Cell::new(false),
            sink: RefCell::new(Some(sink)),
            thread: RefCell::default(),
            dropped,
        }))
    }

    /// Lets `write` append whole lines.
    pub(super) fn with_buffer(&self, write: impl FnOnce(&mut String)) {
        let inner = &self.0;
        let length = {
            let mut buffer = inner.buffer.borrow_mut();
            write(&mut buffer);
            buffer.len()
        };
        if length >= PIECE {
            inner.hand_over();
        } else if length > 0 && !inner.lingering.replace(true) {
            let inner = Rc::clone(inner);
            spawn_local(async move {
                sleep(LINGER).await;
                inner.lingering.set(false);
                inner.hand_over();
            });
        }
    }

    /// Hands over what is left and waits for the thread to write it, for at most `patience`. Nothing is written afterwards.
    pub async fn finish(&self, patience: Duration) {
        self.0.hand_over();
        let Some((sender, thread)) = self.0.thread.borrow_mut().take() else { return };
        drop(sender);
        let deadline = Instant::now() + patience;
        while !thread.is_finished() && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Inner {
    fn hand_over(&self) {
        let piece = std::mem::take(&mut *self.buffer.borrow_mut());
        if piece.is_empty() {
            return;
        }
        if let Some(sink) = self.sink.borrow_mut().take() {
            let (sender, receiver) = sync_channel(PIECES);
            let spawned = thread::Builder::new().name("access-log".to_owned()).spawn(move || run(&receiver, sink));
            match spawned {
                Ok(handle) => *self.thread.borrow_mut() = Some((sender, handle)),
                Err(error) => tracing::warn!(error = %error, "no thread for the access log: it is off"),
            }
        }
        let thread = self.thread.borrow();
        let lost = match thread.as_ref().map(|(sender, _)| sender.try_send(piece)) {
            Some(Ok(())) => return,
            Some(Err(error)) => {
                let (std::sync::mpsc::TrySendError::Full(piece) | std::sync::mpsc::TrySendError::Disconnected(piece)) =
                    error;
                piece.lines().count()
            }
            None => 0,
        };
        self.dropped.add(u64::try_from(lost).unwrap_or(u64::MAX));
    }
}

fn run(pieces: &Receiver<String>, mut sink: Sink) {
    while let Ok(piece) = pieces.recv() {
        // Whoever closed standard output wants no more lines.
        if sink.write_all(piece.as_bytes()).and_then(|()| sink.flush()).is_err() {
            return;
        }
    }
}
