//! Records of any shape, written and read back.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::records::builder_reader(data));
