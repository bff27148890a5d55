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
    /// The DNS form of the same identity, when there is one.
    pub dns: Option<Arc<str>>,
}

impl Identity {
    /// Reads the SANs: exactly one URI, as the SPIFFE X.509 profile demands, and the DNS name that says the same as it.
    ///
    /// Only the URI's trust domain was held against its own roots. A DNS name of another domain, or of another account, is
    /// nothing that those roots may speak for, so it does not count.
    #[must_use]
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let mut spiffe = None;
        let mut names_given = Vec::new();
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(_) if spiffe.is_some() => return None,
                GeneralName::URI(uri) => spiffe = Some(*uri),
                GeneralName::DNSName(name) => names_given.push(*name),
                _ => {}
            }
        }
        trust_domain(spiffe?)?;
        let dns = names_given.into_iter().find(|name| says_the_same(name, spiffe.unwrap_or_default()));
        Some(Self { spiffe: Arc::from(spiffe?), dns: dns.map(Arc::from) })
    }

    /// The trust domain of the URI.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        trust_domain(&self.spiffe).unwrap_or_default()
    }
}

/// Whether `dns` is `<account>.<namespace>.serviceaccount.identity.<control namespace>.<trust domain>` of the account that the URI
/// names. The control namespace is one label, or a domain could pass for one that it is the ending of.
fn says_the_same(dns: &str, spiffe: &str) -> bool {
    let parts = spiffe.strip_prefix("spiffe://").and_then(|rest| rest.split_once("/ns/"));
    let Some((domain, account)) = parts.and_then(|(domain, path)| Some((domain, path.split_once("/sa/")?))) else {
        return false;
    };
    let control_namespace = dns
        .strip_prefix(account.1)
        .and_then(|rest| rest.strip_prefix('.')?.strip_prefix(account.0))
        .and_then(|rest| rest.strip_prefix(".serviceaccount.identity."))
        .and_then(|rest| rest.strip_suffix(domain)?.strip_suffix('.'));
    control_namespace.is_some_and(|label| !label.is_empty() && !label.contains('.'))
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

#[cfg(test)]
mod tests {
    use super::says_the_same;

    #[test]
    fn a_dns_name_counts_only_beside_the_uri_of_the_same_account_and_domain() {
        let web = "spiffe://cluster.local/ns/demo/sa/web";
        assert!(says_the_same("web.demo.serviceaccount.identity.weft-system.cluster.local", web));
        let dotted = "spiffe://cluster.local/ns/demo/sa/web.v2";
        assert!(says_the_same("web.v2.demo.serviceaccount.identity.weft-system.cluster.local", dotted));
        for (dns, spiffe) in [
            ("web.demo.serviceaccount.identity.weft-system.other.test", web),
            // One domain is the ending of the other.
            ("web.demo.serviceaccount.identity.weft-system.b.cluster.local", web),
            ("web.demo.serviceaccount.identity.weft-system.cluster.local", "spiffe://b.cluster.local/ns/demo/sa/web"),
            ("admin.demo.serviceaccount.identity.weft-system.cluster.local", web),
            ("web.prod.serviceaccount.identity.weft-system.cluster.local", web),
            ("web.demo.serviceaccount.identity..cluster.local", web),
            ("web.demo.serviceaccount.identity.cluster.local", web),
            ("operator.default.weft.dev", web),
            ("web.demo.serviceaccount.identity.weft-system.cluster.local", "spiffe://cluster.local/web"),
        ] {
            assert!(!says_the_same(dns, spiffe), "{dns} beside {spiffe}");
        }
    }
}
