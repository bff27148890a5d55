//! What every connection shares. Belongs to one thread, passed as `Rc<Proxy>`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use weft_control::Control;
use weft_policy::model::{Outbound, Workload};

use crate::access_log::AccessLog;
use crate::balance::Balancers;
use crate::carry::Carriers;
use crate::config::Config;
use crate::counters::Counters;
use crate::drain::Drain;
use crate::exchange::{InFlightPorts, Table};
use crate::h1::pool::Pool;
use crate::h2;
use crate::metrics::{Metrics, RequestSeries, SeriesLabels, descriptors};
use crate::redirected::Redirected;
use crate::throttle::Throttle;
use crate::tls::Tls;

/// Refused connections that the log names each second: whoever can reach the port decides how many there are.
const REFUSALS: u32 = 10;

/// The proxy's shared state.
pub struct Proxy {
    /// As the injector wrote it.
    pub config: Config,
    /// What the operator says.
    pub control: Control,
    /// Mutual TLS.
    pub tls: Tls,
    /// Endpoints and their loads.
    pub balancers: Rc<Balancers>,
    /// The registry.
    pub metrics: Metrics,
    /// Counters of closed sets.
    pub counters: Counters,
    /// What the log says of refused connections.
    pub refusals: Throttle,
    /// One line per inbound request, where asked for.
    pub access_log: AccessLog,
    /// The end of the proxy's life.
    pub drain: Drain,
    /// Idle HTTP/1 upstream connections.
    pub http1: Pool,
    /// HTTP/2 upstream connections.
    pub http2: h2::Clients,
    workload: RefCell<Held>,
    tables: RefCell<HashMap<usize, Rc<Table>>>,
    /// What policies remember.
    pub carriers: Rc<Carriers>,
    in_flight: RefCell<InFlightPorts>,
    /// Peers whose port 4143 did not answer.
    pub(crate) redirected: Redirected,
}

struct Held {
    receiver: watch::Receiver<Option<Arc<Workload>>>,
    workload: Option<Arc<Workload>>,
}

impl Proxy {
    /// A proxy that is fed by `control`.
    #[must_use]
    pub fn new(config: Config, control: Control, metrics: Metrics) -> Rc<Self> {
        let mut receiver = control.workload();
        let workload = receiver.borrow_and_update().clone();
        Rc::new(Self {
            tls: Tls::new(control.credentials()),
            balancers: Balancers::new(control.clone()),
            counters: Counters::new(&metrics),
            refusals: Throttle::new(REFUSALS),
            access_log: AccessLog::to_stdout(metrics.counter(&descriptors::ACCESS_LOG_DROPPED, &SeriesLabels::none())),
            drain: Drain::default(),
            http1: Pool::new(&config.limits),
            http2: h2::Clients::default(),
            workload: RefCell::new(Held { receiver, workload }),
            tables: RefCell::default(),
            carriers: Rc::default(),
            in_flight: RefCell::default(),
            redirected: Redirected::default(),
            config,
            control,
            metrics,
        })
    }

    fn with_workload<T>(&self, act: impl FnOnce(Option<&Arc<Workload>>) -> T) -> T {
        let mut held = self.workload.borrow_mut();
        if held.receiver.has_changed().unwrap_or(false) {
            let newest = held.receiver.borrow_and_update().clone();
            held.workload = newest;
        }
        act(held.workload.as_ref())
    }

    /// What this pod is, as of now; None until the operator has said it.
    #[must_use]
    pub fn workload(&self) -> Option<Arc<Workload>> {
        self.with_workload(|workload| workload.cloned())
    }

    /// `known` is still what holds: one atomic load and one comparison.
    #[must_use]
    pub fn is_current(&self, known: &Arc<Workload>) -> bool {
        self.with_workload(|workload| workload.is_some_and(|workload| Arc::ptr_eq(workload, known)))
    }

    /// Traffic may be admitted, and readiness may be said.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.control.ready() && !self.drain.draining()
    }

    /// The resolved form of `outbound`, shared by everything that goes there.
    #[must_use]
    pub fn table(&self, outbound: &Arc<Outbound>) -> Rc<Table> {
        let key = Arc::as_ptr(outbound) as usize;
        // A table holds its resource, so that no other can take its place in memory and be mistaken for it.
        if let Some(table) = self.tables.borrow().get(&key) {
            return Rc::clone(table);
        }
        let table = Table::new(self, Arc::clone(outbound));
        self.sweep();
        self.tables.borrow_mut().insert(key, Rc::clone(&table));
        table
    }

    /// Forgets what was resolved for resources that are no longer held. Call about once a minute.
    pub fn sweep(&self) {
        let in_use = |table: &Rc<Table>| Rc::strong_count(table) > 1 || Arc::strong_count(table.outbound()) > 1;
        self.tables.borrow_mut().retain(|_, table| in_use(table));
        self.carriers.sweep();
        self.in_flight.borrow_mut().retain(|_, count| Rc::strong_count(count) > 1);
    }

    /// Counts the requests under way to a port of the application, whichever connections they come on.
    #[must_use]
    pub(crate) fn in_flight(&self, port: u16) -> Rc<Cell<u32>> {
        Rc::clone(self.in_flight.borrow_mut().entry(port).or_default())
    }

    /// Requests about which nothing is known yet.
    #[must_use]
    pub fn unlabelled(&self) -> Rc<RequestSeries> {
        self.metrics.request_series(&SeriesLabels::none())
    }

    /// The port is one that this proxy listens on.
    #[must_use]
    pub fn is_own_port(&self, port: u16) -> bool {
        let Config { inbound, outbound, admin, .. } = &self.config;
        inbound.iter().chain(outbound).chain(admin).any(|address| address.port() == port)
    }

    /// The address is this pod's own.
    #[must_use]
    pub fn is_own_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_pod_ip = |workload: &Arc<Workload>| workload.pod_ips.iter().any(|own| own.to_canonical() == address);
        address.is_loopback()
            || address.is_unspecified()
            || self.with_workload(|workload| workload.is_some_and(is_pod_ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Limits;
    use weft_policy::model::{OutboundKind, Protocol, Ref};

    #[test]
    fn what_was_resolved_for_resources_that_are_gone_is_forgotten() {
        let (control, _setter) = Control::memory();
        let proxy = Proxy::new(Config::default(), control, Metrics::new(Limits::default()));
        let resource = || {
            Arc::new(Outbound {
                destination: Ref::default(),
                protocol: Protocol::Detect,
                kind: OutboundKind::PassThrough,
                labels: Arc::from([]),
                named: None,
            })
        };
        let held: Vec<_> = (0..10).map(|_| resource()).collect();
        held.iter().for_each(|outbound| drop(proxy.table(outbound)));
        for _ in 0..1_000 {
            drop(proxy.table(&resource()));
        }
        assert_eq!(proxy.tables.borrow().len(), held.len() + 1, "those in force, and the last");
        proxy.sweep();
        assert_eq!(proxy.tables.borrow().len(), held.len());
    }
}
