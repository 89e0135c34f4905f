//! Any bytes as certificates, keys and passwords of keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::client::pem(data));
