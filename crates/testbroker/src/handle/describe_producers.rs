//! DescribeProducers: what a leader remembers of its producers (KIP-664).

use wolff_codec::Str;
use wolff_codec::ids::{LeaderEpoch, PartitionId};
use wolff_codec::messages::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicRequest, TopicResponse,
};

use super::leadership::led;
use super::serve::{Call, Serve, Served};
use crate::fault::Target;
use crate::model::Model;
use crate::partition::ProducerSummary;

impl Serve for DescribeProducersRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let target = |topic: &TopicRequest, partition: PartitionId| Target {
            topic: topic.name.clone(),
            partition: Some(partition),
        };
        let targets = self.topics.iter().flat_map(|topic| {
            topic
                .partition_indexes
                .iter()
                .map(move |partition| target(topic, *partition))
        });
        targets.collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<DescribeProducersResponse> {
        let model = call.shared.model();
        let topics = self.topics.into_iter().map(|topic| {
            let partitions = topic.partition_indexes.iter();
            let describe =
                |partition: &PartitionId| describe(&model, call, &topic.name, *partition);
            TopicResponse {
                partitions: partitions.map(describe).collect(),
                name: topic.name,
                ..Default::default()
            }
        });
        Served::Answer(DescribeProducersResponse {
            topics: topics.collect(),
            ..Default::default()
        })
    }
}

fn describe(model: &Model, call: &Call<'_>, topic: &Str, index: PartitionId) -> PartitionResponse {
    let partition = match call.script.error_for_partition(topic, index) {
        Some((code, _)) => Err(code),
        None => led(model, call, topic, index, LeaderEpoch::UNKNOWN),
    };
    match partition {
        Ok(partition) => PartitionResponse {
            partition_index: index,
            active_producers: partition.producers(call.broker).map(state).collect(),
            ..Default::default()
        },
        Err(error_code) => PartitionResponse {
            partition_index: index,
            error_code,
            ..Default::default()
        },
    }
}

fn state(summary: ProducerSummary) -> ProducerState {
    ProducerState {
        producer_id: summary.producer_id,
        producer_epoch: summary.epoch.0.into(),
        last_sequence: summary.last_sequence,
        last_timestamp: summary.last_timestamp_ms,
        // No transaction coordinator has ever written to the partition.
        coordinator_epoch: -1,
        ..Default::default()
    }
}
