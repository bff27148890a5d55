//! A small HTTP/1.1 server of its own, so that the test sees what arrives byte by byte.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// What every answer ends with.
pub const BODY: &[u8] = b"\r\n\r\nok";

pub struct App {
    pub address: SocketAddr,
    requests: Receiver<String>,
}

impl App {
    /// Listens on a free port until the process ends.
    pub fn start(ip: IpAddr) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let heard = heard.clone();
                thread::spawn(move || serve(stream.unwrap(), &heard));
            }
        });
        Self { address, requests }
    }

    /// The next request that has arrived.
    pub fn request(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(10)).expect("a request arrives")
    }
}

fn serve(mut stream: TcpStream, heard: &Sender<String>) {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        request.extend_from_slice(chunk.get(..count).unwrap());
        if request.ends_with(b"\r\n\r\n") {
            let _ = heard.send(String::from_utf8(std::mem::take(&mut request)).unwrap());
            if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}
