//! The surroundings of a machine: local queue, broker, clock, and the calls' ends.

mod broker;
mod host;
mod queue;
mod scenario;
mod stage;

pub(crate) use broker::{Broker, values_of};
pub(crate) use host::Host;
pub(crate) use queue::{Fault, Faults, Queue};
pub(crate) use scenario::{
    in_flight, once_each, repeated, sent_later, small_batches, tags, with_batches,
};
pub(crate) use stage::{Stage, config};
