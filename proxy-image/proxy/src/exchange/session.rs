//! One client connection as decisions see it, in either direction.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weft_policy::model::Endpoint;
use weft_policy::{Client, RequestView};

use super::connection::ConnectionPlan;
use super::headers::Caller;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::{Direction, ErrorReason, Tally, Target};
use crate::access_log::{Record, Version};
use crate::balance::{Balancer, Discipline, Want, now_ns};
use crate::carry::{Carry, Failure};
use crate::context::Proxy;
use crate::metrics::{LabelBuilder, TcpSeries, Tls};
use crate::refusal::Refusal;

/// Endpoints beside the first that one request is dialled at, all its tries together.
const OTHERS: usize = 4;

/// A client connection: who calls, and the rules that hold for what it asks. Shared by the streams of an HTTP/2 connection.
pub struct Session {
    proxy: Rc<Proxy>,
    client: Client,
    side: Side,
    version: Cell<Version>,
}

enum Side {
    Inbound(Inbound),
    Outbound(Outbound),
}

/// Where one request goes, and the count that it carries along.
pub struct Plan {
    /// To dial, or to take a pooled connection to.
    pub target: Target,
    /// To be finished, refused or dropped.
    pub tally: Tally,
    /// How it is carried beyond one try; None: by no policy.
    pub carry: Option<Carry>,
    /// Waited before anything else: a fault that is injected.
    pub delay: Duration,
    pub(super) balancer: Option<Rc<Balancer>>,
    /// For further tries.
    pub(super) want: Want,
    pub(super) tried: Vec<Arc<Endpoint>>,
    /// Other endpoints that were dialled because one could not be reached.
    pub(super) others: usize,
}

/// The proxy answers this request itself.
pub struct Refused {
    /// Why.
    pub reason: ErrorReason,
    /// The reason's own, except where a route or a fault names a status.
    pub status: u16,
    /// The same for gRPC.
    pub grpc: u16,
    /// Waited before the answer: a fault that is injected.
    pub delay: Duration,
    /// For [`Tally::refuse_with`].
    pub tally: Box<Tally>,
}

impl Refused {
    /// With the status of the reason, at once.
    pub(super) fn new(reason: ErrorReason, tally: Tally) -> Self {
        Self { reason, status: reason.status(), grpc: reason.grpc(), delay: Duration::ZERO, tally: Box::new(tally) }
    }
}

impl Plan {
    /// By no policy, to `target`.
    pub(super) fn new(target: Target, tally: Tally) -> Self {
        let want = Want { discipline: Discipline::PeakEwma, key: None };
        Self { target, tally, carry: None, delay: Duration::ZERO, balancer: None, want, tried: Vec::new(), others: 0 }
    }

    /// There is an endpoint that this request has not failed at, beside the one it goes to now.
    #[must_use]
    pub fn has_others(&self) -> bool {
        let (Some(balancer), Some(current)) = (&self.balancer, &self.target.endpoint) else { return false };
        balancer.has_others(&self.tried, current)
    }

    /// After a dial that failed and has no other endpoint to go to: the pause before another try, if the request's policy wants one.
    pub fn after(&mut self, reason: ErrorReason) -> Option<Duration> {
        let failure = match reason {
            ErrorReason::Connect | ErrorReason::Identity | ErrorReason::Upstream | ErrorReason::Timeout => {
                Failure::Connection
            }
            _ => return None,
        };
        let others = self.has_others();
        self.carry.as_mut()?.again(failure, others)
    }

    /// After a try that failed and is made again: at another endpoint of the same backend where there is one.
    pub fn again(&mut self) {
        let (Some(balancer), Some(failed)) = (&self.balancer, &self.target.endpoint) else { return };
        if !self.tried.iter().any(|tried| tried.address == failed.address) {
            self.tried.push(Arc::clone(failed));
        }
        if let Some(picked) = balancer.pick(now_ns(), self.want, &self.tried) {
            self.target = Target::endpoint(picked.endpoint());
            self.tally.tried_again(picked);
        }
    }

    /// After a dial that failed: another endpoint of the same backend. False: there is none, or enough were dialled; answer the dial's error.
    pub fn another(&mut self) -> bool {
        let (Some(balancer), Some(failed)) = (&self.balancer, &self.target.endpoint) else { return false };
        if self.others >= OTHERS {
            return false;
        }
        self.tried.push(Arc::clone(failed));
        let Some(picked) = balancer.pick(now_ns(), self.want, &self.tried) else { return false };
        if self.tried.iter().any(|tried| tried.address == picked.endpoint().address) {
            return false;
        }
        self.target = Target::endpoint(picked.endpoint());
        self.tally.picked_another(picked);
        self.others += 1;
        true
    }
}

