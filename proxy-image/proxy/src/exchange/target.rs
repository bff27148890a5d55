//! Where a connection is dialled to.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use weft_policy::model::{Endpoint, Transport};

use super::Direction;
use crate::context::Proxy;
use crate::metrics::{LabelBuilder, TcpSeries, Tls};

/// An upstream: the application, an endpoint, or an original destination.
#[derive(Clone, Debug)]
pub struct Target {
    /// The application's address there.
    pub address: SocketAddr,
    /// How to reach it.
    pub transport: Transport,
    /// What the control plane says of it; None for the own application and unknown destinations.
    pub endpoint: Option<Arc<Endpoint>>,
    direction: Direction,
    key: TargetKey,
}

/// Equal keys mean that a pooled connection to one serves the other: same address, same way, same pod, same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetKey {
    address: SocketAddr,
    transport: u8,
    peer: u64,
    /// Of all the above, with a key of this process: computed once, because pools are asked for every request.
    digest: u64,
}

impl TargetKey {
    fn new(address: SocketAddr, transport: u8, peer: u64) -> Self {
        Self { address, transport, peer, digest: KEYED.hash_one((address, transport, peer)) }
    }
}

impl Hash for TargetKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

/// Hands on the digest of a [`TargetKey`].
#[derive(Default)]
pub struct Digested(u64);

impl Hasher for Digested {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What is kept for each target.
pub type ByTarget<T> = HashMap<TargetKey, T, BuildHasherDefault<Digested>>;

static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Target {
    /// The address itself, without mesh TLS: the application, or where it meant to go. Costs a hash: make it once and clone it.
    #[must_use]
    pub fn plain(address: SocketAddr, direction: Direction) -> Self {
        let key = TargetKey::new(address, 0, 0);
        Self { address, transport: Transport::Plain, endpoint: None, direction, key }
    }

    /// A known endpoint. Costs a hash: make it once and clone it.
    #[must_use]
    pub fn endpoint(endpoint: &Arc<Endpoint>) -> Self {
        let transport = match endpoint.transport {
            Transport::Plain => 0,
            Transport::Direct => 1,
            Transport::Redirect => 2,
        };
        let peer = KEYED.hash_one((&endpoint.pod_uid, &endpoint.identity));
        Self {
            address: endpoint.address,
            transport: endpoint.transport,
            endpoint: Some(Arc::clone(endpoint)),
            direction: Direction::Outbound,
            key: TargetKey::new(endpoint.address, transport, peer),
        }
    }

    /// What a connection to it is counted under. Costs a look-up: once for each connection, never for a request.
    #[must_use]
    pub fn series(&self, proxy: &Proxy) -> Rc<TcpSeries> {
        let mut labels = LabelBuilder::new(self.direction).with("peer", "dst");
        if let Some(workload) = proxy.workload() {
            labels = labels.with_all(&workload.labels);
        }
        if let Some(endpoint) = &self.endpoint {
            labels = labels.with_all(&endpoint.labels);
        }
        let meshed = self.endpoint.as_ref().filter(|endpoint| endpoint.transport != Transport::Plain);
        let tls = match (meshed, self.direction) {
            (Some(_), _) => Tls::Verified,
            (None, Direction::Inbound) => Tls::Loopback,
            (None, Direction::Outbound) => Tls::None,
        };
        let peer = meshed.map(|endpoint| endpoint.identity.as_str());
        proxy.metrics.tcp_series(&labels.with_tls(tls, self.direction, peer).build())
    }

    /// What pools are keyed by.
    #[must_use]
    pub fn key(&self) -> TargetKey {
        self.key
    }
}
