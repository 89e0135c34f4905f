//! Changes of a topic after which somebody may have to act.

use wolff_codec::{Str, TopicId};

/// A change of a topic, as metadata has shown it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TopicEvent {
    /// The topic was deleted, and another one created under its name (KIP-516): offsets begin
    /// again, and what was known about its partitions is of no use.
    Recreated {
        /// The topic's name.
        topic: Str,
        /// The id of the one that is gone; zero from brokers before 2.8.
        before: TopicId,
        /// The id of the one that is there now; zero from brokers before 2.8.
        now: TopicId,
    },
    /// The topic has another number of partitions.
    PartitionCount {
        /// The topic's name.
        topic: Str,
        /// The number before.
        before: usize,
        /// The number now.
        now: usize,
    },
    /// The brokers belong to another cluster than before: by their cluster id, another one has
    /// taken the place of the one that was known.
    /// [`ClientConfig::cluster_id`](crate::ClientConfig::cluster_id) has its answers refused
    /// instead.
    OtherCluster {
        /// The id that was known.
        before: Str,
        /// The id that the brokers give now.
        now: Str,
    },
    /// So many events were not taken in time and are gone; look at the topics instead.
    Missed(u64),
}
