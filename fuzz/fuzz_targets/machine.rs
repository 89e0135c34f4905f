#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::machine::machine(data));
