//! The handle that the data path holds.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use weft_policy::model::{EndpointSet, Workload};

use crate::config::ControlConfig;
use crate::connect::Link;
use crate::identity::{self, Leaf, trust_domain};
use crate::store::{Limits, Store};
use crate::stream;
use crate::trust::{self, Trust};
use crate::types::{Credentials, Destination, Held, Resolution, Stats};

/// How long the first connection to a new address waits for the operator's answer while there is no stream that it could come on.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How long it waits while there is one. Going on earlier would be to take an address of the mesh for an unknown one, and to send in
/// plain what the mesh encrypts and authorises, for no other reason than that the operator is busy.
const SLOW_ANSWER: Duration = Duration::from_secs(10);

/// What the operator says, always at hand. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Running>);

/// The tasks end with the last handle.
struct Running {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What the handles and the tasks behind them share. The lock is taken per connection at most, never per request, and never held
/// over an await.
pub(crate) struct Shared {
    store: Mutex<Store>,
    pub(crate) credentials: watch::Sender<Option<Arc<Credentials>>>,
    pub(crate) leaf: watch::Sender<Option<Leaf>>,
    pub(crate) trust: watch::Sender<Arc<Trust>>,
    pub(crate) connected: watch::Sender<bool>,
    /// What else may be asked of the operator goes over this; None while the configuration stream is down.
    pub(crate) link: watch::Sender<Option<Link>>,
    /// Something is in the outbox.
    pub(crate) outgoing: Notify,
}

impl Shared {
    pub(crate) fn new(limits: Limits, trust: Trust, answers_unknown: bool) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(Store::new(limits, answers_unknown)),
            credentials: watch::Sender::new(None),
            leaf: watch::Sender::new(None),
            trust: watch::Sender::new(Arc::new(trust)),
            connected: watch::Sender::new(false),
            link: watch::Sender::new(None),
            outgoing: Notify::new(),
        })
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaf and roots as one, whenever either has changed.
    pub(crate) fn publish_credentials(&self) {
        let Some(leaf) = self.leaf.borrow().clone() else { return };
        let trust_domains = self.trust.borrow().domains(trust_domain(&leaf.identity).unwrap_or_default());
        let Leaf { certified_key, identity, not_after, .. } = leaf;
        self.credentials.send_replace(Some(Arc::new(Credentials {
            certified_key,
            identity,
            not_after,
            trust_domains,
        })));
    }

    /// Has the operator told which certificate is in hand, now and at the beginning of every stream.
    pub(crate) fn tell_leaf(&self) {
        self.store().outbox.leaf = true;
        self.outgoing.notify_one();
    }

    /// Resolves when a first answer is to be waited for no longer: no stream for a while, or too long a time. A proxy that is told to
    /// connect to another replica is without one for a moment only, and asks there.
    async fn patience(&self) {
        let mut connected = self.connected.subscribe();
        let away = async {
            while connected.wait_for(|connected| !connected).await.is_ok() {
                if timeout(FIRST_ANSWER, connected.wait_for(|connected| *connected)).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(SLOW_ANSWER, away).await;
    }

    async fn sweep(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            self.store().sweep(Instant::now());
            self.outgoing.notify_one();
        }
    }
}

impl Control {
    /// Starts the tasks that keep everything fresh; call it inside a tokio runtime. They end when the last clone is dropped.
    #[must_use]
    pub fn start(config: ControlConfig) -> Self {
        let shared = Shared::new(Limits::default(), Trust::new(&config.trust), false);
        let config = Arc::new(config);
        let mut tasks = JoinSet::new();
        tasks.spawn(stream::run(Arc::clone(&shared), Arc::clone(&config)));
        tasks.spawn(identity::run(Arc::clone(&shared), Arc::clone(&config)));
        tasks.spawn(trust::poll(Arc::clone(&shared), config.trust.clone(), config.timeouts.trust_poll));
        tasks.spawn(Arc::clone(&shared).sweep(config.timeouts.sweep));
        Self(Arc::new(Running { shared, _tasks: tasks }))
    }

    pub(crate) fn without_tasks(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Running { shared, _tasks: JoinSet::new() }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// What this pod is; None until the operator has said it: nothing is to be admitted before.
    #[must_use]
    pub fn workload(&self) -> watch::Receiver<Option<Arc<Workload>>> {
        self.shared().store().workload()
    }

    /// Identity and roots; None until the first certificate is held.
    #[must_use]
    pub fn credentials(&self) -> watch::Receiver<Option<Arc<Credentials>>> {
        self.shared().credentials.subscribe()
    }

    /// Where connections to `address` go. Asked once and shared; the first callers wait for the answer, for up to ten seconds while the
    /// stream is up and for one while it is not. Then the address counts as unknown until there is one.
    pub async fn outbound(&self, address: SocketAddr) -> Destination {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let mut resolution = self.shared().store().outbound(address, Instant::now());
        if matches!(*resolution.borrow(), Resolution::Pending) {
            self.shared().outgoing.notify_one();
            tokio::select! {
                biased;
                _ = resolution.wait_for(|resolution| !matches!(resolution, Resolution::Pending)) => {}
                () = self.shared().patience() => self.shared().store().give_up(address),
            }
        }
        Destination { resolution }
    }

    /// The endpoints of one Service port, sorted by address; None until held. The resource is kept as long as an outbound resource
    /// names it or a receiver lives, so drop receivers that are no longer used.
    #[must_use]
    pub fn endpoints(&self, name: &str) -> watch::Receiver<Option<EndpointSet>> {
        self.shared().store().watch_endpoints(name)
    }

    /// Whether the workload and the credentials are held: traffic may be admitted. Stays true when the operator goes away.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.shared().credentials.borrow().is_some() && self.workload().borrow().is_some()
    }

    /// Whether the configuration stream is up.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shared().connected.subscribe()
    }

    /// Counts for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().store().stats()
    }

    /// What is held, for people; copies everything.
    #[must_use]
    pub fn held(&self) -> Held {
        self.shared().store().held()
    }
}
