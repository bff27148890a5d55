//! What is answered at which path.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::request::{Method, Request};
use super::{Caller, config};
use crate::context::Proxy;
use crate::exchange::Direction;
use crate::metrics::Metrics;

/// The application must accept a probe's connection in this time. Kubelets give up after their own timeout, one second by default.
const PROBE: Duration = Duration::from_secs(5);

/// To a caller from outside who asks for a drain.
const OUTSIDER: &str =
    "only the pod itself may drain its proxy: run `weft-proxy drain` in the proxy's container, or ask at 127.0.0.1\n";

/// An answer to be written.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: Body,
}

/// What follows the head.
pub(super) enum Body {
    /// Known length.
    Whole(String),
    /// Written piece by piece.
    Metrics(Metrics),
}

impl Answer {
    pub(super) fn plain(status: u16, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: Body::Whole(text.to_owned()) }
    }
}

/// Answers one request of `caller`.
pub(super) async fn answer(proxy: &Rc<Proxy>, request: &Request, caller: &Caller) -> Answer {
    let reads = matches!(request.method, Method::Get | Method::Head);
    match request.path.as_str() {
        // Whoever can reach this port could end this pod's service otherwise, and that is every pod of the cluster.
        "/drain" if !caller.is_loopback() => Answer::plain(403, OUTSIDER),
        "/drain" if matches!(request.method, Method::Get | Method::Post) => {
            caller.waits();
            drain(proxy).await
        }
        _ if !reads => Answer::plain(405, "method not allowed\n"),
        "/ready" if proxy.ready() => Answer::plain(200, "ready\n"),
        "/ready" => Answer::plain(503, &format!("{}\n", unready(proxy))),
        "/live" => Answer::plain(200, "live\n"),
        "/metrics" => Answer {
            status: 200,
            kind: "text/plain; version=0.0.4; charset=utf-8",
            body: Body::Metrics(proxy.metrics.clone()),
        },
        "/config" => Answer { status: 200, kind: "application/json", body: Body::Whole(config::render(proxy)) },
        path => match path.strip_prefix("/probe/tcp/") {
            Some(port) => probe(proxy, port, caller.local).await,
            None => Answer::plain(404, "not found\n"),
        },
    }
}

/// What readiness waits for, in the order in which it comes.
fn unready(proxy: &Proxy) -> &'static str {
    if proxy.drain.draining() {
        "draining"
    } else if proxy.control.credentials().borrow().is_none() {
        "no certificate yet: check that the operator is reachable and accepts this pod's token"
    } else {
        "no configuration yet: check that the operator is reachable"
    }
}

/// Begins the end, and answers once inbound is idle or the deadline has come.
async fn drain(proxy: &Proxy) -> Answer {
    proxy.drain.begin();
    if proxy.drain.idle(Direction::Inbound, proxy.config.drain).await {
        Answer::plain(200, "drained\n")
    } else {
        Answer::plain(200, "deadline reached with connections still open\n")
    }
}

/// Whether the application accepts connections on `port`: at the address the probe came to, which is the pod's own.
async fn probe(proxy: &Proxy, port: &str, local: Option<SocketAddr>) -> Answer {
    let (Ok(port), Some(local)) = (port.parse::<u16>(), local) else {
        return Answer::plain(404, "not a port\n");
    };
    if port == 0 || proxy.is_own_port(port) {
        return Answer::plain(404, "not a port of the application\n");
    }
    let address = SocketAddr::new(local.ip().to_canonical(), port);
    match timeout(PROBE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Answer::plain(200, "accepts\n"),
        Ok(Err(error)) => Answer::plain(503, &format!("{address}: {error}\n")),
        Err(_) => Answer::plain(503, &format!("{address}: does not accept\n")),
    }
}
