//! Any bytes as the messages of a SCRAM server.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::client::scram(data));
