//! Just enough of a TLS ClientHello (RFC 8446 4.1.2, RFC 7301) to see whether it offers our ALPN.

use crate::tls::ALPN;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const EXTENSION_ALPN: u16 = 16;

/// Whether the ClientHello at the front of `bytes` offers our ALPN: None while bytes are missing, Some(Err) when this is no
/// ClientHello. A hello that is split over several records is reassembled only up to its first record: ours never is.
#[must_use]
pub fn offers_mesh(bytes: &[u8]) -> Option<Result<bool, ()>> {
    match scan(bytes) {
        Ok(found) => Some(Ok(found)),
        Err(Stop::Malformed) => Some(Err(())),
        Err(Stop::Short) => None,
    }
}

enum Stop {
    Short,
    Malformed,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(Stop::Short)?;
        self.0 = tail;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8, Stop> {
        self.take(1)?.first().copied().ok_or(Stop::Short)
    }

    fn u16(&mut self) -> Result<u16, Stop> {
        self.take(2)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes)).ok_or(Stop::Short)
    }

    fn vector8(&mut self) -> Result<&'a [u8], Stop> {
        let length = self.u8()?;
        self.take(length.into())
    }

    fn vector16(&mut self) -> Result<Reader<'a>, Stop> {
        let length = self.u16()?;
        self.take(length.into()).map(Reader)
    }
}

fn scan(bytes: &[u8]) -> Result<bool, Stop> {
    let mut outer = Reader(bytes);
    let record_type = outer.u8()?;
    let major = outer.u8()?;
    if record_type != HANDSHAKE || major != 3 {
        return Err(Stop::Malformed);
    }
    outer.u8()?;
    let record_length = usize::from(outer.u16()?);
    if !(4..=16_384).contains(&record_length) {
        return Err(Stop::Malformed);
    }
    // The hello ends with its record; what follows belongs to nobody yet.
    let complete = outer.0.len() >= record_length;
    let mut hello = Reader(outer.0.get(..record_length).unwrap_or(outer.0));
    match fields(&mut hello) {
        // The record is whole and its content still too short: split over records, or broken. Never ours.
        Err(Stop::Short) if complete => Ok(false),
        other => other,
    }
}

fn fields(hello: &mut Reader<'_>) -> Result<bool, Stop> {
    if hello.u8()? != CLIENT_HELLO {
        return Err(Stop::Malformed);
    }
    hello.take(3)?;
    hello.take(2 + 32)?;
    if hello.vector8()?.len() > 32 {
        return Err(Stop::Malformed);
    }
    hello.vector16()?;
    hello.vector8()?;
    // The whole list may not be here yet; what is here may already hold the answer.
    let total = usize::from(hello.u16()?);
    let mut extensions = Reader(hello.0.get(..total).unwrap_or(hello.0));
    let truncated = extensions.0.len() < total;
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let mut body = extensions.vector16()?;
        if kind == EXTENSION_ALPN {
            let mut protocols = body.vector16()?;
            while !protocols.0.is_empty() {
                if protocols.vector8()? == ALPN {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
    }
    if truncated { Err(Stop::Short) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::crypto::aws_lc_rs;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    fn hello(protocols: &[&[u8]]) -> Vec<u8> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let mut client = ClientConnection::new(Arc::new(config), "app.local".try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn our_alpn_is_found_wherever_it_stands_and_no_prefix_is_taken_for_an_answer_it_does_not_hold() {
        for (protocols, ours) in [
            (&[&b"weft/1"[..]][..], true),
            (&[b"h2", b"weft/1"], true),
            (&[b"h2", b"http/1.1"], false),
            (&[b"weft/10"], false),
            (&[], false),
        ] {
            let bytes = hello(protocols);
            assert_eq!(offers_mesh(&bytes), Some(Ok(ours)), "{protocols:?}");
            for cut in 1..bytes.len() {
                let verdict = offers_mesh(&bytes[..cut]);
                assert!(verdict.is_none() || verdict == Some(Ok(ours)), "{protocols:?} cut at {cut}: {verdict:?}");
            }
        }
    }

    #[test]
    fn what_is_no_client_hello_is_not_taken_for_one() {
        for bytes in [
            &b"\x16\x04\x01\x00\x10\x01"[..],
            b"\x17\x03\x03\x00\x10\x01",
            b"\x16\x03\x01\x00\x10\x02",
            b"\x16\x03\x01\x00\x01\x01",
        ] {
            assert_eq!(offers_mesh(bytes), Some(Err(())), "{bytes:?}");
        }
    }
}
