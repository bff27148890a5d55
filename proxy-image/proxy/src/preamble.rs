//! The first bytes inside mesh TLS, client to server: which pod, port and protocol the connection is meant for.
//!
//! `"WFT1"`, u8 protocol, u8 length of the pod UID, u16 port (big endian), pod UID. There is no answer.

use std::str;

use thiserror::Error;

const MAGIC: [u8; 4] = *b"WFT1";
/// Bytes before the pod UID.
pub const FIXED: usize = 8;
/// Longest pod UID.
pub const MAX_UID: usize = 64;
/// Longest preamble.
pub const MAX: usize = FIXED + MAX_UID;

/// How the client will use the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.x.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Bytes.
    Opaque,
    /// The application's own TLS.
    Tls,
}

impl Protocol {
    fn code(self) -> u8 {
        match self {
            Protocol::Http1 => 1,
            Protocol::Http2 => 2,
            Protocol::Opaque => 3,
            Protocol::Tls => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Protocol::Http1,
            2 => Protocol::Http2,
            3 => Protocol::Opaque,
            4 => Protocol::Tls,
            _ => return None,
        })
    }
}

/// A decoded preamble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble<'a> {
    /// How the connection will be used.
    pub protocol: Protocol,
    /// The application's port.
    pub port: u16,
    /// The pod that is meant; may be empty when the control plane did not know it.
    pub pod_uid: &'a str,
}

/// Why bytes are no preamble.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PreambleError {
    /// Not our magic.
    #[error("the connection does not begin with a preamble")]
    Magic,
    /// A protocol code that this version does not know.
    #[error("the preamble names an unknown protocol")]
    Protocol,
    /// The UID is too long or not text.
    #[error("the preamble's pod UID is malformed")]
    Uid,
    /// Port 0.
    #[error("the preamble names port 0")]
    Port,
}

/// Writes a preamble into `out` and returns its length; None when the UID is longer than [`MAX_UID`].
#[must_use]
pub fn encode(preamble: &Preamble<'_>, out: &mut [u8; MAX]) -> Option<usize> {
    let uid = preamble.pod_uid.as_bytes();
    let uid_length = u8::try_from(uid.len()).ok().filter(|length| usize::from(*length) <= MAX_UID)?;
    let [high, low] = preamble.port.to_be_bytes();
    let [m0, m1, m2, m3] = MAGIC;
    out.first_chunk_mut::<FIXED>()?.copy_from_slice(&[m0, m1, m2, m3, preamble.protocol.code(), uid_length, high, low]);
    out.get_mut(FIXED..FIXED + uid.len())?.copy_from_slice(uid);
    Some(FIXED + uid.len())
}

/// Reads a preamble from the front of `bytes`: the preamble and its length, or None while bytes are missing.
///
/// # Errors
/// As soon as the bytes cannot become a preamble.
pub fn decode(bytes: &[u8]) -> Result<Option<(Preamble<'_>, usize)>, PreambleError> {
    if bytes.iter().zip(MAGIC).any(|(got, want)| *got != want) {
        return Err(PreambleError::Magic);
    }
    let Some(&[_, _, _, _, protocol, uid_length, high, low]) = bytes.first_chunk::<FIXED>() else { return Ok(None) };
    let protocol = Protocol::from_code(protocol).ok_or(PreambleError::Protocol)?;
    let uid_length = usize::from(uid_length);
    if uid_length > MAX_UID {
        return Err(PreambleError::Uid);
    }
    let port = u16::from_be_bytes([high, low]);
    if port == 0 {
        return Err(PreambleError::Port);
    }
    let Some(uid) = bytes.get(FIXED..FIXED + uid_length) else { return Ok(None) };
    let pod_uid = str::from_utf8(uid).map_err(|_| PreambleError::Uid)?;
    Ok(Some((Preamble { protocol, port, pod_uid }, FIXED + uid_length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b1f7b7e-9d5c-4a55-8e0d-5a4f2b6f1c11";

    #[test]
    fn what_is_encoded_is_decoded_and_every_prefix_asks_for_more() {
        for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Opaque, Protocol::Tls] {
            let preamble = Preamble { protocol, port: 8080, pod_uid: UID };
            let mut out = [0; MAX];
            let length = encode(&preamble, &mut out).unwrap();
            for cut in 0..length {
                assert_eq!(decode(&out[..cut]), Ok(None), "prefix of {cut} bytes");
            }
            assert_eq!(decode(&out), Ok(Some((preamble, length))));
        }
    }

    #[test]
    fn what_is_no_preamble_is_refused_at_its_first_wrong_byte() {
        assert_eq!(decode(b"G"), Err(PreambleError::Magic));
        assert_eq!(decode(b"WFT2\x01\x00\x00\x50"), Err(PreambleError::Magic));
        assert_eq!(decode(b"WFT1\x09\x00\x00\x50"), Err(PreambleError::Protocol));
        assert_eq!(decode(b"WFT1\x01\x41\x00\x50"), Err(PreambleError::Uid));
        assert_eq!(decode(b"WFT1\x01\x01\x00\x50\xff"), Err(PreambleError::Uid));
        assert_eq!(decode(b"WFT1\x01\x00\x00\x00"), Err(PreambleError::Port));
        assert_eq!(
            encode(&Preamble { protocol: Protocol::Tls, port: 1, pod_uid: &"x".repeat(65) }, &mut [0; MAX]),
            None
        );
    }
}
