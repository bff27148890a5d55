//! The certificate: key made here, request signed with it, renewed well before its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use tokio::sync::watch;

use crate::backoff::{Backoff, between, jitter};
use crate::config::ControlConfig;
use crate::connect::{connect, provider, token};
use crate::error::ControlError;
use crate::handle::Shared;
use crate::trust::{Trust, roots};
use crate::wire::identity::identity_service_client::IdentityServiceClient;
use crate::wire::identity::{CertifyRequest, CertifyResponse};

/// However short a certificate lives, the operator is not asked more often.
const RENEW_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// A certificate in hand.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) certified_key: Arc<CertifiedKey>,
    pub(crate) identity: Arc<str>,
    pub(crate) not_after: SystemTime,
    /// Names the issuer that signed it; empty when the operator did not say.
    pub(crate) generation: String,
}

/// Keeps a certificate for as long as the task runs. A failed renewal keeps the one in hand.
pub(crate) async fn run(shared: Arc<Shared>, config: Arc<ControlConfig>) {
    let mut backoff = Backoff::new(config.timeouts.backoff);
    let mut trust = shared.trust.subscribe();
    loop {
        match certify(&shared, &config).await {
            Ok(leaf) => {
                backoff.reset();
                let delay = renewal(&leaf, config.timeouts.renew);
                tracing::info!(identity = %leaf.identity, renewMs = delay.as_millis(), "certificate obtained");
                shared.store().stats.certificates += 1;
                shared.leaf.send_replace(Some(leaf));
                shared.publish_credentials();
                shared.tell_leaf();
                let mut roots = trust.clone();
                let orphaned = async { drop(roots.wait_for(|trust| !in_hand_chains(&shared, trust)).await) };
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    // The roots were replaced and nobody believes in this certificate any more.
                    () = orphaned => tokio::time::sleep(backoff.next(jitter())).await,
                    () = superseded(&shared, &mut trust) => {}
                }
            }
            Err(error) => {
                let delay = backoff.next(jitter());
                tracing::warn!(err = %error, retryMs = delay.as_millis(), "no certificate");
                {
                    let stats = &mut shared.store().stats;
                    stats.certificate_failures += 1;
                    stats.last_error = error.to_string();
                }
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// Ends at a random time within what the operator allows since another issuer signs than that of the certificate in hand.
async fn superseded(shared: &Shared, trust: &mut watch::Receiver<Arc<Trust>>) {
    let of_hand = |trust: &Trust| shared.leaf.borrow().as_ref().and_then(|leaf| trust.superseded(&leaf.generation));
    loop {
        let Ok(within) = trust.wait_for(|trust| of_hand(trust).is_some()).await.map(|trust| of_hand(&trust)) else {
            // The handle is gone, and this task with it.
            return std::future::pending().await;
        };
        tokio::time::sleep(within.unwrap_or_default().mul_f64(jitter()).max(RENEW_AT_MOST_EVERY)).await;
        // Replaced again meanwhile, or set back: an abort needs no new certificate.
        if of_hand(&trust.borrow()).is_some() {
            return;
        }
    }
}

/// After 50 to 70 % of what is left of it by this clock.
fn renewal(leaf: &Leaf, range: (f64, f64)) -> Duration {
    let left = leaf.not_after.duration_since(SystemTime::now()).unwrap_or_default();
    left.mul_f64(between(range, jitter())).max(RENEW_AT_MOST_EVERY)
}

async fn certify(shared: &Shared, config: &ControlConfig) -> Result<Leaf, ControlError> {
    let attempt = async {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Names in a request are ignored by the operator, so there are none.
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let csr = params.serialize_request(&key)?;
        let channel = connect(shared, config).await?;
        let request = CertifyRequest { csr: csr.der().to_vec(), service_account_token: token(config)? };
        let response = IdentityServiceClient::new(channel).certify(request).await?.into_inner();
        let trust = Arc::clone(&shared.trust.borrow());
        verify(response, &key, &trust)
    };
    let limit = config.timeouts.certify;
    tokio::time::timeout(limit, attempt).await.map_err(|_| ControlError::Timeout(config.address.clone(), limit))?
}

/// Believes nothing: the chain must fit our key, say the identity that the answer says, be valid now and end in our own roots. A
/// certificate that peers would refuse must not replace one that works.
fn verify(response: CertifyResponse, key: &KeyPair, trust: &Trust) -> Result<Leaf, ControlError> {
    let unusable = |what: &str| ControlError::Certificate(what.to_owned());
    let chain: Vec<CertificateDer<'static>> = response.chain.into_iter().map(CertificateDer::from).collect();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = provider().key_provider.load_private_key(private)?;
    let certified_key = CertifiedKey::new(chain, signing);
    certified_key.keys_match().map_err(|_| unusable("it is for another key"))?;
    let leaf = certified_key.end_entity_cert()?;
    let parsed = webpki::EndEntityCert::try_from(leaf).map_err(|error| unusable(&error.to_string()))?;
    let names: Vec<_> = parsed.valid_uri_names().collect();
    if names != [response.identity.as_str()] {
        return Err(unusable(&format!("it names {names:?}, the operator said {}", response.identity)));
    }
    let Some(own) = trust_domain(&response.identity) else { return Err(unusable("its identity is no spiffe:// URI")) };
    if !chains(&certified_key.cert, own, trust)? {
        return Err(unusable("it does not chain to the roots of its trust domain, or is not valid by this clock"));
    }
    let not_after = u64::try_from(response.not_after).map_err(|_| unusable("its end lies before 1970"))?;
    Ok(Leaf {
        certified_key: Arc::new(certified_key),
        identity: response.identity.into(),
        not_after: UNIX_EPOCH + Duration::from_secs(not_after),
        generation: response.generation,
    })
}

/// `spiffe://<trust domain>/...`
pub(crate) fn trust_domain(identity: &str) -> Option<&str> {
    let (domain, path) = identity.strip_prefix("spiffe://")?.split_once('/')?;
    (!domain.is_empty() && !path.is_empty()).then_some(domain)
}

fn in_hand_chains(shared: &Shared, trust: &Trust) -> bool {
    shared.leaf.borrow().as_ref().is_none_or(|leaf| {
        let own = trust_domain(&leaf.identity).unwrap_or_default();
        chains(&leaf.certified_key.cert, own, trust).unwrap_or(false)
    })
}

fn chains(chain: &[CertificateDer<'static>], own: &str, trust: &Trust) -> Result<bool, rustls::Error> {
    let Some((leaf, intermediates)) = chain.split_first() else { return Ok(false) };
    let domains = trust.domains(own);
    let Some(domain) = domains.iter().find(|domain| domain.trust_domain == own) else { return Ok(false) };
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&domain.anchors)), provider()).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).is_ok())
}
