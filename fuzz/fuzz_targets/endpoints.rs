//! Any text as a list of endpoints.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::client::endpoints(data));
