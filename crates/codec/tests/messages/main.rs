//! Messages from the outside: whatever a version can say goes out and comes back, and nothing else
//! passes for it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "here a panic is a failed test"
)]

mod consumer_protocol;
mod hostile_bytes;
mod round_trips;
mod tagged_fields;
mod versions;

mod every_message;

mod grown;
