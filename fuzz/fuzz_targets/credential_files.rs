//! Any bytes as files with names, passwords and tokens.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::client::credential_files(data));
