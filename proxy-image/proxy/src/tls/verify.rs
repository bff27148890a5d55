//! Chains are believed for one trust domain at a time: the leaf's URI names the domain, and only that domain's own anchors count.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use weft_control::TrustDomain;

use super::identity::Identity;

/// Verifies both sides of mesh TLS. Names are compared after the handshake, with the endpoint's expected identity at hand.
#[derive(Debug)]
pub struct Verifier {
    domains: HashMap<String, Domain>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Domain {
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl Verifier {
    /// # Errors
    /// When an anchor is no certificate. A domain without anchors is left out: nothing is believed for it.
    pub fn new(trust_domains: &[TrustDomain], provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut roots: HashMap<String, RootCertStore> = HashMap::new();
        for domain in trust_domains {
            let store = roots.entry(domain.trust_domain.clone()).or_insert_with(RootCertStore::empty);
            for anchor in &domain.anchors {
                store.add(anchor.clone())?;
            }
        }
        let mut domains = HashMap::new();
        for (name, store) in roots {
            if store.is_empty() {
                continue;
            }
            let store = Arc::new(store);
            let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&store), Arc::clone(&provider))
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
            domains.insert(name, Domain { roots: store, clients });
        }
        Ok(Self { domains, provider })
    }

    fn domain(&self, leaf: &CertificateDer<'_>) -> Result<&Domain, Error> {
        let identity = Identity::read(leaf).ok_or(CertificateError::BadEncoding)?;
        Ok(self.domains.get(identity.trust_domain()).ok_or(CertificateError::UnknownIssuer)?)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let domain = self.domain(end_entity)?;
        let leaf = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &domain.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.domain(end_entity)?.clients.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