impl Session {
    pub(crate) fn inbound(proxy: &Rc<Proxy>, client: Client, inbound: Inbound) -> Rc<Self> {
        Rc::new(Self {
            proxy: Rc::clone(proxy),
            client,
            side: Side::Inbound(inbound),
            version: Cell::new(Version::Http11),
        })
    }

    pub(crate) fn outbound(proxy: &Rc<Proxy>, client: Client, outbound: Outbound) -> Rc<Self> {
        Rc::new(Self {
            proxy: Rc::clone(proxy),
            client,
            side: Side::Outbound(outbound),
            version: Cell::new(Version::Http11),
        })
    }

    /// What the session lives in.
    #[must_use]
    pub fn proxy(&self) -> &Rc<Proxy> {
        &self.proxy
    }

    /// Seen from the application.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.side {
            Side::Inbound(_) => Direction::Inbound,
            Side::Outbound(_) => Direction::Outbound,
        }
    }

    /// Who calls; on the outbound side the application itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Routes, authorises and picks for one request, by the rules that hold now, and begins its count.
    ///
    /// # Errors
    /// The answer that the proxy is to give.
    pub fn decide<V: RequestView>(&self, view: &V) -> Result<Plan, Refused> {
        match &self.side {
            Side::Inbound(inbound) => {
                let mut decision = inbound.decide(&self.proxy, &self.client, view);
                if let Some(format) = inbound.access_log() {
                    let record = Record::begin(format, &self.client, view, self.version.get());
                    match &mut decision {
                        Ok(plan) => plan.tally.record(record),
                        Err(refused) => refused.tally.record(record),
                    }
                }
                decision
            }
            Side::Outbound(outbound) => outbound.decide(&self.proxy, view),
        }
    }

    /// The version that the next request comes in, for the access log.
    pub fn speaks(&self, version: Version) {
        self.version.set(version);
    }

    /// The address that the client meant, or the application's.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match &self.side {
            Side::Inbound(inbound) => inbound.address(),
            Side::Outbound(outbound) => outbound.address(),
        }
    }

    /// The same for a connection of bytes.
    ///
    /// # Errors
    /// Why it is to be closed.
    pub fn connect(&self) -> Result<ConnectionPlan, Refusal> {
        match &self.side {
            Side::Inbound(inbound) => inbound.connect(&self.proxy, &self.client),
            Side::Outbound(outbound) => outbound.connect(&self.proxy),
        }
    }

    /// What the client's connection is counted under, whatever it speaks. Costs a look-up: ask once for each connection.
    #[must_use]
    pub fn accepted(&self) -> Rc<TcpSeries> {
        match &self.side {
            Side::Inbound(inbound) => inbound.accepted(&self.proxy, &self.client),
            Side::Outbound(_) => {
                let labels = LabelBuilder::new(Direction::Outbound).with("peer", "src");
                let workload = self.proxy.workload();
                let labels = workload.map_or(labels.clone(), |workload| labels.with_all(&workload.labels));
                // The application speaks to its own proxy inside the pod.
                let labels = labels.with_tls(Tls::Loopback, Direction::Outbound, None).build();
                self.proxy.metrics.tcp_series(&labels)
            }
        }
    }

    /// Whether a live connection of bytes may go on. No work unless the policy has changed since it was last asked.
    #[must_use]
    pub fn still_allowed(&self) -> bool {
        match &self.side {
            Side::Inbound(inbound) => inbound.still_allowed(&self.proxy, &self.client),
            Side::Outbound(_) => true,
        }
    }

    /// What the application is told of the caller, by the rules of the last decision.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        match &self.side {
            Side::Inbound(inbound) => Caller {
                identity: self.client.identity().map(|spiffe| spiffe.as_bytes()),
                address: inbound.tells_address().then_some(self.client.address),
            },
            Side::Outbound(_) => Caller { identity: None, address: None },
        }
    }

    /// The connection is to end as soon as nothing is under way on it.
    #[must_use]
    pub fn ending(&self) -> bool {
        self.proxy.drain.ends(self.direction()) || matches!(&self.side, Side::Inbound(inbound) if inbound.is_aged())
    }

    /// What is left of the age that a connection of this client may reach; None: any. Told anew at each call.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        match &self.side {
            Side::Inbound(inbound) => inbound.time_left(&self.proxy),
            Side::Outbound(_) => None,
        }
    }
}
