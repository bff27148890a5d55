//! The roots believed in: what the operator sent, else the mounted file, else what injection wrote.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::config::TrustSource;
use crate::handle::Shared;
use crate::types::TrustDomain;

/// Roots by source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    injected: Vec<CertificateDer<'static>>,
    file: Vec<CertificateDer<'static>>,
    stream: Vec<TrustDomain>,
}

impl Trust {
    pub(crate) fn new(source: &TrustSource) -> Self {
        let injected = source.pem.as_deref().map(|pem| certificates(pem.as_bytes())).unwrap_or_default();
        let file = source.file.as_deref().map(read).unwrap_or_default();
        Self { injected, file, stream: Vec::new() }
    }

    /// The domains to believe in. Roots from file or injection carry no name: they are those of the proxy's own domain.
    pub(crate) fn domains(&self, own_trust_domain: &str) -> Vec<TrustDomain> {
        if !self.stream.is_empty() {
            return self.stream.clone();
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
pub(crate) fn received(shared: &Shared, domains: Vec<TrustDomain>) {
    shared.trust.send_modify(|trust| Arc::make_mut(trust).stream = domains);
    shared.publish_credentials();
}

/// Looks at the file for ever. A file that is gone or empty for a moment changes nothing: ConfigMaps are swapped by symlink.
pub(crate) async fn poll(shared: Arc<Shared>, source: TrustSource, every: std::time::Duration) {
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
