//! The network side of a partition: the task that carries out what the machine requests of the
//! cluster.

mod worker;

mod reports;
mod requests;

mod identity;

mod answers;

pub(crate) use worker::{Worker, WorkerConfig};
