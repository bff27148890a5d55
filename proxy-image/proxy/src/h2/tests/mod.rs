//! Real HTTP/2 clients and servers around the production code: the client over a pipe, servers on loopback.

mod bodies;
mod bounds;
mod carry;
mod liveness;
mod mesh;
mod requests;
mod upstreams;
mod writes;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::h2::client::SendRequest;
use ::h2::server::SendResponse;
use ::h2::{RecvStream, SendStream};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, request};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use weft_control::{Control, ControlSetter};
use weft_policy::model::{
    Authorization, Backend as Weighted, BackendTarget, Clients, Endpoint, InboundPort, Network, Outbound, OutboundKind,
    Protocol, Ref, RequestPolicy, Routed, Transport, Workload,
};
use weft_policy::{Client, ClientTls};

use super::serve;
use crate::config::Config;
use crate::context::Proxy;
use crate::exchange::{InboundRules, OutboundRules, Session, Target};
use crate::metrics::{Limits, Metrics};

const SERVICE: &str = "endpoints/demo/web:80";
const PATIENCE: Duration = Duration::from_secs(20);

async fn local<F: Future>(test: F) -> F::Output {
    timeout(Duration::from_secs(60), LocalSet::new().run_until(test)).await.expect("the test ends in time")
}

/// Waits until `holds`, for at most [`PATIENCE`].
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// An application that speaks HTTP/2.
struct Backend {
    address: SocketAddr,
    connections: Rc<Cell<usize>>,
    requests: Rc<RefCell<Vec<request::Parts>>>,
    /// Makes its connections say GOAWAY.
    leave: Rc<Notify>,
}

type Exchange = (RecvStream, SendResponse<Bytes>);

impl Backend {
    /// Calls `handler` with the number of the request, counted from 0, and the exchange; `streams` is what it allows on one connection.
    async fn start<H, F>(streams: u32, handler: H) -> Self
    where
        H: Fn(usize, Exchange) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            connections: Rc::default(),
            requests: Rc::default(),
            leave: Rc::default(),
        };
        let (connections, requests) = (Rc::clone(&backend.connections), Rc::clone(&backend.requests));
        let (leave, handler) = (Rc::clone(&backend.leave), Rc::new(handler));
        spawn_local(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                connections.set(connections.get() + 1);
                let (requests, leave) = (Rc::clone(&requests), Rc::clone(&leave));
                let handler = Rc::clone(&handler);
                spawn_local(async move {
                    let mut builder = ::h2::server::Builder::new();
                    // With the protocol's default of 64 kB a single stalled stream stalls its whole connection, proxy or not.
                    builder.initial_connection_window_size(16 * 1024 * 1024);
                    let Ok(mut connection) =
                        builder.max_concurrent_streams(streams).handshake::<_, Bytes>(socket).await
                    else {
                        return;
                    };
                    loop {
                        tokio::select! {
                            accepted = connection.accept() => {
                                let Some(Ok((request, respond))) = accepted else { return };
                                let (parts, body) = request.into_parts();
                                let number = requests.borrow().len();
                                requests.borrow_mut().push(parts);
                                spawn_local(handler(number, (body, respond)));
                            }
                            () = leave.notified() => connection.graceful_shutdown(),
                        }
                    }
                });
            }
        });
        backend
    }

    /// Answers every request with an empty 200, after reading it.
    async fn plain() -> Self {
        Self::start(100, |_, (mut body, mut respond)| async move {
            drain(&mut body).await;
            let _ = respond.send_response(Response::new(()), true);
        })
        .await
    }

    /// Answers every request with its own body and trailers.
    async fn echo() -> Self {
        Self::start(100, |_, (mut body, mut respond)| async move {
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            while let Some(Ok(chunk)) = body.data().await {
                let length = chunk.len();
                if send(&mut out, chunk).await.is_err() {
                    return;
                }
                let _ = body.flow_control().release_capacity(length);
            }
            let trailers = body.trailers().await.ok().flatten().unwrap_or_default();
            let _ = out.send_trailers(trailers);
        })
        .await
    }

    fn served(&self) -> usize {
        self.requests.borrow().len()
    }
}

/// Reads a body to its end; its length and trailers.
async fn drain(body: &mut RecvStream) -> (usize, Option<HeaderMap>) {
    let mut length = 0;
    while let Some(Ok(chunk)) = body.data().await {
        length += chunk.len();
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    (length, body.trailers().await.ok().flatten())
}

/// Sends with back-pressure.
async fn send(to: &mut SendStream<Bytes>, mut chunk: Bytes) -> Result<(), ()> {
    while !chunk.is_empty() {
        to.reserve_capacity(chunk.len());
        let Some(Ok(capacity)) = poll_fn(|context| to.poll_capacity(context)).await else { return Err(()) };
        to.send_data(chunk.split_to(capacity.min(chunk.len())), false).map_err(|_| ())?;
    }
    Ok(())
}

struct World {
    proxy: Rc<Proxy>,
    setter: ControlSetter,
    policies: RefCell<Vec<Arc<RequestPolicy>>>,
}

fn reference(kind: &str, name: &str) -> Ref {
    Ref { kind: kind.into(), namespace: "demo".into(), name: name.into(), ..Ref::default() }
}

fn service() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 96, 0, 1), 80))
}

