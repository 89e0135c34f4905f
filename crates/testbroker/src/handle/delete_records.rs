//! DeleteRecords: the leader drops the records before an offset.

use wolff_codec::ErrorCode;
use wolff_codec::Str;
use wolff_codec::ids::{LeaderEpoch, Offset};
use wolff_codec::messages::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopicResult,
};

use super::leadership::led;
use super::serve::{Call, Serve, Served};
use crate::fault::Target;
use crate::model::Model;

impl Serve for DeleteRecordsRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let topics = self.topics.iter();
        topics
            .flat_map(|topic| {
                topic.partitions.iter().map(|partition| Target {
                    topic: topic.name.clone(),
                    partition: Some(partition.partition_index),
                })
            })
            .collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<DeleteRecordsResponse> {
        let topics = call.shared.change(|model| {
            let topics = self.topics.into_iter();
            topics
                .map(|topic| DeleteRecordsTopicResult {
                    partitions: topic
                        .partitions
                        .iter()
                        .map(|partition| answer(model, call, &topic.name, partition))
                        .collect(),
                    name: topic.name,
                    ..Default::default()
                })
                .collect()
        });
        Served::Answer(DeleteRecordsResponse {
            throttle_time_ms: call.script.throttle_ms(),
            topics,
            ..Default::default()
        })
    }
}

fn answer(
    model: &mut Model,
    call: &Call<'_>,
    topic: &Str,
    wanted: &DeleteRecordsPartition,
) -> DeleteRecordsPartitionResult {
    let scripted = call
        .script
        .error_for_partition(topic, wanted.partition_index);
    let deleted = match scripted {
        Some((code, false)) => Err(code),
        Some((code, true)) => delete(model, call, topic, wanted).and(Err(code)),
        None => delete(model, call, topic, wanted),
    };
    DeleteRecordsPartitionResult {
        partition_index: wanted.partition_index,
        error_code: deleted.err().unwrap_or(ErrorCode::NONE),
        low_watermark: deleted.unwrap_or(Offset::UNKNOWN),
        ..Default::default()
    }
}

/// The offset where the log starts now.
fn delete(
    model: &mut Model,
    call: &Call<'_>,
    topic: &Str,
    wanted: &DeleteRecordsPartition,
) -> Result<Offset, ErrorCode> {
    let index = wanted.partition_index;
    led(model, call, topic, index, LeaderEpoch::UNKNOWN)?;
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let topic = model.topic_mut(topic).ok_or(unknown)?;
    if topic.config.is_compacted {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let partition = topic.partition_mut(index).ok_or(unknown)?;
    let before = match wanted.offset {
        Offset::UNKNOWN => partition.high_watermark(),
        offset => offset,
    };
    if before.0 < 0 || before > partition.high_watermark() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    partition.delete_records(before);
    Ok(partition.log().start_offset())
}
