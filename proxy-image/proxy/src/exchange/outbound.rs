//! Where the application's requests and connections go.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use weft_control::Resolution;
use weft_policy::balance::{key_of, key_of_connection};
use weft_policy::carry::Injection;
use weft_policy::model::{
    self, Backend, BackendTarget, Balancing, OutboundKind, OutboundRoute, Routed, UnknownDestination,
};
use weft_policy::{RequestView, pick_backend, select_connection, select_policy, select_route};

use super::connection::ConnectionPlan;
use super::session::{Plan, Refused};
use super::{Carried, Counted, Direction, ErrorReason, Tally, Target};
use crate::balance::{Balancer, Discipline, Picked, Want, now_ns, random};
use crate::carry::{Begun, Carrier, Carry};
use crate::context::Proxy;
use crate::metrics::{LabelBuilder, SeriesLabels, Tls};
use crate::refusal::Refusal;

/// Series remembered beside one endpoint; more are resolved anew.
const REMEMBERED: usize = 64;

/// What is resolved once for one version of an outbound resource and shared by all connections to it.
pub struct Table {
    id: u64,
    outbound: Arc<model::Outbound>,
    balancers: Vec<(Arc<str>, Rc<Balancer>)>,
    /// In the order of the policies.
    carriers: Vec<Rc<Carrier>>,
    http: Cell<bool>,
}

/// Kept beside each endpoint: where to dial, and the series of each (table, route, backend).
struct Beside {
    target: Target,
    counted: RefCell<Vec<(Key, Rc<Counted>)>>,
}

type Key = (u64, usize, usize);

thread_local! {
    static TABLES: Cell<u64> = const { Cell::new(0) };
}

/// The request asks for a connection that stays: a tunnel, or another protocol. Offers of HTTP/2 come with ordinary requests and are not taken up.
fn asks_to_stay(view: &impl RequestView) -> bool {
    let other = |field: &[u8]| !field.trim_ascii().eq_ignore_ascii_case(b"h2c");
    view.method() == "CONNECT" || view.header("upgrade").any(other)
}

/// What the connection is told apart by.
fn connection_key(proxy: &Proxy, balancing: &Balancing) -> Option<u64> {
    let workload = proxy.workload()?;
    key_of_connection(balancing, &workload.identity, &workload.pod_uid)
}

/// What the request is told apart by.
fn hash_key(proxy: &Proxy, balancing: &Balancing, view: &impl RequestView) -> Option<u64> {
    let workload = proxy.workload()?;
    key_of(balancing, view, &workload.identity, &workload.pod_uid)
}

fn key<T>(of: Option<&T>) -> usize {
    of.map_or(0, |of| std::ptr::from_ref(of) as usize)
}

fn outgoing() -> LabelBuilder {
    LabelBuilder::new(Direction::Outbound)
}

fn backends(routed: &Routed) -> impl Iterator<Item = &Backend> {
    routed.routes.iter().flat_map(|route| &route.backends).chain(&routed.default_backends)
}

/// The request is meant for a host that is not the address it was sent to: an ingress dials a pod and passes its client's Host on, whereas
/// a scraper that names the pod's address means that very pod.
fn names_another<V: RequestView>(view: &V, dialled: IpAddr) -> bool {
    let Some(host) = view.header("host").next().and_then(|host| std::str::from_utf8(host).ok()) else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = host.parse().map(|host: SocketAddr| host.ip()).or_else(|_| bare.parse());
    !host.is_empty() && address.map_or(true, |address: IpAddr| address.to_canonical() != dialled.to_canonical())
}

impl Table {
    /// Resolves the balancers that `outbound` names.
    #[must_use]
    pub fn new(proxy: &Proxy, outbound: Arc<model::Outbound>) -> Rc<Self> {
        let mut balancers: Vec<(Arc<str>, Rc<Balancer>)> = Vec::new();
        let mut carriers = Vec::new();
        let routed = match &outbound.kind {
            OutboundKind::Routed(routed) => Some(routed),
            OutboundKind::Endpoint(endpoint) => {
                // First, because it serves whatever is not sent elsewhere by its host.
                balancers.push((Arc::from(""), Balancer::fixed(endpoint)));
                outbound.named.as_ref()
            }
            OutboundKind::PassThrough | OutboundKind::Refused(_) => None,
        };
        if let Some(routed) = routed {
            carriers.extend(routed.policies.iter().map(|policy| proxy.carriers.carrier(&proxy.metrics, policy)));
            for backend in backends(routed) {
                let BackendTarget::Endpoints(name) = &backend.target else { continue };
                if !balancers.iter().any(|(known, _)| known == name) {
                    balancers.push((Arc::clone(name), proxy.balancers.get(name)));
                }
            }
        }
        TABLES.set(TABLES.get() + 1);
        Rc::new(Self { id: TABLES.get(), outbound, balancers, carriers, http: Cell::new(false) })
    }

