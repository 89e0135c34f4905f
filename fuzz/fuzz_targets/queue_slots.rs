//! Commit and lease slots with anything in them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::queue::slots(data));
