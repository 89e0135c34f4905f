//! What the queue promises, checked from outside: against a model, through crashes, faults and
//! damage.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod closing;
mod crash;
mod crowd;
mod damage;
mod faults;
mod forged;
mod found;
mod golden;
mod kill;
mod limits;
mod losses;
mod meeting;
mod model;
mod opening;
mod order;
mod promises;
mod ranges;
mod slots;
mod space;
mod strangers;
mod taken_back;

mod system;
mod unreadable;
mod upstream;

mod driver;

mod oracle;

mod program;

mod namespace;

mod steps;

mod calls;

mod hook;

mod setup;
