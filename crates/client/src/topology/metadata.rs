//! Metadata for callers: plain values, shared without copying.

use wolff_codec::{BrokerId, LeaderEpoch, PartitionId, TopicId};
use wolff_codec::{ErrorCode, Str};

use crate::endpoint::Address;

/// A topic and its partitions.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TopicMetadata {
    /// The topic's name.
    pub name: Str,
    /// The id that tells the topic from an earlier one of the same name; zero from brokers before
    /// 2.8.
    pub topic_id: TopicId,
    /// True if the cluster keeps its own state in it.
    pub is_internal: bool,
    /// All partitions, each at the index that is its id. There are no holes: a partition that the
    /// broker left out keeps what was known of it, or has an error.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// The partition of that id.
    pub fn partition(&self, partition: PartitionId) -> Option<&PartitionMetadata> {
        self.partitions.get(usize::try_from(partition.0).ok()?)
    }
}

/// A partition and its leader.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PartitionMetadata {
    /// The partition's id.
    pub partition: PartitionId,
    /// The broker that takes its records, the last one known when there is an error.
    pub leader: Option<BrokerId>,
    /// The number of times that the leader has changed; unknown from brokers before 2.1.
    pub leader_epoch: LeaderEpoch,
    /// Why the leader cannot be told at the moment, or none.
    pub error: ErrorCode,
}

/// A broker as the cluster advertises it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerMetadata {
    /// The broker's id.
    pub id: BrokerId,
    /// Address at which it listens; `None` when what it advertises cannot be connected to.
    pub address: Option<Address>,
    /// The rack it stands in, if that is configured.
    pub rack: Option<Str>,
}

/// The brokers of the cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClusterMetadata {
    /// The cluster's own name for itself.
    pub cluster_id: Option<Str>,
    /// The broker that creates topics and the like.
    pub controller: Option<BrokerId>,
    /// All brokers that are up, by id.
    pub brokers: Vec<BrokerMetadata>,
}

impl ClusterMetadata {
    /// The broker of that id.
    pub fn broker(&self, id: BrokerId) -> Option<&BrokerMetadata> {
        let index = self
            .brokers
            .binary_search_by_key(&id, |broker| broker.id)
            .ok()?;
        self.brokers.get(index)
    }
}
