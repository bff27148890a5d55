//! See `weft_proxy_core::fuzzing::h1_response`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| weft_proxy_core::fuzzing::h1_response(data));
