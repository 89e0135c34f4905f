//! A TCP proxy that makes the network between a client and any Kafka cluster as bad as a test needs
//! it.

mod builder;

mod handle;

mod front;

mod connection;

mod pump;

mod conversation;
mod course;

mod rewrite;
mod shared;

mod stats;

mod fault;
mod pace;

mod conditions;

pub use self::builder::ProxyBuilder;
pub use self::conditions::{Conditions, Direction};
pub use self::fault::{ProxyFault, ProxyFaultId};
pub use self::handle::Proxy;
pub use self::stats::ProxyStats;
