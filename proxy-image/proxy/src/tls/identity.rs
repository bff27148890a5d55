//! Who a certificate speaks for.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The names in a mesh certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `spiffe://<trust domain>/...`
    pub spiffe: Arc<str>,
    /// The DNS form, when there is one.
    pub dns: Option<Arc<str>>,
}

impl Identity {
    /// Reads the SANs: exactly one URI, as the SPIFFE X.509 profile demands, and the first DNS name.
    #[must_use]
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let mut spiffe = None;
        let mut dns = None;
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(_) if spiffe.is_some() => return None,
                GeneralName::URI(uri) => spiffe = Some(*uri),
                GeneralName::DNSName(name) if dns.is_none() => dns = Some(*name),
                _ => {}
            }
        }
        trust_domain(spiffe?)?;
        Some(Self { spiffe: Arc::from(spiffe?), dns: dns.map(Arc::from) })
    }

    /// The trust domain of the URI.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        trust_domain(&self.spiffe).unwrap_or_default()
    }
}

fn trust_domain(spiffe: &str) -> Option<&str> {
    let (domain, path) = spiffe.strip_prefix("spiffe://")?.split_once('/')?;
    let printable = spiffe.bytes().all(|byte| byte.is_ascii_graphic());
    (printable && !domain.is_empty() && !path.is_empty()).then_some(domain)
}

/// The verified identity at the other end of an established connection.
#[must_use]
pub fn peer<Data>(connection: &rustls::ConnectionCommon<Data>) -> Option<Identity> {
    connection.peer_certificates().and_then(<[_]>::first).and_then(Identity::read)
}
