//! ListOffsets: the ends of a log, and offsets by time.

use wolff_codec::ids::{LeaderEpoch, Offset, PartitionId};
use wolff_codec::messages::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use wolff_codec::{ErrorCode, Str};

use super::leadership::led;
use super::serve::{Call, Serve, Served};
use crate::fault::Target;
use crate::model::{Model, Partition};

/// The first version whose answer tells the leader's epoch.
const FIRST_VERSION_WITH_LEADER_EPOCH: i16 = 4;

/// Times that stand for places in the log.
mod time {
    pub(super) const LATEST: i64 = -1;
    pub(super) const EARLIEST: i64 = -2;
    /// Of the youngest record (KIP-734).
    pub(super) const MAX_TIMESTAMP: i64 = -3;
    /// Where the part of the log begins that is not in tiered storage (KIP-405): there is none
    /// here.
    pub(super) const EARLIEST_LOCAL: i64 = -4;
}

impl Serve for ListOffsetsRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let target = |topic: &ListOffsetsTopic, partition: PartitionId| Target {
            topic: topic.name.clone(),
            partition: Some(partition),
        };
        let targets = self.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(move |partition| target(topic, partition.partition_index))
        });
        targets.collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<ListOffsetsResponse> {
        let model = call.shared.model();
        let topics = self.topics.into_iter().map(|topic| {
            let answer = |wanted| list_partition(&model, call, &topic.name, wanted);
            ListOffsetsTopicResponse {
                partitions: topic.partitions.iter().map(answer).collect(),
                name: topic.name,
                ..Default::default()
            }
        });
        Served::Answer(ListOffsetsResponse {
            topics: topics.collect(),
            ..Default::default()
        })
    }
}

fn list_partition(
    model: &Model,
    call: &Call<'_>,
    topic: &Str,
    wanted: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let index = wanted.partition_index;
    let partition = match call.script.error_for_partition(topic, index) {
        Some((code, _)) => Err(code),
        None => led(model, call, topic, index, wanted.current_leader_epoch),
    };
    match partition {
        Ok(partition) => {
            let (offset, timestamp) = find(partition, wanted.timestamp);
            ListOffsetsPartitionResponse {
                partition_index: index,
                error_code: ErrorCode::NONE,
                timestamp,
                offset,
                leader_epoch: if call.version >= FIRST_VERSION_WITH_LEADER_EPOCH {
                    partition.leader_epoch()
                } else {
                    LeaderEpoch::UNKNOWN
                },
                ..Default::default()
            }
        }
        Err(error_code) => ListOffsetsPartitionResponse {
            partition_index: index,
            error_code,
            ..Default::default()
        },
    }
}

/// An offset and, if it is that of a record found by its time, the time.
fn find(partition: &Partition, timestamp: i64) -> (Offset, i64) {
    let log = partition.log();
    let found = match timestamp {
        time::LATEST => Some((partition.high_watermark(), -1)),
        time::EARLIEST | time::EARLIEST_LOCAL => Some((log.start_offset(), -1)),
        time::MAX_TIMESTAMP => log.youngest(),
        timestamp if timestamp >= 0 => log.first_since(timestamp),
        _ => None,
    };
    found.unwrap_or((Offset::UNKNOWN, -1))
}
