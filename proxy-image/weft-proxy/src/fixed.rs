//! Configuration from a file instead of an operator: what benches and protocol tests run with.
//!
//! `{"identity": {"chain_pem", "key_pem"}, "trust": [{"mesh", "trust_domain", "anchors_pem"}], "resources": ["<base64 of one
//! weft.config.v1.Upsert>"]}`. Resources go through the same conversion as those of the stream.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use weft_control::{Control, ControlSetter, Credentials, TrustDomain};
use weft_proxy_core::tls::Identity;

/// Reads `path` into a control handle that never changes.
pub fn read(path: &Path) -> anyhow::Result<(Control, ControlSetter)> {
    let text = fs::read_to_string(path).with_context(|| format!("static configuration {}", path.display()))?;
    let file: Value = serde_json::from_str(&text).context("static configuration is no JSON")?;
    let (control, setter) = Control::memory();
    setter.set_credentials(credentials(&file)?);
    let resources = file.get("resources").and_then(Value::as_array).context("resources: not a list")?;
    for (index, resource) in resources.iter().enumerate() {
        let encoded = resource.as_str().and_then(base64).with_context(|| format!("resources[{index}]: no base64"))?;
        setter.upsert(&encoded).map_err(|what| anyhow!("resources[{index}]: {what}"))?;
    }
    if !control.ready() {
        bail!("resources: none of them is the workload");
    }
    Ok((control, setter))
}

fn text<'a>(value: &'a Value, path: &str) -> anyhow::Result<&'a str> {
    value.pointer(path).and_then(Value::as_str).with_context(|| format!("{path}: no text"))
}

fn certificates(pem: &str, path: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| anyhow!("{path}: {error}"))?;
    if found.is_empty() { Err(anyhow!("{path}: no certificate")) } else { Ok(found) }
}

fn credentials(file: &Value) -> anyhow::Result<Credentials> {
    let chain = certificates(text(file, "/identity/chain_pem")?, "/identity/chain_pem")?;
    let key = PrivateKeyDer::from_pem_slice(text(file, "/identity/key_pem")?.as_bytes())
        .map_err(|error| anyhow!("/identity/key_pem: {error}"))?;
    let signing = aws_lc_rs::sign::any_supported_type(&key).context("/identity/key_pem")?;
    let identity = chain.first().and_then(Identity::read).context("/identity/chain_pem: no mesh identity")?;
    let mut trust_domains = Vec::new();
    for domain in file.get("trust").and_then(Value::as_array).context("trust: not a list")? {
        trust_domains.push(TrustDomain {
            mesh: text(domain, "/mesh")?.to_owned(),
            trust_domain: text(domain, "/trust_domain")?.to_owned(),
            anchors: certificates(text(domain, "/anchors_pem")?, "/trust/anchors_pem")?,
        });
    }
    Ok(Credentials {
        certified_key: Arc::new(CertifiedKey::new(chain, signing)),
        identity: identity.spiffe,
        // Nobody renews it.
        not_after: SystemTime::now() + Duration::from_hours(24),
        trust_domains,
    })
}

/// RFC 4648 4, padding optional; None at anything else.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_with_padding_or_without() {
        for (text, want) in
            [("", &b""[..]), ("Zg==", b"f"), ("Zm8", b"fo"), ("Zm9vYmFy", b"foobar"), ("+/8=", b"\xfb\xff")]
        {
            assert_eq!(base64(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(base64("Zm9v!"), None);
    }
}
