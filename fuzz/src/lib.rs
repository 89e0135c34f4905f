//! The bodies of the fuzz targets; the targets themselves are one line each.
//!
//! A body panics when a promise is broken. `tests/corpus.rs` runs every body over its committed
//! corpus.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is how a fuzz target speaks"
)]

pub mod client;
pub mod machine;
pub mod messages;
pub mod partitions;
pub mod queue;
pub mod records;
