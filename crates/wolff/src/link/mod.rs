//! The network side of a partition: the task that carries out what the machine asks of the cluster.

mod worker;

mod requests;

mod answers;

pub(crate) use worker::{Worker, WorkerConfig};
