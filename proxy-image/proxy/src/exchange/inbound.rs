//! Who may ask what of the application. Rules are those that hold at the moment of the request.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_policy::model::{AccessLog, InboundPort, Ref, Workload};
use weft_policy::{Client, ClientTls, Decision, RequestView, authorize_connection, authorize_request};

use super::connection::ConnectionPlan;
use super::limit::InFlight;
use super::session::{Plan, Refused};
use super::{Carried, Counted, Direction, ErrorReason, Tally, Target};
use crate::balance::random;
use crate::context::Proxy;
use crate::metrics::{LabelBuilder, SeriesLabels, TcpSeries, Tls, descriptors};
use crate::refusal::Refusal;

/// Different decisions remembered for one connection; more than that are resolved anew.
const REMEMBERED: usize = 16;

/// The inbound half of a session.
pub struct Inbound {
    port: u16,
    target: Target,
    state: RefCell<Option<State>>,
    born: Instant,
    /// When a connection of this client has reached its age; looked at anew with every version of the rules.
    ends_at: Cell<Option<Instant>>,
}

struct State {
    workload: Arc<Workload>,
    rule: Arc<InboundPort>,
    /// The decision for every request, when no rule looks at requests.
    fixed: Option<(Outcome, Rc<Counted>)>,
    counted: Vec<(Key, Rc<Counted>)>,
    allowed: bool,
    in_flight: Option<(u32, Rc<Cell<u32>>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Allowed,
    Denied,
    NotFound,
}

/// Addresses of objects inside `State::rule`, which outlives them.
type Key = (Outcome, usize, usize);

/// Up to a tenth less: connections that began together do not end together.
fn varied(age: Duration) -> Duration {
    let tenth = u64::try_from(age.as_nanos() / 10).unwrap_or(u64::MAX);
    let less = u64::try_from((u128::from(random()) * u128::from(tenth)) >> 64).unwrap_or(0);
    age.saturating_sub(Duration::from_nanos(less))
}

fn address(reference: Option<&Ref>) -> usize {
    reference.map_or(0, |reference| std::ptr::from_ref(reference) as usize)
}

fn parts<'a>(decision: &Decision<'a>) -> (Outcome, Option<&'a Ref>, Option<&'a Ref>) {
    match decision {
        Decision::Allow { route, authorization, .. } => (Outcome::Allowed, *route, Some(authorization)),
        Decision::Deny { route } => (Outcome::Denied, *route, None),
        Decision::NotFound => (Outcome::NotFound, None, None),
    }
}

/// How the connection is protected, for labels.
fn tls(client: &Client) -> Tls {
    match &client.tls {
        ClientTls::Identity { .. } => Tls::Verified,
        ClientTls::MeshNoIdentity => Tls::NoIdentity,
        ClientTls::None if client.own_pod => Tls::Loopback,
        ClientTls::None => Tls::None,
    }
}

fn labels(
    workload: &Workload,
    rule: &InboundPort,
    client: &Client,
    route: Option<&Ref>,
    authorization: Option<&Ref>,
) -> SeriesLabels {
    let mut labels = LabelBuilder::new(Direction::Inbound).with_all(&workload.labels).with_ref("srv", &rule.server);
    if let Some(route) = route {
        labels = labels.with_ref("route", route);
    }
    if let Some(authorization) = authorization {
        labels = labels.with_ref("authz", authorization);
    }
    labels.with_tls(tls(client), Direction::Inbound, client.identity().map(AsRef::as_ref)).build()
}

impl Inbound {
    /// For connections to `port`, served by the application at `target`.
    #[must_use]
    pub fn new(port: u16, target: Target) -> Self {
        Self { port, target, state: RefCell::default(), born: Instant::now(), ends_at: Cell::new(None) }
    }

    /// The application's address.
    pub fn address(&self) -> SocketAddr {
        self.target.address
    }

