//! What the queue promises, checked from outside: against a model, through crashes, faults and damage.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod found;
mod model;

mod driver;

mod oracle;

mod program;

mod setup;
