//! Offsets of partitions: the ends of a log, and the first record of a time.

use wolff_codec::messages::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use wolff_codec::{ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId};

use super::handle::Client;
use super::routing::{Answered, PartitionRequest};
use crate::error::AdminError;

/// Which offset of a partition to find.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The offset of the oldest record that is still there.
    Earliest,
    /// The offset behind the newest record that consumers see.
    Latest,
    /// The offset of the record with the largest timestamp. Brokers since 3.0.
    MaxTimestamp,
    /// The offset of the first record with this timestamp or a later one, in milliseconds since
    /// 1970.
    Timestamp(i64),
}

impl OffsetSpec {
    /// As the protocol writes it: special offsets are negative times.
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(time) => time.max(0),
        }
    }
}

/// An offset that was found.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ListedOffset {
    /// The offset; unknown (-1) if no record is that young.
    pub offset: Offset,
    /// The timestamp of the record at the offset, in milliseconds since 1970; `None` for the ends
    /// of a log.
    pub timestamp_ms: Option<i64>,
    /// The epoch of the leader that appended the record; unknown where the broker does not say it.
    pub leader_epoch: LeaderEpoch,
}

impl Client {
    /// Finds an offset in each of these partitions of a topic, from their leaders. The results are
    /// in the order of `wanted`; a partition may be in it more than once.
    ///
    /// ```no_run
    /// use wolff_client::codec::PartitionId;
    /// use wolff_client::{Client, OffsetSpec};
    ///
    /// # async fn example(client: Client) {
    /// let wanted = [(PartitionId(0), OffsetSpec::Earliest), (PartitionId(0), OffsetSpec::Latest)];
    /// for (partition, listed) in client.list_offsets("orders", &wanted).await {
    ///     match listed {
    ///         Ok(listed) => println!("partition {partition}: {}", listed.offset),
    ///         Err(error) => println!("partition {partition}: {error}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// A leader that has moved or cannot be reached is tried again a few times, after new metadata.
    ///
    /// # Errors
    /// For each partition: [`AdminError::Refused`] with the broker's reason,
    /// [`AdminError::Connect`] if the leader is not known or cannot be reached.
    pub async fn list_offsets(
        &self,
        topic: &str,
        wanted: &[(PartitionId, OffsetSpec)],
    ) -> Vec<(PartitionId, Result<ListedOffset, AdminError>)> {
        self.send_to_leaders(topic, &ListOffsets, wanted).await
    }
}

struct ListOffsets;

impl PartitionRequest for ListOffsets {
    type Item = OffsetSpec;
    type Request = ListOffsetsRequest;
    type Response = ListOffsetsResponse;
    type Outcome = ListedOffset;

    fn request(
        &self,
        topic: &str,
        _topic_id: TopicId,
        items: &[(PartitionId, OffsetSpec)],
    ) -> ListOffsetsRequest {
        let partition = |(partition, spec): &(PartitionId, OffsetSpec)| ListOffsetsPartition {
            partition_index: *partition,
            timestamp: spec.timestamp(),
            ..ListOffsetsPartition::default()
        };
        ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                name: topic.into(),
                partitions: items.iter().map(partition).collect(),
                ..ListOffsetsTopic::default()
            }],
            ..ListOffsetsRequest::default()
        }
    }

    fn outcomes(&self, response: ListOffsetsResponse) -> Answered<ListedOffset> {
        let partitions = response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let outcome = |code: ErrorCode, listed| if code.is_ok() { Ok(listed) } else { Err(code) };
        Ok(partitions
            .map(|partition| {
                let listed = ListedOffset {
                    // Brokers before 0.11 return a list of offsets.
                    offset: partition
                        .old_style_offsets
                        .first()
                        .copied()
                        .unwrap_or(partition.offset),
                    timestamp_ms: Some(partition.timestamp).filter(|&time| time >= 0),
                    leader_epoch: partition.leader_epoch,
                };
                (
                    partition.partition_index,
                    outcome(partition.error_code, listed),
                )
            })
            .collect())
    }
}