    /// The format that requests are logged in; None when they are not.
    pub fn access_log(&self) -> Option<AccessLog> {
        let state = self.state.borrow();
        state.as_ref().map(|state| state.workload.access_log).filter(|format| *format != AccessLog::Off)
    }

    /// The application is told the address of whoever calls it.
    pub fn tells_address(&self) -> bool {
        self.state.borrow().as_ref().is_some_and(|state| state.workload.forwarded_for)
    }

    /// Runs `act` with the rules of now; None while no workload is held.
    fn with_state<T>(&self, proxy: &Proxy, act: impl FnOnce(&mut State, bool) -> T) -> Option<T> {
        let mut slot = self.state.borrow_mut();
        let unchanged = slot.as_ref().is_some_and(|state| proxy.is_current(&state.workload));
        if !unchanged {
            let workload = proxy.workload()?;
            let rule = Arc::clone(workload.port(self.port));
            let in_flight = rule.max_requests.map(|limit| (limit, proxy.in_flight(self.port)));
            self.ends_at.set(rule.max_connection_age.and_then(|age| self.born.checked_add(varied(age))));
            *slot = Some(State { workload, rule, fixed: None, counted: Vec::new(), allowed: false, in_flight });
        }
        slot.as_mut().map(|state| act(state, !unchanged))
    }

    /// See [`super::Session::decide`].
    pub fn decide<V: RequestView>(&self, proxy: &Rc<Proxy>, client: &Client, view: &V) -> Result<Plan, Refused> {
        let decided = self.with_state(proxy, |state, _| state.request(proxy, client, view));
        let Some((outcome, counted, probe)) = decided else {
            // Sessions are made only once a workload is held, and it is never taken away again.
            let counted = Rc::new(Counted { series: proxy.unlabelled(), decision: None });
            let tally = Tally::begin(proxy, Direction::Inbound, counted, None);
            return Err(Refused::new(ErrorReason::NotReady, tally));
        };
        let mut tally = Tally::begin(proxy, Direction::Inbound, counted, None);
        let reason = match outcome {
            Outcome::Allowed if probe => return Ok(Plan::new(self.target.clone(), tally)),
            Outcome::Allowed => match self.permit(proxy) {
                Ok(permit) => {
                    if let Some(permit) = permit {
                        tally.carried(Carried::Port(permit));
                    }
                    return Ok(Plan::new(self.target.clone(), tally));
                }
                Err(reason) => reason,
            },
            Outcome::Denied => ErrorReason::Denied,
            Outcome::NotFound => ErrorReason::NoRoute,
        };
        Err(Refused::new(reason, tally))
    }

    /// The right to one more request, where their number is limited. Probes need none: a busy application must not be taken for a dead one.
    fn permit(&self, proxy: &Proxy) -> Result<Option<InFlight>, ErrorReason> {
        let state = self.state.borrow();
        let Some(state) = state.as_ref() else { return Ok(None) };
        let Some((limit, count)) = &state.in_flight else { return Ok(None) };
        let permit = InFlight::begin(count, *limit);
        if permit.is_none() {
            let labels = LabelBuilder::new(Direction::Inbound).with_ref("srv", &state.rule.server).build();
            proxy.metrics.counter(&descriptors::INBOUND_SHED, &labels).increment();
        }
        permit.map(Some).ok_or(ErrorReason::Overload)
    }

    /// Connections of this client have reached their age.
    pub fn is_aged(&self) -> bool {
        self.ends_at.get().is_some_and(|at| Instant::now() >= at)
    }

