//! A queue's directory with any files in it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::queue::directory(data));
