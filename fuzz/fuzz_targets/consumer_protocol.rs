//! Any bytes as subscriptions and assignments of the consumer protocol.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wolff_fuzz::messages::consumer_protocol(data));
