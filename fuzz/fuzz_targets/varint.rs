//! Variable-length integers against the definition.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::records::varint(data));
