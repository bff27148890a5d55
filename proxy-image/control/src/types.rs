//! What the handle hands out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use weft_policy::model::{EndpointSet, Outbound};

/// The proxy's identity and the roots it believes in. Replaced as a whole whenever either changes.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Leaf first, then intermediates, with the private key that never leaves the process.
    pub certified_key: Arc<CertifiedKey>,
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
    pub identity: Arc<str>,
    /// End of the leaf's validity.
    pub not_after: SystemTime,
    /// The proxy's own trust domain first.
    pub trust_domains: Vec<TrustDomain>,
}

/// A trust domain and the only roots that its identities may chain to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain {
    /// Name of the mesh; empty until the operator has said it.
    pub mesh: String,
    /// As in `spiffe://<trust domain>/...`.
    pub trust_domain: String,
    /// Root certificates.
    pub anchors: Vec<CertificateDer<'static>>,
}

/// A destination that is in use; kept fresh as long as one clone of `resolution` lives, and a while longer.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Never `Pending` when `Control::outbound` returned it. Closed once the control plane handle is gone; the value stays.
    pub resolution: watch::Receiver<Resolution>,
}

/// What is known of an address.
#[derive(Clone, Debug, Default)]
pub enum Resolution {
    /// Asked, no answer yet.
    #[default]
    Pending,
    /// In force, and every endpoints resource that it names is held.
    Known(Arc<Outbound>),
    /// Not known to the mesh, or the control plane does not answer: the workload's rule for unknown destinations applies.
    Unknown,
}

/// Counts since start, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Configuration streams that were established.
    pub streams: u64,
    /// Attempts and streams that failed.
    pub failures: u64,
    /// Resources taken into force.
    pub acks: u64,
    /// Resources refused.
    pub nacks: u64,
    /// Certificates obtained.
    pub certificates: u64,
    /// Attempts at a certificate that failed.
    pub certificate_failures: u64,
    /// Addresses asked about now.
    pub outbounds: usize,
    /// Endpoints resources held now.
    pub endpoints: usize,
    /// Destinations answered Unknown at once because the bound on subscriptions was reached with all of them in use.
    pub overflows: u64,
    /// Destinations treated as unknown because no answer came in time.
    pub unanswered: u64,
    /// The last failure, for people; empty when there was none.
    pub last_error: String,
}

/// What is held, for people (`/config`).
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Name and version of each resource in force, in name order.
    pub versions: Vec<(String, String)>,
    /// In address order.
    pub outbounds: Vec<(SocketAddr, Resolution)>,
    /// In name order.
    pub endpoints: Vec<(String, EndpointSet)>,
    /// The last resources refused, with the reason; bounded.
    pub refused: Vec<(String, String)>,
}
