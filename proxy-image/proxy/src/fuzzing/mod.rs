//! What must hold for every input, however hostile; each function fails by panicking.
//!
//! Compiled for the fuzzer (feature `fuzzing`, see `fuzz/`) and for tests, which replay every input that the fuzzer's corpus keeps; never
//! for the product. It lives inside the crate because what is worth fuzzing is private.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an invariant that does not hold is told by panicking"
)]

mod chunks;
mod first_bytes;
mod head_fields;
mod plain;
mod preambles;
mod request_heads;
mod response_heads;

pub use chunks::chunked;
pub use first_bytes::detect;
pub use head_fields::h2_headers;
pub use preambles::preamble;
pub use request_heads::h1_request;
pub use response_heads::h1_response;

/// Splits an input into the choices at its front and the bytes they are about.
fn choices<const COUNT: usize>(data: &[u8]) -> Option<([u8; COUNT], &[u8])> {
    data.split_first_chunk().map(|(choices, rest)| (*choices, rest))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Runs `target` on every input of its corpus; how many there were.
    fn replay(name: &str, target: fn(&[u8])) -> usize {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            count += 1;
        }
        count
    }

    #[test]
    fn every_input_that_the_fuzzer_keeps_passes() {
        for (name, target) in [
            ("preamble", super::preamble as fn(&[u8])),
            ("detect", super::detect),
            ("h1_request", super::h1_request),
            ("h1_response", super::h1_response),
            ("chunked", super::chunked),
            ("h2_headers", super::h2_headers),
        ] {
            assert!(replay(name, target) > 0, "{name} has no corpus");
        }
    }
}
