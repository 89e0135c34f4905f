//! Brokers that lie in any byte: the client refuses what is wrong in bounded time, and goes on when
//! the truth is back.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "here a panic is a failed test"
)]

mod complete;
mod frames;
mod lies;
mod spoiled;

mod line;

mod lengths;

#[path = "../trace/mod.rs"]
mod trace;
