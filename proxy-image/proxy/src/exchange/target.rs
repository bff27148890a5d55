//! Where a connection is dialled to.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use weft_policy::model::{Endpoint, Transport};

/// An upstream: the application, an endpoint, or an original destination.
#[derive(Clone, Debug)]
pub struct Target {
    /// The application's address there.
    pub address: SocketAddr,
    /// How to reach it.
    pub transport: Transport,
    /// What the control plane says of it; None for the own application and unknown destinations.
    pub endpoint: Option<Arc<Endpoint>>,
    key: TargetKey,
}

/// Equal keys mean that a pooled connection to one serves the other: same address, same way, same pod, same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetKey {
    address: SocketAddr,
    transport: u8,
    peer: u64,
}

static PEERS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Target {
    /// The address itself, without mesh TLS.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, transport: Transport::Plain, endpoint: None, key: TargetKey { address, transport: 0, peer: 0 } }
    }

    /// A known endpoint. Costs a hash: make it once and clone it.
    #[must_use]
    pub fn endpoint(endpoint: &Arc<Endpoint>) -> Self {
        let transport = match endpoint.transport {
            Transport::Plain => 0,
            Transport::Direct => 1,
            Transport::Redirect => 2,
        };
        let peer = PEERS.hash_one((&endpoint.pod_uid, &endpoint.identity));
        Self {
            address: endpoint.address,
            transport: endpoint.transport,
            endpoint: Some(Arc::clone(endpoint)),
            key: TargetKey { address: endpoint.address, transport, peer },
        }
    }

    /// What pools are keyed by.
    #[must_use]
    pub fn key(&self) -> TargetKey {
        self.key
    }
}
