//! The surroundings of a machine: local queue, broker, clock, and the calls' ends.

mod broker;
mod host;
mod queue;
mod stage;

pub(crate) use broker::values_of;
pub(crate) use host::Host;
pub(crate) use queue::{Fault, Faults, Queue};
pub(crate) use stage::{Stage, config};
