//! The state machine of one partition queue, by what it deals with.

mod accept;
mod answers;
mod network;
mod queue;
mod shutdown;

mod machine;

#[cfg(test)]
mod tests;

pub use machine::{Partition, Snapshot};
