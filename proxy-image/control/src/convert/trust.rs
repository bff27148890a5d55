//! The roots that this pod believes in.

use rustls_pki_types::CertificateDer;

use super::error::{each, invalid};
use super::{At, ConvertError, missing};
use crate::types::TrustDomain;
use crate::wire::config as wire;

/// Domains in the order given: the proxy's own first.
pub struct Domains(pub Vec<TrustDomain>);

impl TryFrom<wire::Trust> for Domains {
    type Error = ConvertError;

    fn try_from(wire: wire::Trust) -> Result<Self, ConvertError> {
        if wire.domains.is_empty() {
            return Err(missing("domains"));
        }
        each("domains", wire.domains, TrustDomain::try_from).map(Self)
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
