//! wolff beside other Kafka clients: the same job, like settings, one run.
//!
//! Each turn of a contender is a process of its own, pinned to one core, so that its CPU time is
//! its own and nothing of an earlier turn is warm. The broker has the other core. Contenders take
//! turns (A B A B …).

pub mod comparison;
pub mod drive;
pub mod parts;
pub mod pipe;

mod child;
pub mod topic;

pub mod null_broker;
pub mod report;

pub mod affinity;

pub mod latency;
mod payload;

pub mod job;

/// Whatever ends a benchmark early, to be shown to a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
