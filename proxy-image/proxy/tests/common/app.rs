//! Applications: what they answer is written byte for byte.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};

use super::read_until;

/// A listening application; every connection is given to a handler.
pub struct App {
    pub address: SocketAddr,
    /// Connections accepted so far.
    pub accepted: Rc<RefCell<usize>>,
    task: JoinHandle<()>,
}

impl App {
    pub async fn start<F, T>(handler: F) -> Self
    where
        F: Fn(TcpStream) -> T + 'static,
        T: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Rc::new(RefCell::new(0));
        let count = Rc::clone(&accepted);
        let task = spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.borrow_mut() += 1;
                spawn_local(handler(stream));
            }
        });
        Self { address, accepted, task }
    }

    /// Reads heads (and bodies with a Content-Length) and answers each with `answer`.
    pub async fn scripted(answer: &'static [u8]) -> (Self, Seen) {
        let seen = Seen::default();
        let heard = seen.clone();
        let app = Self::start(move |mut stream| {
            let heard = heard.clone();
            async move {
                loop {
                    let request = read_until(&mut stream, request_is_whole).await;
                    if request.is_empty() {
                        return;
                    }
                    heard.0.borrow_mut().push(String::from_utf8_lossy(&request).into_owned());
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        (app, seen)
    }

    pub async fn ok() -> (Self, Seen) {
        Self::scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    }

    pub fn connections(&self) -> usize {
        *self.accepted.borrow()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The requests that an application has read.
#[derive(Clone, Default)]
pub struct Seen(pub Rc<RefCell<Vec<String>>>);

impl Seen {
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    pub fn last(&self) -> String {
        self.0.borrow().last().cloned().expect("no request has arrived")
    }
}

pub fn request_is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let Some(head) = text.find("\r\n\r\n") else { return false };
    match text[..head].split("\r\ncontent-length: ").nth(1) {
        Some(rest) => bytes.len() >= head + 4 + rest.split("\r\n").next().unwrap().trim().parse::<usize>().unwrap(),
        None if text[..head].contains("transfer-encoding: chunked") => {
            text[head..].contains("\r\n0\r\n") && text.ends_with("\r\n\r\n")
        }
        None => true,
    }
}
