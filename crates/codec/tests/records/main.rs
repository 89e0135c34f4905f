//! Record batches from the outside: what the builder writes the reader reads, and nothing else
//! passes for it.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "here a panic is a failed test"
)]

mod compressions;
mod hostile_bytes;
mod round_trips;

mod samples;
