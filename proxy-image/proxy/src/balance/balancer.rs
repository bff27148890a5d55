//! One endpoints resource, followed lazily.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use weft_policy::balance::{Cause, Draw, Pool, Tuning};
use weft_policy::model::{Algorithm, Balancing, Endpoint, EndpointSet};

use super::picked::{Attachments, Picked};
use super::{Want, now_ns, random};

/// Draws endpoints from one endpoints resource, or from one fixed endpoint.
pub struct Balancer {
    name: Arc<str>,
    source: RefCell<Option<watch::Receiver<Option<EndpointSet>>>>,
    held: Cell<bool>,
    keyed: RefCell<Option<Arc<Balancing>>>,
    pool: RefCell<Pool<Attachments>>,
}

impl Balancer {
    pub(super) fn following(name: Arc<str>, mut source: watch::Receiver<Option<EndpointSet>>, tuning: Tuning) -> Self {
        source.mark_changed();
        let balancer = Self {
            name,
            source: RefCell::new(Some(source)),
            held: Cell::new(false),
            keyed: RefCell::default(),
            pool: RefCell::new(Pool::new(tuning)),
        };
        balancer.refresh(now_ns());
        balancer
    }

    /// A single known endpoint: a pod addressed by its own IP. It is never ejected, and its connections are pooled like any other's.
    #[must_use]
    pub fn fixed(endpoint: &Arc<Endpoint>) -> Rc<Self> {
        let mut pool = Pool::new(Tuning::default());
        pool.update(std::slice::from_ref(endpoint), now_ns());
        Rc::new(Self {
            name: Arc::from(endpoint.address.to_string()),
            source: RefCell::new(None),
            held: Cell::new(true),
            keyed: RefCell::default(),
            pool: RefCell::new(pool),
        })
    }

    /// Of the endpoints resource.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether a request has anywhere to go (what `policy::pick_backend` asks).
    #[must_use]
    pub fn ready(&self) -> bool {
        self.refresh(now_ns());
        !self.pool.borrow().is_empty()
    }

    /// An endpoint by the algorithm of the resource, counted as in hand until the guard is finished or dropped. `tried` are the endpoints this
    /// request failed at: they come again only when there is no other. None: no endpoint at all.
    #[must_use]
    pub fn pick(&self, now_ns: u64, Want { discipline, key }: Want, tried: &[Arc<Endpoint>]) -> Option<Picked> {
        self.refresh(now_ns);
        let excluded = |endpoint: &Endpoint| tried.iter().any(|tried| tried.address == endpoint.address);
        let node = self.pool.borrow().pick(Draw { now_ns, random: random(), discipline, key }, excluded)?;
        Some(Picked::begin(node, now_ns))
    }

    /// How requests and connections are told apart, where they are.
    #[must_use]
    pub fn keyed(&self) -> Option<Arc<Balancing>> {
        self.refresh(now_ns());
        self.keyed.borrow().clone()
    }

    /// There is an endpoint beside `current` and those that were tried.
    #[must_use]
    pub fn has_others(&self, tried: &[Arc<Endpoint>], current: &Endpoint) -> bool {
        let known = |endpoint: &Endpoint| {
            endpoint.address == current.address || tried.iter().any(|tried| tried.address == endpoint.address)
        };
        self.pool.borrow().nodes().iter().any(|node| !known(node.endpoint()))
    }

    /// (ready, ejected) endpoints.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let pool = self.pool.borrow();
        let ejected = pool.ejected();
        (pool.nodes().len().saturating_sub(ejected), ejected)
    }

    /// Ejections so far, by cause.
    #[must_use]
    pub fn ejections(&self) -> Vec<(Cause, u64)> {
        self.pool.borrow().ejections().collect()
    }

    /// Takes over changed endpoints. The resource going away leaves what was held in force, as the control plane's loss must.
    pub(super) fn refresh(&self, now_ns: u64) {
        let mut source = self.source.borrow_mut();
        let Some(receiver) = source.as_mut() else { return };
        match receiver.has_changed() {
            Ok(false) => {}
            Ok(true) => {
                let endpoints = receiver.borrow_and_update().clone();
                self.replace(endpoints, now_ns);
            }
            Err(_) => {
                let endpoints = receiver.borrow().clone();
                *source = None;
                if !self.held.get() {
                    self.replace(endpoints, now_ns);
                }
            }
        }
    }

    fn replace(&self, endpoints: Option<EndpointSet>, now_ns: u64) {
        if let Some(endpoints) = endpoints {
            self.held.set(true);
            let balancing = &endpoints.balancing;
            let keyed = balancing.algorithm == Algorithm::RingHash;
            self.keyed.replace(keyed.then(|| Arc::clone(balancing)));
            let mut pool = self.pool.borrow_mut();
            pool.configure(balancing);
            pool.update(&endpoints, now_ns);
        }
    }
}
