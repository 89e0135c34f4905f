//! wolff-codec against the `kafka-protocol` crate and against what other implementations wrote, and
//! what it allocates.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "here a panic is a failed test"
)]

mod allocations;
mod foreign_batches;
mod golden;
mod messages;
mod records;
mod tables;
mod tagged_fields;

// The codec's own tests have these; it does not publish them.
#[path = "../../../../crates/codec/tests/messages/every_message.rs"]
mod every_message;

#[path = "../../../../crates/codec/tests/messages/grown.rs"]
mod grown;
