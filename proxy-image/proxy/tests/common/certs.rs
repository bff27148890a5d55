//! Certificate authorities and mesh credentials.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use weft_control::{Credentials, TrustDomain};

pub const DOMAIN: &str = "cluster.local";

pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub anchor: CertificateDer<'static>,
}

impl Ca {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { anchor: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// Credentials for `identity`, believing this authority for its domain.
    pub fn credentials(&self, identity: &str) -> Credentials {
        self.issue(identity, &[], false)
    }

    /// The same with a leaf that ran out long ago.
    pub fn expired(&self, identity: &str) -> Credentials {
        self.issue(identity, &[], true)
    }

    /// The same with DNS names beside the URI.
    pub fn named(&self, identity: &str, dns: &[&str]) -> Credentials {
        self.issue(identity, dns, false)
    }

    fn issue(&self, identity: &str, dns: &[&str], expired: bool) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(identity.try_into().unwrap())];
        params.subject_alt_names.extend(dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 2);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let signing = aws_lc_rs::sign::any_supported_type(&secret).unwrap();
        Credentials {
            certified_key: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)),
            identity: Arc::from(identity),
            not_after: SystemTime::now() + std::time::Duration::from_secs(86_400),
            trust_domains: vec![self.trust(DOMAIN)],
        }
    }

    /// This authority as the root of `domain`.
    pub fn trust(&self, domain: &str) -> TrustDomain {
        TrustDomain { mesh: "default".to_owned(), trust_domain: domain.to_owned(), anchors: vec![self.anchor.clone()] }
    }
}

pub fn spiffe(account: &str) -> String {
    format!("spiffe://{DOMAIN}/ns/demo/sa/{account}")
}
