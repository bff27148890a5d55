//! The preamble inside mesh TLS.

use super::choices;
use crate::preamble::{FIXED, MAX, Preamble, PreambleError, Protocol, decode, encode};

/// What is decoded is what was encoded, of every prefix only "more" is said, and what was refused once stays refused.
pub fn preamble(data: &[u8]) {
    read(data);
    written(data);
}

fn read(data: &[u8]) {
    let mut refused: Option<PreambleError> = None;
    for length in 0..=data.len().min(MAX + 8) {
        let verdict = decode(&data[..length]);
        if let Some(error) = refused {
            // UTF-8 is judged last, so another reason may come first; but never an acceptance.
            assert!(verdict.is_err(), "{error} at a prefix, then {verdict:?}");
            continue;
        }
        match verdict {
            Err(error) => refused = Some(error),
            Ok(None) => assert!(length < MAX, "more than a preamble can have is asked for"),
            Ok(Some((preamble, taken))) => {
                assert!((FIXED..=MAX).contains(&taken) && taken <= length);
                assert_ne!(preamble.port, 0);
                let mut again = [0; MAX];
                assert_eq!(encode(&preamble, &mut again), Some(taken));
                assert_eq!(again[..taken], data[..taken]);
                assert_eq!(decode(&data[..taken - 1]), Ok(None));
                assert_eq!(decode(data), Ok(Some((preamble, taken))), "what follows is not looked at");
                return;
            }
        }
    }
}

fn written(data: &[u8]) {
    let Some(([kind, high, low], rest)) = choices(data) else { return };
    let protocol = [Protocol::Http1, Protocol::Http2, Protocol::Opaque, Protocol::Tls][usize::from(kind % 4)];
    let port = u16::from_be_bytes([high, low]);
    let Ok(pod_uid) = std::str::from_utf8(rest) else { return };
    let mut bytes = [0; MAX];
    let preamble = Preamble { protocol, port, pod_uid };
    match encode(&preamble, &mut bytes) {
        None => assert!(pod_uid.len() > MAX - FIXED),
        Some(length) if port == 0 => assert_eq!(decode(&bytes[..length]), Err(PreambleError::Port)),
        Some(length) => assert_eq!(decode(&bytes[..length]), Ok(Some((preamble, length)))),
    }
}
