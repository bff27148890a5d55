//! The roots believed in: what the operator sent, else the mounted file, else what injection wrote.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::TrustSource;
use crate::convert::Trusted;
use crate::handle::Shared;
use crate::types::TrustDomain;

/// Roots by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    injected: Vec<CertificateDer<'static>>,
    file: Vec<CertificateDer<'static>>,
    stream: Vec<TrustDomain>,
    issuer: String,
    renew_within: Duration,
}

impl Trust {
    pub(crate) fn new(source: &TrustSource) -> Self {
        let injected = source.pem.as_deref().map(|pem| certificates(pem.as_bytes())).unwrap_or_default();
        let file = source.file.as_deref().map(read).unwrap_or_default();
        Self { injected, file, ..Self::default() }
    }

    /// The domains to believe in. Roots from file or injection carry no name: they are those of the proxy's own domain.
    ///
    /// The mounted file counts beside what the stream said, as for the operator's own certificate: a proxy that is cut off while the
    /// root is replaced goes on believing its peers.
    pub(crate) fn domains(&self, own_trust_domain: &str) -> Vec<TrustDomain> {
        if !self.stream.is_empty() {
            let mut domains = self.stream.clone();
            if let Some(own) = domains.iter_mut().find(|domain| domain.trust_domain == own_trust_domain) {
                let more = self.file.iter().filter(|root| !own.anchors.contains(root)).cloned().collect::<Vec<_>>();
                own.anchors.extend(more);
            }
            return domains;
        }
        let anchors = self.mounted().to_vec();
        vec![TrustDomain { mesh: String::new(), trust_domain: own_trust_domain.to_owned(), anchors }]
    }

    /// The roots that the operator's own certificate may chain to.
    ///
    /// The mounted file counts beside what the stream said: a proxy that was cut off while the root was replaced hears of the new
    /// one by the file only. The roots written at injection do not: they can be older than a replacement made for cause.
    pub(crate) fn operator_roots(&self) -> RootCertStore {
        let own = self.stream.first().map(|domain| domain.anchors.as_slice());
        let anchors: Vec<_> = match own {
            Some(own) => own.iter().chain(&self.file).cloned().collect(),
            None => self.mounted().to_vec(),
        };
        roots(&anchors)
    }

    /// How long a certificate of this generation may still wait for its successor; None: until it is due.
    pub(crate) fn superseded(&self, generation: &str) -> Option<Duration> {
        let other = !self.issuer.is_empty() && !generation.is_empty() && self.issuer != generation;
        other.then_some(self.renew_within)
    }

    fn mounted(&self) -> &[CertificateDer<'static>] {
        if self.file.is_empty() { &self.injected } else { &self.file }
    }
}

/// Certificates that cannot be roots are left out.
pub(crate) fn roots(anchors: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchors.iter().cloned());
    roots
}

/// The trust resource of the stream.
pub(crate) fn received(shared: &Shared, trusted: Trusted) {
    shared.trust.send_modify(|trust| {
        let trust = Arc::make_mut(trust);
        trust.stream = trusted.domains;
        trust.issuer = trusted.issuer;
        trust.renew_within = trusted.renew_within;
    });
    shared.publish_credentials();
}

/// Looks at the file for ever. A file that is gone or empty for a moment changes nothing: ConfigMaps are swapped by symlink.
pub(crate) async fn poll(shared: Arc<Shared>, source: TrustSource, every: Duration) {
    let Some(path) = source.file else { return };
    loop {
        tokio::time::sleep(every).await;
        let file = read(&path);
        let changed = shared.trust.send_if_modified(|trust| {
            let changed = !file.is_empty() && trust.file != file;
            if changed {
                Arc::make_mut(trust).file = file;
            }
            changed
        });
        if changed {
            tracing::info!(path = %path.display(), "trust file changed");
            shared.publish_credentials();
        }
    }
}

fn read(path: &Path) -> Vec<CertificateDer<'static>> {
    std::fs::read(path).map(|pem| certificates(&pem)).unwrap_or_default()
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}
