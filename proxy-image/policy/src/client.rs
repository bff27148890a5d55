//! Who is on the other end of an inbound connection.

use std::net::IpAddr;
use std::sync::Arc;

/// The caller of an inbound connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Canonical: an IPv4-mapped IPv6 address appears as IPv4.
    pub address: IpAddr,
    /// What was proved by TLS.
    pub tls: ClientTls,
    /// The pod calls itself: loopback, or one of its own addresses.
    pub own_pod: bool,
}

/// What a connection's TLS proved about the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientTls {
    /// No mesh TLS.
    None,
    /// Mesh TLS without a verified certificate.
    MeshNoIdentity,
    /// Mesh TLS with a certificate that chains to the identity's own trust domain.
    Identity {
        /// The certificate's URI SAN.
        spiffe: Arc<str>,
        /// The certificate's DNS SAN, when it has one.
        dns: Option<Arc<str>>,
    },
}

impl Client {
    /// A caller at `address`; `pod_ips` are the addresses of the pod that is called.
    #[must_use]
    pub fn new(address: IpAddr, tls: ClientTls, pod_ips: &[IpAddr]) -> Self {
        let address = address.to_canonical();
        let own_pod = address.is_loopback() || pod_ips.iter().any(|own| own.to_canonical() == address);
        Self { address, tls, own_pod }
    }

    /// The verified spiffe:// identity.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<str>> {
        match &self.tls {
            ClientTls::Identity { spiffe, .. } => Some(spiffe),
            ClientTls::None | ClientTls::MeshNoIdentity => None,
        }
    }
}
