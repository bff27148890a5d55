//! The roots that this pod believes in.

use std::collections::HashSet;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::error::{each, invalid};
use super::{At, ConvertError, missing};
use crate::types::TrustDomain;
use crate::wire::config as wire;

/// What the operator says of trust.
pub struct Trusted {
    /// In the order given: the proxy's own first.
    pub domains: Vec<TrustDomain>,
    /// The generation that signs now; empty when the operator does not say.
    pub issuer: String,
    /// Over which the proxies of the mesh spread their requests when another one signs.
    pub renew_within: Duration,
}

impl TryFrom<wire::Trust> for Trusted {
    type Error = ConvertError;

    fn try_from(wire: wire::Trust) -> Result<Self, ConvertError> {
        if wire.domains.is_empty() {
            return Err(missing("domains"));
        }
        let domains = each("domains", wire.domains, TrustDomain::try_from)?;
        let mut seen = HashSet::new();
        // Two meshes under one name could speak for each other.
        if let Some(twice) = domains.iter().find(|domain| !seen.insert(domain.trust_domain.as_str())) {
            return Err(invalid(&twice.trust_domain, "given once")).at("domains");
        }
        Ok(Self { domains, issuer: wire.issuer, renew_within: Duration::from_millis(wire.renew_within_ms) })
    }
}

impl TryFrom<wire::TrustDomain> for TrustDomain {
    type Error = ConvertError;

    fn try_from(wire: wire::TrustDomain) -> Result<Self, ConvertError> {
        if wire.trust_domain.is_empty() || wire.trust_domain.contains('/') {
            return Err(invalid(wire.trust_domain, "a trust domain")).at("trust_domain");
        }
        if wire.anchors.is_empty() {
            return Err(missing("anchors"));
        }
        let anchors = each("anchors", wire.anchors, |der| {
            let certificate = CertificateDer::from(der);
            match webpki::anchor_from_trusted_cert(&certificate) {
                Ok(_) => Ok(certificate.clone()),
                Err(error) => Err(invalid(error, "a certificate that can be a root")),
            }
        })?;
        Ok(Self { mesh: wire.mesh, trust_domain: wire.trust_domain, anchors })
    }
}
