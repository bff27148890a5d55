//! See `weft_proxy_core::fuzzing::h2_headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weft_proxy_core::fuzzing::h2_headers(data));
