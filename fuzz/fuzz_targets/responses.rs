//! Any bytes as responses.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::messages::responses(data));
