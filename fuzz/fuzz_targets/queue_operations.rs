//! Operations of a queue in any order, with faults and kills.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::queue::operations(data));
