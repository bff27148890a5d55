//! A proxy with its listeners, fed by hand.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};
use weft_control::{Control, ControlSetter};
use weft_policy::model::{
    AccessLog, Authorization, Backend, BackendTarget, Clients, Endpoint, InboundPort, Labels, Network, Outbound,
    OutboundKind, OutboundRoute, Protocol, Ref, Routed, Transport, UnknownDestination, Workload,
};
use weft_proxy_core::config::{Config, Origin};
use weft_proxy_core::context::Proxy;
use weft_proxy_core::exchange::Direction;
use weft_proxy_core::metrics::{Limits, Metrics};
use weft_proxy_core::serve;

use super::certs::{Ca, spiffe};

/// Address of the service that applications call; nothing listens there.
pub const SERVICE: &str = "10.99.0.10:80";
pub const ENDPOINTS: &str = "endpoints/demo/app:80";
pub const SERVER_UID: &str = "uid-server";

pub struct Node {
    pub proxy: Rc<Proxy>,
    pub setter: ControlSetter,
    pub inbound: SocketAddr,
    pub outbound: SocketAddr,
    /// Original destination of inbound connections; the listener itself means mesh TLS to 4143.
    pub inbound_origin: Rc<Cell<SocketAddr>>,
    pub outbound_origin: Rc<Cell<SocketAddr>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Listens; knows nothing yet.
    pub fn bare(direct_port: u16) -> Self {
        Self::tuned(direct_port, |_| {})
    }

    pub fn tuned(direct_port: u16, tune: impl FnOnce(&mut Config)) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let inbound = serve::bind(&[any]).unwrap().remove(0);
        let outbound = serve::bind(&[any]).unwrap().remove(0);
        let inbound_at = inbound.local_addr().unwrap();
        let outbound_at = outbound.local_addr().unwrap();
        let inbound_origin = Rc::new(Cell::new(inbound_at));
        let outbound_origin = Rc::new(Cell::new(SERVICE.parse().unwrap()));
        let mut config = Config {
            inbound: vec![inbound_at],
            outbound: vec![outbound_at],
            admin: Vec::new(),
            direct_port,
            inbound_origin: Origin::Given(Rc::clone(&inbound_origin)),
            outbound_origin: Origin::Given(Rc::clone(&outbound_origin)),
            // The pod itself may always call itself; these clients are to be others.
            inbound_peer: Some("10.1.2.3".parse().unwrap()),
            ..Config::default()
        };
        // Short, so that tests see pools empty.
        config.limits.idle_mesh = std::time::Duration::from_secs(2);
        config.limits.idle_surplus = std::time::Duration::from_millis(500);
        config.limits.idle_plain = std::time::Duration::from_secs(1);
        config.limits.detect = std::time::Duration::from_millis(300);
        tune(&mut config);
        let (control, setter) = Control::memory();
        let proxy = Proxy::new(config, control, Metrics::new(Limits::default()));
        let tasks = vec![
            spawn_local(serve::accept(Rc::clone(&proxy), inbound, Direction::Inbound)),
            spawn_local(serve::accept(Rc::clone(&proxy), outbound, Direction::Outbound)),
        ];
        Self { proxy, setter, inbound: inbound_at, outbound: outbound_at, inbound_origin, outbound_origin, tasks }
    }

    /// Ready, as `account`.
    pub fn start(ca: &Ca, account: &str, direct_port: u16) -> Self {
        let node = Self::bare(direct_port);
        node.setter.set_credentials(ca.credentials(&spiffe(account)));
        node.setter.set_workload(workload(account, Vec::new()));
        node
    }

    /// Open connections of both directions.
    pub fn active(&self) -> usize {
        self.proxy.drain.active(Direction::Inbound) + self.proxy.drain.active(Direction::Outbound)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A server proxy before an application, a client proxy, and what makes the one find the other.
pub struct Pair {
    pub ca: Ca,
    pub client: Node,
    pub server: Node,
    pub app: SocketAddr,
}

impl Pair {
    pub fn start(app: SocketAddr) -> Self {
        Self::with(app, rule(app.port(), Protocol::Detect, anybody()))
    }

    pub fn with(app: SocketAddr, rule: InboundPort) -> Self {
        let ca = Ca::new();
        let server = Node::start(&ca, "server", 1);
        server.setter.set_workload(workload("server", vec![rule]));
        let client = Node::start(&ca, "client", server.inbound.port());
        let pair = Self { ca, client, server, app };
        pair.client.setter.set_endpoints(ENDPOINTS, vec![pair.endpoint()]);
        pair.client.setter.set_outbound(SERVICE.parse().unwrap(), routed(Protocol::Detect, ENDPOINTS));
        pair
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            address: self.app,
            pod_uid: SERVER_UID.to_owned(),
            identity: spiffe("server"),
            transport: Transport::Direct,
            zone: String::new(),
            labels: no_labels(),
        }
    }
}

pub fn no_labels() -> Labels {
    Arc::from([])
}

pub fn workload(account: &str, ports: Vec<InboundPort>) -> Workload {
    let mut ports: Vec<_> = ports.into_iter().map(Arc::new).collect();
    ports.sort_by_key(|port| port.port);
    Workload {
        mesh: "default".to_owned(),
        namespace: "demo".to_owned(),
        pod: format!("{account}-0"),
        pod_uid: format!("uid-{account}"),
        identity: spiffe(account),
        labels: no_labels(),
        ports,
        default_port: Arc::new(InboundPort::default()),
        inbound_ports: Vec::new(),
        unknown_destination: UnknownDestination::Refuse,
        access_log: AccessLog::Off,
        log_level: String::new(),
        pod_ips: Vec::new(),
        detect_timeout_ms: 300,
        forwarded_for: false,
        application_ended: false,
    }
}

pub fn rule(port: u16, protocol: Protocol, authorizations: Vec<Authorization>) -> InboundPort {
    InboundPort { port, protocol, authorizations, ..InboundPort::default() }
}

fn everywhere() -> Vec<Network> {
    ["0.0.0.0/0", "::/0"].map(|cidr| Network { cidr: cidr.parse().unwrap(), except: Vec::new() }).into()
}

fn granted(clients: Clients) -> Vec<Authorization> {
    let authorization = Ref { kind: "test".to_owned(), name: "grant".to_owned(), ..Ref::default() };
    vec![Authorization { authorization, networks: everywhere(), clients }]
}

pub fn anybody() -> Vec<Authorization> {
    granted(Clients::Unauthenticated)
}

pub fn identities(exact: &[&str]) -> Vec<Authorization> {
    granted(Clients::Identities { exact: exact.iter().map(|id| (*id).to_owned()).collect(), suffixes: Vec::new() })
}

pub fn backend(name: &str, weight: u32) -> Backend {
    let target = BackendTarget::Endpoints(Arc::from(name));
    Backend { weight, backend: Ref::default(), target, labels: no_labels() }
}

pub fn routed(protocol: Protocol, endpoints: &str) -> Outbound {
    split(protocol, vec![backend(endpoints, 1)])
}

pub fn split(protocol: Protocol, backends: Vec<Backend>) -> Outbound {
    let route = OutboundRoute { backends, ..OutboundRoute::default() };
    Outbound {
        destination: Ref::default(),
        protocol,
        kind: OutboundKind::Routed(Routed { routes: vec![route], ..Routed::default() }),
        labels: no_labels(),
        named: None,
    }
}
