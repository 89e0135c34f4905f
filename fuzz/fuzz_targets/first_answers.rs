//! Any bytes as the first responses on a connection.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::client::first_answers(data));
