//! Any bytes as requests.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::messages::requests(data));
