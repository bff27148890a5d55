//! What Weft is compared with, and the application behind all of it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::spawn_local;

use crate::common::app::App;

/// Whoever leaves the client without answer and without end for so long waits for more.
const QUIET: Duration = Duration::from_secs(5);

/// First lines of the requests that applications have got whole.
#[derive(Clone, Default)]
pub struct Requests(Rc<RefCell<Vec<String>>>);

impl Requests {
    pub fn note(&self, line: String) {
        self.0.borrow_mut().push(line);
    }
}

/// A hyper server that answers every request with 200 and notes it.
pub struct Application {
    pub address: SocketAddr,
}

impl Application {
    pub async fn start(requests: Requests) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let requests = requests.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let requests = requests.clone();
                    async move {
                        let line = format!("{} {}", request.method(), request.uri());
                        // A request counts once its body has come to its end.
                        let response = Response::builder();
                        let status = match request.into_body().collect().await {
                            Ok(_) => {
                                requests.note(line);
                                200
                            }
                            Err(_) => 400,
                        };
                        Ok::<_, Infallible>(response.status(status).body(Full::new(Bytes::from_static(b"ok"))).unwrap())
                    }
                });
                spawn_local(async move {
                    let mut builder = http1::Builder::new();
                    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5));
                    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address }
    }
}

/// nginx as a proxy before `app`, on a socket in a folder of its own.
pub struct Nginx {
    pub socket: PathBuf,
    folder: PathBuf,
    child: Child,
}

impl Nginx {
    pub async fn start(app: SocketAddr) -> Self {
        // Short: a socket's path has room for 107 bytes.
        let folder = std::env::temp_dir().join(format!("weft-nginx-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("socket");
        let _ = fs::remove_file(&socket);
        let at = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind}; "))
            .concat();
        let config = format!(
            "worker_processes 1; daemon off; master_process off; pid {at}/pid; error_log stderr crit; events {{}}\n\
             http {{ {temporary} access_log off; upstream app {{ server {app}; keepalive 4; }}\n\
             server {{ listen unix:{at}/socket; location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_request_buffering off; proxy_ignore_client_abort on; }} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut child = Command::new("nginx")
            .args(["-e", "stderr", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx of the Debian package nginx-light");
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).await.is_err() {
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "nginx does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { socket, folder, child }
    }

    /// The same on a TCP port, whose connections are passed on byte for byte.
    pub async fn forwarder(&self) -> App {
        let socket = self.socket.clone();
        App::start(move |mut stream| {
            let socket = socket.clone();
            async move {
                let mut nginx = UnixStream::connect(socket).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut nginx).await;
            }
        })
        .await
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub enum Way {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What came of one case.
#[derive(Debug)]
pub struct Answer {
    said: String,
    /// By the server, in time.
    pub ended: bool,
    /// Methods and targets that the application has served.
    pub arrived: Vec<String>,
}

impl Answer {
    /// The statuses in their order; `-` where nothing was said.
    pub fn statuses(&self) -> String {
        let found: Vec<_> = self.said.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect();
        if found.is_empty() { "-".to_owned() } else { found.join(" ") }
    }
}

/// Sends `bytes` and reads what is answered until the end, or until nothing comes any more.
pub async fn exchange(requests: &Requests, way: Way, bytes: &[u8]) -> Answer {
    requests.0.borrow_mut().clear();
    let (said, ended) = match way {
        Way::Tcp(address) => talk(TcpStream::connect(address).await.unwrap(), bytes).await,
        Way::Unix(path) => talk(UnixStream::connect(path).await.unwrap(), bytes).await,
    };
    Answer { said, ended, arrived: requests.0.borrow().clone() }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> (String, bool) {
    // Whoever has refused may have closed already.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    let ended = loop {
        match tokio::time::timeout(QUIET, stream.read(&mut chunk)).await {
            Ok(Ok(count @ 1..)) => said.extend_from_slice(&chunk[..count]),
            Ok(_) => break true,
            Err(_) => break false,
        }
    };
    (String::from_utf8_lossy(&said).into_owned(), ended)
}
