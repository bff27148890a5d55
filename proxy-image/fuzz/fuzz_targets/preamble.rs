//! See `weft_proxy_core::fuzzing::preamble`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weft_proxy_core::fuzzing::preamble(data));
