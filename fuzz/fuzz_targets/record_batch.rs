//! Any bytes as record batches.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::records::record_batch(data));
