//! Segments with anything changed in them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::queue::segment(data));
