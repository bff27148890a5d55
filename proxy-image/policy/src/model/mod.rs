//! The domain model: what a proxy knows. Mirrors `proto/weft/config/v1` name for name, with invalid states removed.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use regex::Regex;

mod balancing;
mod carry;

pub use balancing::{Algorithm, Balancing, Ejection, HashKey};
pub use carry::{Abort, Breaker, Fault, RequestPolicy, Retry, RetryBudget, SuccessRate, Timeouts};

/// A Kubernetes object or a built-in rule behind a decision; becomes metric labels and log fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ref {
    /// Empty for core/v1.
    pub group: String,
    /// e.g. `server`, `service`, `default`.
    pub kind: String,
    /// Empty for cluster-scoped and built-in things.
    pub namespace: String,
    /// Name of the object, or of the default policy.
    pub name: String,
    /// Service port; 0 when not applicable.
    pub port: u16,
}

/// Metric labels in name order.
pub type Labels = Arc<[(Box<str>, Box<str>)]>;

/// How the bytes of a connection are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Look at the first bytes.
    #[default]
    Detect,
    /// HTTP/1.x.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// HTTP/2 whose failures are told as gRPC statuses.
    Grpc,
    /// Bytes; a server may speak first.
    Opaque,
    /// The application's own TLS, passed through.
    Tls,
}

/// What this pod is and how it accepts connections.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name of the mesh.
    pub mesh: String,
    /// Pod namespace.
    pub namespace: String,
    /// Pod name.
    pub pod: String,
    /// Pod UID; a preamble that names another is refused.
    pub pod_uid: String,
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    pub identity: String,
    /// Labels of everything this proxy measures.
    pub labels: Labels,
    /// Sorted by port; ports with a rule of their own.
    pub ports: Vec<Arc<InboundPort>>,
    /// Rules every other port.
    pub default_port: Arc<InboundPort>,
    /// Sorted; further ports that a preamble may name.
    pub inbound_ports: Vec<u16>,
    /// What happens to connections to addresses that nothing is known of.
    pub unknown_destination: UnknownDestination,
    /// Access log format.
    pub access_log: AccessLog,
    /// Filter directives; empty means the default.
    pub log_level: String,
    /// The pod's own addresses.
    pub pod_ips: Vec<IpAddr>,
    /// How long inbound detection waits for a client's first bytes, in milliseconds.
    pub detect_timeout_ms: u32,
    /// The application is told in X-Forwarded-For who called.
    pub forwarded_for: bool,
    /// All containers but the proxy have ended for good.
    pub application_ended: bool,
}

impl Workload {
    /// The rule for `port`: its own, or the default.
    #[must_use]
    pub fn port(&self, port: u16) -> &Arc<InboundPort> {
        match self.ports.binary_search_by_key(&port, |candidate| candidate.port) {
            Ok(index) => self.ports.get(index).unwrap_or(&self.default_port),
            Err(_) => &self.default_port,
        }
    }

    /// Whether a mesh preamble may name `port`.
    #[must_use]
    pub fn admits_port(&self, port: u16) -> bool {
        self.inbound_ports.binary_search(&port).is_ok() || self.ports.binary_search_by_key(&port, |p| p.port).is_ok()
    }
}

/// MeshConfig's rule for destinations that the control plane does not know, or cannot be asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownDestination {
    /// Bytes go to the original destination.
    #[default]
    PassThrough,
    /// The connection is closed.
    Refuse,
}

/// Access log format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    #[default]
    Off,
    /// Apache common log format with a few fields more.
    Apache,
    /// One JSON object a line.
    Json,
}

/// The rule of one inbound port.
#[derive(Clone, Debug, Default)]
pub struct InboundPort {
    /// 0 for the default rule.
    pub port: u16,
    /// Wins over what a client claims.
    pub protocol: Protocol,
    /// The Server or default policy behind the rule.
    pub server: Ref,
    /// Alternatives; empty admits nobody.
    pub authorizations: Vec<Authorization>,
    /// First match adds its authorizations.
    pub routes: Vec<InboundRoute>,
    /// A request without a matching route is answered 404.
    pub unmatched_not_found: bool,
    /// Refusals are counted but let through.
    pub audit: bool,
    /// Requests under way at one time; None: no limit.
    pub max_requests: Option<u32>,
    /// A client's connection is ended gently at this age; None: never.
    pub max_connection_age: Option<Duration>,
}

/// Requests with authorizations of their own on one port.
#[derive(Clone, Debug, Default)]
pub struct InboundRoute {
    /// The object behind it.
    pub route: Ref,
    /// Alternatives; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// Added to the port's.
    pub authorizations: Vec<Authorization>,
}

/// Admits a client whose address and authentication both fit.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The object behind it.
    pub authorization: Ref,
    /// Empty matches nobody.
    pub networks: Vec<Network>,
    /// What the client has to prove.
    pub clients: Clients,
}

