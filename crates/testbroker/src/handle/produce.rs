//! Produce: batches are checked and appended.

use wolff_codec::ids::{BrokerId, LeaderEpoch, TopicId};
use wolff_codec::messages::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use wolff_codec::{ErrorCode, Str};

use super::leadership::{current_leader, deserves_hint, endpoints, led};
use super::serve::{Call, Serve, Served};
use crate::fault::Target;
use crate::incoming::{self, Checked};
use crate::model::Model;
use crate::partition::{Appended, RecordError, Refusal};

/// The first version that names topics by id instead of by name.
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;

impl Serve for ProduceRequest {
    fn targets(&self, model: &Model) -> Vec<Target> {
        let mut targets = Vec::new();
        for data in &self.topic_data {
            let name = if data.topic_id == TopicId::ZERO {
                Some(&data.name)
            } else {
                model.name_of(data.topic_id)
            };
            let Some(topic) = name else { continue };
            targets.extend(data.partition_data.iter().map(|partition| Target {
                topic: topic.clone(),
                partition: Some(partition.index),
            }));
        }
        targets
    }

    async fn serve(self, call: &Call<'_>) -> Served<ProduceResponse> {
        let mut response = ProduceResponse {
            throttle_time_ms: call.script.throttle_ms(),
            ..Default::default()
        };
        for data in self.topic_data {
            response
                .responses
                .push(produce_to_topic(call, self.acks, data));
        }
        if self.acks == 0 {
            // The only way to tell a client that does not listen.
            return if errors(&response).next().is_some() {
                Served::Hangup
            } else {
                Served::Silence
            };
        }
        let leaders = leaders_to_hint_at(&response);
        response.node_endpoints = endpoints(&call.shared.model(), leaders);
        Served::Answer(response)
    }
}

fn errors(response: &ProduceResponse) -> impl Iterator<Item = &PartitionProduceResponse> {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    partitions.filter(|partition| !partition.error_code.is_ok())
}

fn leaders_to_hint_at(response: &ProduceResponse) -> Vec<BrokerId> {
    errors(response)
        .map(|partition| partition.current_leader.leader_id)
        .collect()
}

fn produce_to_topic(call: &Call<'_>, acks: i16, data: TopicProduceData) -> TopicProduceResponse {
    let by_id = call.version >= FIRST_VERSION_WITH_TOPIC_IDS;
    let name = if by_id {
        call.shared.model().name_of(data.topic_id).cloned()
    } else {
        Some(data.name.clone())
    };
    let partitions = data.partition_data.into_iter();
    let partition_responses = partitions.map(|partition| match &name {
        Some(name) => produce_to_partition(call, acks, name, partition),
        None => PartitionProduceResponse {
            index: partition.index,
            error_code: ErrorCode::UNKNOWN_TOPIC_ID,
            ..Default::default()
        },
    });
    TopicProduceResponse {
        partition_responses: partition_responses.collect(),
        name: data.name,
        topic_id: data.topic_id,
        ..Default::default()
    }
}

fn produce_to_partition(
    call: &Call<'_>,
    acks: i16,
    topic: &Str,
    data: PartitionProduceData,
) -> PartitionProduceResponse {
    let index = data.index;
    let scripted = call.script.error_for_partition(topic, index);
    let outcome = match scripted {
        Some((code, false)) => Err(code.into()),
        _ => append(call, acks, topic, data),
    };
    let outcome = match scripted {
        Some((code, true)) => outcome.and(Err(code.into())),
        _ => outcome,
    };
    let model = call.shared.model();
    let log_start_offset = model
        .partition(topic, index)
        .map(|partition| partition.log().start_offset());
    match outcome {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.append_time_ms,
            log_start_offset: log_start_offset.unwrap_or_default(),
            ..Default::default()
        },
        Err(refusal) => {
            call.shared.count(call.broker, |stats| stats.refusals += 1);
            let record_error = |error: RecordError| BatchIndexAndErrorMessage {
                batch_index: error.index,
                batch_index_error_message: error.message.map(Box::new),
                ..Default::default()
            };
            PartitionProduceResponse {
                index,
                error_code: refusal.code,
                record_errors: (refusal.record_errors.into_iter())
                    .map(record_error)
                    .collect(),
                error_message: refusal.message.map(Box::new),
                current_leader: if deserves_hint(refusal.code) {
                    current_leader(&model, topic, index)
                } else {
                    Default::default()
                },
                ..Default::default()
            }
        }
    }
}

/// Checks without holding the model, then appends: the partition may have moved or gone in between.
fn append(
    call: &Call<'_>,
    acks: i16,
    topic: &Str,
    data: PartitionProduceData,
) -> Result<Appended, Refusal> {
    let (shared, index) = (call.shared, data.index);
    let config = {
        let model = shared.model();
        led(&model, call, topic, index, LeaderEpoch::UNKNOWN)?;
        let topic = model
            .topic(topic)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        topic.config
    };
    let records = data.records.map(|records| records.to_bytes());
    let Checked { batch, facts } = incoming::check(
        records,
        call.version,
        config.max_message_bytes,
        config.is_compacted,
    )?;
    let appended = shared.change(|model| {
        led(model, call, topic, index, LeaderEpoch::UNKNOWN)?;
        let unknown = Refusal::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let topic = model.topic_mut(topic).ok_or(unknown.clone())?;
        let rules = shared.config().rules(&topic.config);
        let partition = topic.partition_mut(index).ok_or(unknown)?;
        partition.append(&batch, &facts, acks, rules, shared.now_ms())
    })?;
    let records = u64::try_from(facts.record_count).unwrap_or(0);
    shared.count(call.broker, |stats| {
        if appended.is_duplicate {
            stats.duplicates += 1;
        } else {
            stats.batches += 1;
            stats.records = stats.records.saturating_add(records);
        }
    });
    Ok(appended)
}