impl World {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let (control, setter) = Control::memory();
        let proxy = Proxy::new(config, control, Metrics::new(Limits::default()));
        let world = Self { proxy, setter, policies: RefCell::default() };
        world.set_authorizations(Vec::new());
        world
    }

    fn set_authorizations(&self, authorizations: Vec<Authorization>) {
        self.set_workload(authorizations, Vec::new());
    }

    fn set_workload(&self, authorizations: Vec<Authorization>, inbound_ports: Vec<u16>) {
        let port = InboundPort { server: reference("server", "web"), authorizations, ..InboundPort::default() };
        self.set_rule(port, inbound_ports);
    }

    fn set_rule(&self, port: InboundPort, inbound_ports: Vec<u16>) {
        self.setter.set_workload(Workload {
            mesh: "default".into(),
            namespace: "demo".into(),
            pod: "client-1".into(),
            pod_uid: "uid".into(),
            identity: "spiffe://mesh/ns/demo/sa/client".into(),
            labels: Arc::from([(Box::from("deployment"), Box::from("client"))]),
            ports: Vec::new(),
            default_port: Arc::new(port),
            inbound_ports,
            unknown_destination: Default::default(),
            access_log: Default::default(),
            log_level: String::new(),
            pod_ips: vec![IpAddr::from([10, 0, 0, 9])],
            detect_timeout_ms: 0,
            forwarded_for: false,
            application_ended: false,
        });
    }

    fn limit_requests(&self, limit: u32) {
        self.set_rule(InboundPort { max_requests: Some(limit), ..anybodys() }, Vec::new());
    }

    fn limit_age(&self, age: Duration) {
        self.set_rule(InboundPort { max_connection_age: Some(age), ..anybodys() }, Vec::new());
    }

    /// Sends the Service's traffic to `addresses`.
    async fn route_to(&self, addresses: &[SocketAddr]) -> Rc<Session> {
        let endpoint = |address: &SocketAddr| Endpoint {
            address: *address,
            pod_uid: address.to_string(),
            identity: String::new(),
            transport: Transport::Plain,
            zone: String::new(),
            labels: Arc::from([(Box::from("dst_pod"), Box::from(address.to_string()))]),
        };
        self.setter.set_endpoints(SERVICE, addresses.iter().map(endpoint).collect());
        let backend = Weighted {
            weight: 1,
            backend: reference("service", "web"),
            target: BackendTarget::Endpoints(Arc::from(SERVICE)),
            labels: Arc::from([]),
        };
        self.setter.set_outbound(
            service(),
            Outbound {
                destination: reference("service", "web"),
                protocol: Protocol::Http2,
                kind: OutboundKind::Routed(Routed {
                    default_backends: vec![backend],
                    policies: self.policies.borrow().clone(),
                    ..Routed::default()
                }),
                labels: Arc::from([]),
                named: None,
            },
        );
        let destination = self.proxy.control.outbound(service()).await;
        let rules = OutboundRules::new(&self.proxy, service(), destination.resolution);
        let client = Client::new(Ipv4Addr::LOCALHOST.into(), ClientTls::None, &[]);
        Session::outbound(&self.proxy, client, rules)
    }

    /// A session of a caller from another pod, to the application at `address`.
    fn inbound(&self, address: SocketAddr, tls: ClientTls) -> Rc<Session> {
        let client = Client::new(IpAddr::from([10, 0, 0, 7]), tls, &[]);
        let rules = InboundRules::new(address.port(), Target::plain(address, crate::exchange::Direction::Inbound));
        Session::inbound(&self.proxy, client, rules)
    }

    fn metric(&self, line: &str) -> bool {
        self.proxy.metrics.render().lines().any(|other| line.split('|').all(|part| other.contains(part)))
    }
}

fn anybodys() -> InboundPort {
    InboundPort { server: reference("server", "web"), authorizations: anybody(), ..InboundPort::default() }
}

fn anybody() -> Vec<Authorization> {
    let network = Network { cidr: "0.0.0.0/0".parse().unwrap(), except: Vec::new() };
    vec![Authorization {
        authorization: reference("authorizationpolicy", "all"),
        networks: vec![network],
        clients: Clients::Unauthenticated,
    }]
}

/// A client of `session`; the handle ends when the proxy's side of the connection does.
async fn connect(session: Rc<Session>) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let serving = spawn_local(serve(session, theirs));
    let (sender, driver) = ::h2::client::handshake(ours).await.unwrap();
    spawn_local(async move {
        let _ = driver.await;
    });
    (sender, serving)
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://web.demo{path}")).body(()).unwrap()
}

fn grpc() -> Request<()> {
    Request::post("http://web.demo/pkg.Service/Call")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

/// Sends a request without a body and reads the response's head.
async fn ask(client: &SendRequest<Bytes>, request: Request<()>) -> Result<Response<RecvStream>, ::h2::Error> {
    let mut client = client.clone().ready().await?;
    client.send_request(request, true)?.0.await
}