    /// The resource that it was made of.
    #[must_use]
    pub fn outbound(&self) -> &Arc<model::Outbound> {
        &self.outbound
    }

    /// Clients have spoken HTTP to this destination: its servers do not speak first, and a silent client is only early.
    #[must_use]
    pub fn is_http(&self) -> bool {
        self.http.get()
    }

    /// A client speaks HTTP to this destination.
    pub fn remember_http(&self) {
        self.http.set(true);
    }

    fn balancer(&self, name: &str) -> Option<&Rc<Balancer>> {
        self.balancers.iter().find(|(known, _)| &**known == name).map(|(_, balancer)| balancer)
    }

    fn labels(
        &self,
        labels: LabelBuilder,
        proxy: &Proxy,
        route: Option<&OutboundRoute>,
        backend: Option<&Backend>,
        target: Option<&Target>,
    ) -> SeriesLabels {
        let mut labels = labels;
        if let Some(workload) = proxy.workload() {
            labels = labels.with_all(&workload.labels);
        }
        let endpoint = target.and_then(|target| target.endpoint.as_ref());
        if let Some(endpoint) = endpoint {
            labels = labels.with_all(&endpoint.labels);
        }
        if let Some(backend) = backend {
            labels = labels.with_all(&backend.labels);
        }
        labels = labels.with_all(&self.outbound.labels);
        if let Some(route) = route {
            labels = labels.with_ref("route", &route.route);
        }
        let meshed = endpoint.filter(|endpoint| endpoint.transport != model::Transport::Plain);
        let tls = if meshed.is_some() { Tls::Verified } else { Tls::None };
        labels.with_tls(tls, Direction::Outbound, meshed.map(|endpoint| endpoint.identity.as_str())).build()
    }

    /// Begins to carry a request by the first policy that matches it; None: by none.
    fn carry(&self, proxy: &Proxy, routed: &Routed, view: &impl RequestView) -> Option<Begun> {
        if self.carriers.is_empty() {
            return None;
        }
        let (index, _) = select_policy(routed, view)?;
        let workload = proxy.workload();
        let identity = workload.as_ref().map_or("", |workload| workload.identity.as_str());
        Some(Carry::begin(self.carriers.get(index)?, view, identity))
    }

    /// The answer to a request that its policy does not let go on.
    #[cold]
    fn not_carried(
        &self,
        proxy: &Rc<Proxy>,
        route: Option<&OutboundRoute>,
        reason: ErrorReason,
        injection: Option<Injection>,
    ) -> Refused {
        let labels = self.labels(outgoing(), proxy, route, None, None);
        let counted = Rc::new(Counted { series: proxy.metrics.request_series(&labels), decision: None });
        let refused = Refused::new(reason, Tally::begin(proxy, Direction::Outbound, counted, None));
        match injection {
            Some(Injection { delay, abort: Some(abort) }) => {
                Refused { status: abort.status, grpc: abort.grpc, delay, ..refused }
            }
            _ => refused,
        }
    }

    fn beside(&self, picked: &Picked) -> Rc<Beside> {
        picked.attachment(|endpoint| Beside { target: Target::endpoint(endpoint), counted: RefCell::default() })
    }

    fn counted(
        &self,
        proxy: &Proxy,
        route: Option<&OutboundRoute>,
        backend: Option<&Backend>,
        beside: &Beside,
    ) -> Rc<Counted> {
        let key = (self.id, key(route), key(backend));
        if let Some((_, counted)) = beside.counted.borrow().iter().find(|(known, _)| *known == key) {
            return Rc::clone(counted);
        }
        let labels = self.labels(outgoing(), proxy, route, backend, Some(&beside.target));
        let counted = Rc::new(Counted { series: proxy.metrics.request_series(&labels), decision: None });
        let mut remembered = beside.counted.borrow_mut();
        if remembered.len() >= REMEMBERED {
            // Tables of older versions leave their entries behind.
            remembered.clear();
        }
        remembered.push((key, Rc::clone(&counted)));
        counted
    }
}

