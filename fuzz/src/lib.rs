//! What the fuzz targets do with their input; the targets themselves are one line each.
//!
//! A body panics when a promise is broken. `tests/corpus.rs` runs every body over its committed
//! corpus.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a panic is how a fuzz target speaks"
)]

pub mod machine;
pub mod messages;
pub mod queue;
pub mod records;
