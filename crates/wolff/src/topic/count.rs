//! Partition count of a topic.

use wolff_client::TopicMetadata;
use wolff_codec::PartitionId;

use crate::directory::MAX_PARTITIONS;

/// The partitions with numbers below this.
pub(super) fn partitions_below(count: u32) -> impl Iterator<Item = PartitionId> {
    (0..count).filter_map(|number| i32::try_from(number).ok().map(PartitionId))
}

/// The number of partitions that the metadata name; `None` where that cannot be.
pub(super) fn partition_count(metadata: &TopicMetadata) -> Option<u32> {
    let count = metadata.partitions.len();
    // More are taken for an error of the broker.
    if i32::try_from(count).map_or(true, |count| count > MAX_PARTITIONS) {
        tracing::error!(
            count,
            "the broker names more partitions than a topic can have"
        );
        return None;
    }
    u32::try_from(count).ok().filter(|count| *count > 0)
}
