//! The handle that the data path holds.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use weft_policy::model::{EndpointSet, Workload};

use crate::store::{Limits, Store};
use crate::types::{Credentials, Destination, Held, Resolution, Stats};

/// How long the first connection to a new address waits for the operator's answer.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// What the operator says, always at hand. Cheap to clone.
#[derive(Clone)]
pub struct Control(pub(crate) Arc<Shared>);

/// What the handles and the tasks behind them share. The lock is taken per connection at most, never per request, and never held
/// over an await.
pub(crate) struct Shared {
    store: Mutex<Store>,
    pub(crate) credentials: watch::Sender<Option<Arc<Credentials>>>,
    pub(crate) connected: watch::Sender<bool>,
    /// Something is in the outbox.
    pub(crate) outgoing: Notify,
}

impl Shared {
    pub(crate) fn new(limits: Limits, answers_unknown: bool) -> Arc<Self> {
        Arc::new(Self {
            store: Mutex::new(Store::new(limits, answers_unknown)),
            credentials: watch::Sender::new(None),
            connected: watch::Sender::new(false),
            outgoing: Notify::new(),
        })
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// What this pod is; None until the operator has said it: nothing is to be admitted before.
    #[must_use]
    pub fn workload(&self) -> watch::Receiver<Option<Arc<Workload>>> {
        self.0.store().workload()
    }

    /// Identity and roots; None until the first certificate is held.
    #[must_use]
    pub fn credentials(&self) -> watch::Receiver<Option<Arc<Credentials>>> {
        self.0.credentials.subscribe()
    }

    /// Where connections to `address` go. Asked once and shared; the first caller waits for the answer for up to a second, then the
    /// address counts as unknown until there is one.
    pub async fn outbound(&self, address: SocketAddr) -> Destination {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let mut resolution = self.0.store().outbound(address, Instant::now());
        if matches!(*resolution.borrow(), Resolution::Pending) {
            self.0.outgoing.notify_one();
            let answered = resolution.wait_for(|resolution| !matches!(resolution, Resolution::Pending));
            if tokio::time::timeout(FIRST_ANSWER, answered).await.is_err() {
                self.0.store().give_up(address);
            }
        }
        Destination { resolution }
    }

    /// The endpoints of one Service port, sorted by address; None until held. The resource is kept as long as an outbound resource
    /// names it or a receiver lives, so drop receivers that are no longer used.
    #[must_use]
    pub fn endpoints(&self, name: &str) -> watch::Receiver<Option<EndpointSet>> {
        self.0.store().watch_endpoints(name)
    }

    /// Whether the workload and the credentials are held: traffic may be admitted. Stays true when the operator goes away.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.0.credentials.borrow().is_some() && self.workload().borrow().is_some()
    }

    /// Whether the configuration stream is up.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.0.connected.subscribe()
    }

    /// Counts for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.store().stats()
    }

    /// What is held, for people; copies everything.
    #[must_use]
    pub fn held(&self) -> Held {
        self.0.store().held()
    }
}
