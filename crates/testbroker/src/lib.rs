//! An in-process Kafka cluster with fault controls, for tests and demos.
//!
//! A [`Cluster`] has any number of brokers, each on a TCP port of its own, so that any Kafka client
//! can talk to it: this project's, kcat, or whatever is built on librdkafka. Logs are in memory and
//! belong to the cluster; replication takes no time. What a producer can notice of a real broker is
//! kept: the rules of idempotence, leader epochs and moves, size and checksum checks, topic ids,
//! one request at a time per connection.
//!
//! Its owner makes it fail: brokers [die](Cluster::kill) and [come back](Cluster::revive), leaders
//! [move](Cluster::move_leader), and [`Fault`]s make single requests fail, hang, or lose their
//! answers. Tests need no sleeping: [`Cluster::wait_for`] waits until the [`Stats`] say that
//! something has happened, and [`Fault::hold`] stops the world in between.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wolff_codec::{ApiKey, ErrorCode};
//! use wolff_testbroker::{Cluster, Fault};
//!
//! let cluster = Cluster::builder().brokers(3).topic("orders", 6).start().await?;
//! println!("brokers: {}", cluster.bootstrap());
//!
//! // The next Produce request for partition 0 is refused once …
//! let fault = cluster.inject(
//!     Fault::error(ErrorCode::NOT_ENOUGH_REPLICAS).api(ApiKey::PRODUCE).partition("orders", 0),
//! );
//! // … and the leader of partition 1 dies: another replica takes over.
//! let (leader, _) = cluster.leader("orders", 1)?;
//! cluster.kill(leader).await?;
//! assert_ne!(cluster.leader("orders", 1)?.0, leader);
//!
//! // A client produces; this waits for it, and looks at what it did.
//! # if false {
//! cluster.wait_for(|stats| stats.hits(fault) == 1 && stats.records() >= 1_000).await;
//! # }
//! let records = cluster.records("orders", 0)?;
//! # assert!(records.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A [`Proxy`] stands in front of these or any other brokers, and makes the network bad: latency,
//! resets, half-open connections, lost answers.
//!
//! On a [`MemoryNetwork`] instead of TCP, under a paused clock, a cluster does the same in every
//! run.
//!
//! A [`NullBroker`] is the opposite: it acknowledges at once and keeps nothing, for benchmarks of
//! clients.
//!
//! Not here: groups and transactions, rules of authorisation, quotas by itself, anything on disk.
//! What a client sees of authorisation and quotas is scripted, by [`Fault::deny_topic`],
//! [`Fault::principal`] and [`Fault::quota`]. Who joins a group or commits an offset is refused for
//! good; consumers name their partitions.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "unit tests run in the real world"
    )
)]

mod cluster;
mod null_broker;
mod proxy;

mod broker;

mod port;

mod connection;

mod handle;

mod shared;

mod model;

mod stats;

mod fault;

mod fault_book;

mod log;

mod incoming;

mod error;

mod config;

pub mod partition;

mod network;
mod sasl;
#[cfg(feature = "tls")]
mod tls;

#[cfg(test)]
mod fixture;

pub use cluster::{Cluster, ClusterBuilder};
pub use error::ClusterError;
pub use fault::{Fault, FaultId};
pub use network::MemoryNetwork;
pub use null_broker::{NullBroker, Received, RunningNullBroker};
pub use partition::UnknownProducers;
pub use proxy::{Conditions, Direction, Proxy, ProxyBuilder, ProxyFault, ProxyFaultId, ProxyStats};
pub use sasl::{Sasl, SaslMechanism, ScramLie};
pub use stats::{BrokerStats, Stats};
#[cfg(feature = "tls")]
pub use tls::{CertificateAuthority, Identity, TlsError, TlsListener};
