//! The choice of partitions.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::partitions::choice(data));