    /// See [`super::Session::time_left`].
    pub fn time_left(&self, proxy: &Proxy) -> Option<Duration> {
        self.with_state(proxy, |_, _| {})?;
        self.ends_at.get().map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// See [`super::Session::connect`].
    pub fn connect(&self, proxy: &Rc<Proxy>, client: &Client) -> Result<ConnectionPlan, Refusal> {
        self.with_state(proxy, |state, _| {
            let decision = authorize_connection(&state.rule, client);
            let (outcome, _, authorization) = parts(&decision);
            let labels = labels(&state.workload, &state.rule, client, None, authorization);
            state.allowed = outcome == Outcome::Allowed;
            if !state.allowed {
                proxy.metrics.counter(&descriptors::INBOUND_TCP_DENY, &labels).increment();
                return Err(Refusal::Unauthorized);
            }
            proxy.metrics.counter(&descriptors::INBOUND_TCP_ALLOW, &labels).increment();
            Ok(ConnectionPlan::new(self.target.clone(), None, self.target.series(proxy)))
        })
        .unwrap_or(Err(Refusal::NotReady))
    }

    /// See [`super::Session::accepted`].
    pub fn accepted(&self, proxy: &Rc<Proxy>, client: &Client) -> Rc<TcpSeries> {
        let labels = LabelBuilder::new(Direction::Inbound).with("peer", "src");
        let described = self.with_state(proxy, |state, _| {
            labels.clone().with_all(&state.workload.labels).with_ref("srv", &state.rule.server)
        });
        let peer = client.identity().map(AsRef::as_ref);
        let labels = described.unwrap_or(labels).with_tls(tls(client), Direction::Inbound, peer).build();
        proxy.metrics.tcp_series(&labels)
    }

    /// See [`super::Session::still_allowed`].
    pub fn still_allowed(&self, proxy: &Proxy, client: &Client) -> bool {
        self.with_state(proxy, |state, changed| {
            if changed {
                state.allowed = admits_somehow(&state.rule, client);
                if !state.allowed {
                    let labels = labels(&state.workload, &state.rule, client, None, None);
                    proxy.metrics.counter(&descriptors::INBOUND_TCP_TERMINATE, &labels).increment();
                }
            }
            state.allowed
        })
        .unwrap_or(false)
    }
}

/// Some rule of the port lets this client in. Looser than for a new connection, because a connection that began as a request (an
/// upgrade) may owe its admission to a route.
fn admits_somehow(rule: &InboundPort, client: &Client) -> bool {
    let admits = |rule: &InboundPort| matches!(authorize_connection(rule, client), Decision::Allow { .. });
    admits(rule)
        || rule.routes.iter().any(|route| {
            let authorizations = route.authorizations.clone();
            admits(&InboundPort { authorizations, ..InboundPort::default() })
        })
}

impl State {
    /// The decision, its count, and whether the request is the kubelet's.
    fn request<V: RequestView>(&mut self, proxy: &Proxy, client: &Client, view: &V) -> (Outcome, Rc<Counted>, bool) {
        if let Some((outcome, counted)) = &self.fixed {
            return (*outcome, Rc::clone(counted), false);
        }
        let rule = Arc::clone(&self.rule);
        let decision = authorize_request(&rule, client, view);
        let (outcome, route, authorization) = parts(&decision);
        let key = (outcome, address(route), address(authorization));
        let known = self.counted.iter().find(|(known, _)| *known == key).map(|(_, counted)| Rc::clone(counted));
        let counted = known.unwrap_or_else(|| {
            let labels = labels(&self.workload, &rule, client, route, authorization);
            let descriptor = match outcome {
                Outcome::Allowed => &descriptors::INBOUND_HTTP_ALLOW,
                Outcome::Denied => &descriptors::INBOUND_HTTP_DENY,
                Outcome::NotFound => &descriptors::INBOUND_HTTP_NOT_FOUND,
            };
            let decision = Some(proxy.metrics.counter(descriptor, &labels));
            let counted = Rc::new(Counted { series: proxy.metrics.request_series(&labels), decision });
            if self.counted.len() < REMEMBERED {
                self.counted.push((key, Rc::clone(&counted)));
            }
            counted
        });
        if rule.routes.is_empty() {
            self.fixed = Some((outcome, Rc::clone(&counted)));
        }
        (outcome, counted, route.is_some_and(|route| route.kind == "default" && route.name == "probe"))
    }
}