/// The outbound half of a session.
pub struct Outbound {
    original: SocketAddr,
    resolution: RefCell<watch::Receiver<Resolution>>,
    table: RefCell<Option<Rc<Table>>>,
}

/// What a request or connection is left with when nothing serves it.
struct Unserved<'a> {
    reason: ErrorReason,
    status: u16,
    route: Option<&'a OutboundRoute>,
    backend: Option<&'a Backend>,
}

struct Chosen<'a> {
    route: Option<&'a OutboundRoute>,
    backend: Option<&'a Backend>,
    balancer: &'a Rc<Balancer>,
    picked: Picked,
}

impl Outbound {
    /// For connections to `original`.
    #[must_use]
    pub fn new(proxy: &Rc<Proxy>, original: SocketAddr, mut resolution: watch::Receiver<Resolution>) -> Self {
        resolution.mark_changed();
        let outbound = Self { original, resolution: RefCell::new(resolution), table: RefCell::default() };
        outbound.table(proxy);
        outbound
    }

    /// The original destination.
    pub fn address(&self) -> SocketAddr {
        self.original
    }

    /// The newest version of the resource; None while the destination is unknown.
    pub fn table(&self, proxy: &Rc<Proxy>) -> Option<Rc<Table>> {
        let mut resolution = self.resolution.borrow_mut();
        if resolution.has_changed().unwrap_or(false) {
            let table = match &*resolution.borrow_and_update() {
                Resolution::Known(outbound) => Some(proxy.table(outbound)),
                Resolution::Pending | Resolution::Unknown => None,
            };
            self.table.replace(table);
        }
        self.table.borrow().clone()
    }

