//! The binary as a shell meets it: flags, files, pipes, signals, exit codes. The broker is the
//! embedded one.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests"
)]

mod bad_input;
#[cfg(unix)]
mod bad_queue;
mod brokers;
mod crash;
#[cfg(unix)]
mod damaged_queue;
mod demo;
#[cfg(unix)]
mod ends;
mod first_contact;
mod formats;
mod network;
mod outage;
mod output;
mod produce;
mod queue;
mod security;
mod topics;
mod usage;

mod support;
