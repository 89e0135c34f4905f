//! One queue: the machine that decides, the local queue behind it, and those who wait for them.

mod queue;

mod ending;

mod foreign;

mod machines;

mod lane;
mod local;

use std::sync::Arc;

use crate::completion::BatchCompletion;

pub(crate) use foreign::{ForeignBatch, ForeignPart, SourceRun};
pub(crate) use local::Local;
pub(crate) use machines::CallMachine;
pub(crate) use queue::{PartitionQueue, Queue, QueueParts, Taken, UnroutedQueue};

/// The owner's token of a batch in the machines.
pub(crate) type Token = Arc<BatchCompletion>;