    fn choose<'a>(
        table: &'a Table,
        choice: Option<weft_policy::Choice<'a>>,
        pick: impl Fn(&Balancer) -> Option<Picked>,
    ) -> Result<Chosen<'a>, Unserved<'a>> {
        let fail = |reason: ErrorReason, status, route, backend| Unserved { reason, status, route, backend };
        let Some(choice) = choice else {
            let unserved = || fail(ErrorReason::NoEndpoint, 503, None, None);
            let (_, balancer) = table.balancers.first().ok_or_else(unserved)?;
            let picked = pick(balancer).ok_or_else(unserved)?;
            return Ok(Chosen { route: None, backend: None, balancer, picked });
        };
        let ready = |name: &str| table.balancer(name).is_some_and(|balancer| balancer.ready());
        let backend = pick_backend(&choice, ready, random())
            .ok_or_else(|| fail(ErrorReason::InvalidBackend, 500, choice.route, None))?;
        let name = match &backend.target {
            BackendTarget::Endpoints(name) => name,
            BackendTarget::Error(status) => {
                return Err(fail(ErrorReason::InvalidBackend, *status, choice.route, Some(backend)));
            }
        };
        let unserved = || fail(ErrorReason::NoEndpoint, 503, choice.route, Some(backend));
        let balancer = table.balancer(name).ok_or_else(unserved)?;
        let picked = pick(balancer).ok_or_else(unserved)?;
        Ok(Chosen { route: choice.route, backend: Some(backend), balancer, picked })
    }

    fn passes_through(proxy: &Proxy) -> bool {
        proxy.workload().is_some_and(|workload| workload.unknown_destination == UnknownDestination::PassThrough)
    }

    /// See [`super::Session::decide`].
    pub fn decide<V: RequestView>(&self, proxy: &Rc<Proxy>, view: &V) -> Result<Plan, Refused> {
        let plain = || {
            let counted = Rc::new(Counted { series: proxy.unlabelled(), decision: None });
            let tally = Tally::begin(proxy, Direction::Outbound, counted, None);
            Plan::new(Target::plain(self.original, Direction::Outbound), tally)
        };
        let Some(table) = self.table(proxy) else {
            let plan = plain();
            if Self::passes_through(proxy) {
                return Ok(plan);
            }
            return Err(Refused::new(ErrorReason::NoRoute, plan.tally));
        };
        let routed = match &table.outbound.kind {
            OutboundKind::Routed(routed) => Some(routed),
            OutboundKind::Endpoint(_) => {
                table.outbound.named.as_ref().filter(|_| names_another(view, self.original.ip()))
            }
            OutboundKind::PassThrough => return Ok(plain()),
            OutboundKind::Refused(_) => {
                return Err(Refused::new(ErrorReason::NoRoute, plain().tally));
            }
        };
        let choice = routed.map(|routed| select_route(routed, view));
        let begun = routed.and_then(|routed| table.carry(proxy, routed, view));
        let (carried, injection) = match begun {
            None => (None, None),
            Some(Begun { result: Ok(carried), injection }) => (Some(carried), injection),
            Some(Begun { result: Err(reason), injection }) => {
                return Err(table.not_carried(
                    proxy,
                    choice.as_ref().and_then(|choice| choice.route),
                    reason,
                    injection,
                ));
            }
        };
        let delay = injection.map_or(Duration::ZERO, |injection| injection.delay);
        let discipline = if asks_to_stay(view) { Discipline::LeastPending } else { Discipline::PeakEwma };
        let want = Cell::new(Want { discipline, key: None });
        let pick = |balancer: &Balancer| {
            let key = balancer.keyed().and_then(|balancing| hash_key(proxy, &balancing, view));
            want.set(Want { discipline, key });
            balancer.pick(now_ns(), want.get(), &[])
        };
        match Self::choose(&table, choice, pick) {
            Ok(chosen) => {
                let beside = table.beside(&chosen.picked);
                let counted = table.counted(proxy, chosen.route, chosen.backend, &beside);
                let balancer = Some(Rc::clone(chosen.balancer));
                let mut tally = Tally::begin(proxy, Direction::Outbound, counted, Some(chosen.picked));
                let carry = carried.map(|(carry, permit)| {
                    tally.carried(Carried::Policy(Rc::clone(carry.carrier()), permit));
                    carry
                });
                let (target, want) = (beside.target.clone(), want.get());
                Ok(Plan { target, tally, carry, delay, balancer, want, tried: Vec::new(), others: 0 })
            }
            Err(Unserved { reason, status, route, backend }) => {
                if let Some((carry, _permit)) = &carried {
                    carry.carrier().ended(None);
                }
                let labels = table.labels(outgoing(), proxy, route, backend, None);
                let counted = Rc::new(Counted { series: proxy.metrics.request_series(&labels), decision: None });
                let tally = Tally::begin(proxy, Direction::Outbound, counted, None);
                Err(Refused { status, delay, ..Refused::new(reason, tally) })
            }
        }
    }

    /// See [`super::Session::connect`].
    pub fn connect(&self, proxy: &Rc<Proxy>) -> Result<ConnectionPlan, Refusal> {
        let plain = || {
            let target = Target::plain(self.original, Direction::Outbound);
            let series = target.series(proxy);
            ConnectionPlan::new(target, None, series)
        };
        let Some(table) = self.table(proxy) else {
            return if Self::passes_through(proxy) { Ok(plain()) } else { Err(Refusal::UnknownDestination) };
        };
        let choice = match &table.outbound.kind {
            OutboundKind::Routed(routed) => Some(select_connection(routed)),
            OutboundKind::Endpoint(_) => None,
            OutboundKind::PassThrough => return Ok(plain()),
            OutboundKind::Refused(_) => return Err(Refusal::RefusedDestination),
        };
        let pick = |balancer: &Balancer| {
            let key = balancer.keyed().and_then(|balancing| connection_key(proxy, &balancing));
            balancer.pick(now_ns(), Want { discipline: Discipline::LeastPending, key }, &[])
        };
        let chosen = Self::choose(&table, choice, pick).map_err(|_| Refusal::NoEndpoint)?;
        let target = table.beside(&chosen.picked).target.clone();
        let labels = table.labels(outgoing().with("peer", "dst"), proxy, chosen.route, chosen.backend, Some(&target));
        Ok(ConnectionPlan::new(target, Some(chosen.picked), proxy.metrics.tcp_series(&labels)))
    }
}
