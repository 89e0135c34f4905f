//! The machine of a partition, driven step by step with a local queue in memory and the test
//! broker's model of a partition.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

mod append_leased;
mod damage;
mod delivery;
mod doubt;
mod ending;
mod kills;
mod link;
mod many_bad;
mod refusals;
mod resume;
mod simulation;
mod stamps;
mod table;
mod unrouted;
mod walk;
