//! An in-process Kafka broker with fault controls, for tests and demos.

mod cluster;

mod broker;

mod connection;

mod handle;

mod shared;

mod model;

mod fault;
mod stats;

mod log;
mod producers;

mod incoming;

mod error;

mod config;

#[cfg(test)]
mod fixture;

pub use cluster::{Cluster, ClusterBuilder};
pub use config::UnknownProducers;
pub use error::ClusterError;
pub use fault::{Fault, FaultId};
pub use stats::{BrokerStats, Stats};
