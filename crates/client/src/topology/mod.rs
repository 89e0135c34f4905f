//! Known state of the cluster: brokers, topics, leaders, and when to ask again.
//!
//! Everything here is pure: time is an argument, and whoever has bytes to move is above.

mod cluster;

mod merge;
mod refresh;

mod event;
mod metadata;

pub use self::event::TopicEvent;
pub use self::metadata::{BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicMetadata};

pub(crate) use self::cluster::{Leader, NoLeader, Topology};
pub(crate) use self::merge::view;
pub(crate) use self::refresh::{Lookup, Refresh};