/// What a client has to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Nothing.
    Unauthenticated,
    /// Mesh TLS, with a certificate or without.
    UnauthenticatedTls,
    /// Any verified mesh identity.
    AnyIdentity,
    /// One of these verified identities.
    Identities {
        /// spiffe:// URIs or DNS forms, compared whole.
        exact: Vec<String>,
        /// Ends of DNS forms, each with its leading dot.
        suffixes: Vec<String>,
    },
}

/// An address range with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The range.
    pub cidr: IpNet,
    /// Holes in it.
    pub except: Vec<IpNet>,
}

/// Conditions on a request; all that are given must hold.
#[derive(Clone, Debug, Default)]
pub struct HttpMatch {
    /// None: any path.
    pub path: Option<PathMatch>,
    /// All must hold.
    pub headers: Vec<HeaderMatch>,
    /// All must hold.
    pub query: Vec<QueryMatch>,
    /// Empty: any.
    pub methods: Vec<String>,
}

/// Condition on the path, without the query.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// Whole path.
    Exact(String),
    /// Whole path elements from the start.
    Prefix(String),
    /// Already anchored as its source demands.
    Regex(Regex),
}

/// Condition on a header.
#[derive(Clone, Debug)]
pub struct HeaderMatch {
    /// Lower case.
    pub name: String,
    /// On one of its values.
    pub value: ValueMatch,
}

/// Condition on a query parameter.
#[derive(Clone, Debug)]
pub struct QueryMatch {
    /// Compared whole, case-sensitive.
    pub name: String,
    /// On its first value.
    pub value: ValueMatch,
}

/// Condition on a value.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// Whole value.
    Exact(String),
    /// Anchored at both ends.
    Regex(Regex),
}

/// Where a connection to one address goes.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The Service port or pod behind the address.
    pub destination: Ref,
    /// How to read the client's bytes.
    pub protocol: Protocol,
    /// What to do with them.
    pub kind: OutboundKind,
    /// Labels of the destination.
    pub labels: Labels,
    /// Only with [`OutboundKind::Endpoint`]: where HTTP requests go whose host is not the address itself.
    pub named: Option<Routed>,
}

/// What to do with a connection.
#[derive(Clone, Debug)]
pub enum OutboundKind {
    /// Routed and balanced.
    Routed(Routed),
    /// One known endpoint.
    Endpoint(Arc<Endpoint>),
    /// Bytes to the original destination.
    PassThrough,
    /// Closed, for this reason.
    Refused(String),
}

/// Routes in order of precedence.
#[derive(Clone, Debug, Default)]
pub struct Routed {
    /// First match wins.
    pub routes: Vec<OutboundRoute>,
    /// Serves what no route matches.
    pub default_backends: Vec<Backend>,
    /// How requests are carried: the first that matches.
    pub policies: Vec<Arc<RequestPolicy>>,
}

/// One rule of a Service's traffic.
#[derive(Clone, Debug, Default)]
pub struct OutboundRoute {
    /// The object behind it.
    pub route: Ref,
    /// Alternatives; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// Chosen by weight.
    pub backends: Vec<Backend>,
    /// A backend without a ready endpoint cedes its share to the others.
    pub cede_unavailable: bool,
}

/// One weighted choice.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Relative, above 0.
    pub weight: u32,
    /// The Service behind it.
    pub backend: Ref,
    /// What answers.
    pub target: BackendTarget,
    /// Labels of the backend.
    pub labels: Labels,
}

/// What answers for a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendTarget {
    /// The endpoints resource of this name.
    Endpoints(Arc<str>),
    /// The proxy, with this status.
    Error(u16),
}

/// How to reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As the application sent it.
    Plain,
    /// Mesh TLS to the peer's port 4143.
    Direct,
    /// Mesh TLS to the application's port.
    Redirect,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Application address.
    pub address: SocketAddr,
    /// Empty when unknown.
    pub pod_uid: String,
    /// Expected spiffe:// identity; empty only for plain endpoints.
    pub identity: String,
    /// How to reach it.
    pub transport: Transport,
    /// Topology zone; may be empty.
    pub zone: String,
    /// Labels of the endpoint.
    pub labels: Labels,
}

/// All endpoints of one endpoints resource, sorted by address, and how requests are spread over them.
#[derive(Clone, Debug)]
pub struct EndpointSet {
    /// Sorted by address.
    pub endpoints: Arc<[Arc<Endpoint>]>,
    /// Shared by the sets that follow each other with the same.
    pub balancing: Arc<Balancing>,
}

impl Deref for EndpointSet {
    type Target = [Arc<Endpoint>];

    fn deref(&self) -> &Self::Target {
        &self.endpoints
    }
}

impl Default for EndpointSet {
    fn default() -> Self {
        Self { endpoints: Arc::new([]), balancing: Arc::default() }
    }
}
