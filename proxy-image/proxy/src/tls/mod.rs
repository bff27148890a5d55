//! Mutual TLS between proxies: configurations that follow the credentials, and who is at the other end.
//!
//! TLS 1.3 only, X25519MLKEM768 first, our ALPN always, a client certificate always, no resumption. Chains are believed only for
//! the trust domain in whose own anchor they end (`verify`).

mod identity;
mod verify;

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ClientConfig, ServerConfig};
use tokio::sync::watch;
use weft_control::Credentials;
use weft_policy::ClientTls;

pub use identity::{Identity, peer};

use crate::refusal::Refusal;

/// What proxies call their TLS, so that it is never confused with the application's.
pub const ALPN: &[u8] = b"weft/1";
/// Plaintext that a session holds back while its socket does not take more, in bytes.
const SESSION_BUFFER: usize = 32 * 1024;

/// TLS configurations built from the newest credentials.
pub struct Tls {
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
    provider: Arc<CryptoProvider>,
    built: RefCell<Option<Built>>,
}

#[derive(Clone)]
struct Built {
    source: Arc<Credentials>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Follows `credentials`.
    #[must_use]
    pub fn new(credentials: watch::Receiver<Option<Arc<Credentials>>>) -> Self {
        Self { credentials, provider: Arc::new(provider()), built: RefCell::default() }
    }

    /// For connections that peers begin; None until credentials are held.
    #[must_use]
    pub fn server(&self) -> Option<Arc<ServerConfig>> {
        self.current().map(|built| built.server)
    }

    /// For connections to peers; None until credentials are held.
    #[must_use]
    pub fn client(&self) -> Option<Arc<ClientConfig>> {
        self.current().map(|built| built.client)
    }

    fn current(&self) -> Option<Built> {
        let source = self.credentials.borrow().clone()?;
        if let Some(built) = self.built.borrow().as_ref().filter(|built| Arc::ptr_eq(&built.source, &source)) {
            return Some(built.clone());
        }
        match build(&source, &self.provider) {
            Ok((server, client)) => {
                let built = Built { source, server: Arc::new(server), client: Arc::new(client) };
                self.built.replace(Some(built.clone()));
                Some(built)
            }
            Err(error) => {
                // The configuration that was built before goes on serving.
                tracing::error!(error = %error, "credentials cannot be used");
                self.built.borrow().clone()
            }
        }
    }
}

/// aws-lc with TLS 1.3's suites, AES-128 first: a record costs a third less than with AES-256.
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256};
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256],
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1],
        ..aws_lc_rs::default_provider()
    }
}

fn build(
    credentials: &Credentials,
    provider: &Arc<CryptoProvider>,
) -> Result<(ServerConfig, ClientConfig), rustls::Error> {
    let verifier = Arc::new(verify::Verifier::new(&credentials.trust_domains, Arc::clone(provider))?);
    let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.certified_key)));

    let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::clone(&verifier) as _)
        .with_cert_resolver(Arc::clone(&resolver) as _);
    server.alpn_protocols = vec![ALPN.to_vec()];
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(NoServerSessionStorage {});

    let mut client = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(resolver);
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = Resumption::disabled();
    client.enable_sni = false;
    Ok((server, client))
}

/// Limits what a session buffers.
pub fn limit<Data>(connection: &mut rustls::ConnectionCommon<Data>) {
    connection.set_buffer_limit(Some(SESSION_BUFFER));
}

/// Which counter a failed handshake goes to.
#[must_use]
pub fn refusal(error: &io::Error) -> Refusal {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::NoCertificatesPresented) => Refusal::NoCertificate,
        Some(rustls::Error::NoApplicationProtocol) => Refusal::WrongAlpn,
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Refusal::Expired,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Refusal::UntrustedRoot,
            _ => Refusal::Handshake,
        },
        _ => Refusal::Handshake,
    }
}

/// The caller as authorisation sees it.
#[must_use]
pub fn client_tls(identity: Option<Identity>) -> ClientTls {
    match identity {
        Some(Identity { spiffe, dns }) => ClientTls::Identity { spiffe, dns },
        None => ClientTls::MeshNoIdentity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_session_holds_no_more_plaintext_than_its_bound() {
        let config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = "app.local".try_into().unwrap();
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        limit(&mut session);
        let taken = session.writer().write(&[0; 16 * SESSION_BUFFER]).unwrap();
        assert_eq!(taken, SESSION_BUFFER);
        assert_eq!(session.writer().write(b"more").unwrap(), 0);
    }
}
