//! Metadata: who is there, which topics, who leads.

use wolff_codec::ids::{BrokerId, PartitionId};
use wolff_codec::messages::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};
use crate::fault::Target;
use crate::model::{Model, Partition, Topic, TopicSpec};

impl Serve for MetadataRequest {
    fn targets(&self, model: &Model) -> Vec<Target> {
        let topics = self.topics.iter().flatten();
        let name = |topic: &MetadataRequestTopic| match &topic.name {
            Some(name) => Some(name.clone()),
            None => model.name_of(topic.topic_id).cloned(),
        };
        let target = |topic| Target {
            topic,
            partition: None,
        };
        match self.topics {
            Some(_) => topics.filter_map(name).map(target).collect(),
            None => model
                .topics()
                .map(|(name, _)| target(name.clone()))
                .collect(),
        }
    }

    async fn serve(self, call: &Call<'_>) -> Served<MetadataResponse> {
        if let Some(stale) = call.shared.stale_metadata(call.broker) {
            return Served::Answer(MetadataResponse {
                throttle_time_ms: call.script.throttle_ms(),
                ..selected(&stale, self.topics.as_deref())
            });
        }
        let model = call.shared.model();
        let mut unknown = Vec::new();
        let topics = match &self.topics {
            None => model
                .topics()
                .map(|(name, topic)| described(call, &model, name, topic))
                .collect(),
            Some(topics) => {
                let describe = |wanted| describe(call, &model, wanted, &mut unknown);
                topics.iter().map(describe).collect()
            }
        };
        let response = MetadataResponse {
            throttle_time_ms: call.script.throttle_ms(),
            topics,
            ..described_cluster(&model)
        };
        drop(model);
        if self.allow_auto_topic_creation && call.shared.config().auto_create_topics {
            create_topics(call, &unknown);
        }
        Served::Answer(response)
    }
}

/// All that there is to tell now, for a broker that shall go on telling it.
pub(crate) fn snapshot(model: &Model) -> MetadataResponse {
    let topics = model.topics();
    MetadataResponse {
        topics: topics
            .map(|(name, topic)| described_topic(model, name, topic))
            .collect(),
        ..described_cluster(model)
    }
}

/// Response of a snapshot to a request for these topics; `None` for all.
fn selected(stale: &MetadataResponse, wanted: Option<&[MetadataRequestTopic]>) -> MetadataResponse {
    let Some(wanted) = wanted else {
        return stale.clone();
    };
    let topic = |wanted: &MetadataRequestTopic| {
        let mut topics = stale.topics.iter();
        let known = topics.find(|topic| match &wanted.name {
            Some(_) => topic.name == wanted.name,
            None => topic.topic_id == wanted.topic_id,
        });
        known.cloned().unwrap_or_else(|| MetadataResponseTopic {
            error_code: match &wanted.name {
                Some(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                None => ErrorCode::UNKNOWN_TOPIC_ID,
            },
            name: wanted.name.clone(),
            topic_id: wanted.topic_id,
            ..Default::default()
        })
    };
    MetadataResponse {
        topics: wanted.iter().map(topic).collect(),
        ..stale.clone()
    }
}

fn described_cluster(model: &Model) -> MetadataResponse {
    let brokers = model
        .living()
        .map(|(node_id, node)| MetadataResponseBroker {
            node_id,
            host: node.host.clone(),
            port: node.port.into(),
            ..Default::default()
        });
    MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(model.cluster_id().clone()),
        controller_id: model.controller(),
        ..Default::default()
    }
}

/// As with Kafka, the answer that makes a topic come to be does not know it yet.
fn create_topics(call: &Call<'_>, names: &[Str]) {
    if names.is_empty() {
        return;
    }
    call.shared.change(|model| {
        for name in names {
            // Another client may have been faster, or the name is not a topic's: nothing to tell
            // anybody.
            let _ = model.create_topic(name, &TopicSpec::default());
        }
    });
}

fn describe(
    call: &Call<'_>,
    model: &Model,
    wanted: &MetadataRequestTopic,
    unknown: &mut Vec<Str>,
) -> MetadataResponseTopic {
    let refused = |error_code| MetadataResponseTopic {
        error_code,
        name: wanted.name.clone(),
        topic_id: wanted.topic_id,
        ..Default::default()
    };
    let Some(name) = wanted
        .name
        .as_ref()
        .or_else(|| model.name_of(wanted.topic_id))
    else {
        return refused(ErrorCode::UNKNOWN_TOPIC_ID);
    };
    if let Some(topic) = model.topic(name) {
        return described(call, model, name, topic);
    }
    if let Some((code, _)) = call.script.error_for_topic(name) {
        return refused(code);
    }
    match crate::model::check_name(name) {
        Ok(()) => {
            unknown.push(name.clone());
            refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        }
        Err(error) => refused(error.code),
    }
}

fn described(call: &Call<'_>, model: &Model, name: &Str, topic: &Topic) -> MetadataResponseTopic {
    if let Some((error_code, _)) = call.script.error_for_topic(name) {
        return MetadataResponseTopic {
            error_code,
            name: Some(name.clone()),
            topic_id: topic.id,
            ..Default::default()
        };
    }
    described_topic(model, name, topic)
}

fn described_topic(model: &Model, name: &Str, topic: &Topic) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some(name.clone()),
        topic_id: topic.id,
        partitions: topic
            .numbered()
            .map(|(index, partition)| describe_partition(model, index, partition))
            .collect(),
        ..Default::default()
    }
}

fn describe_partition(
    model: &Model,
    partition_index: PartitionId,
    partition: &Partition,
) -> MetadataResponsePartition {
    let has_leader = partition.leader() != BrokerId::NONE;
    let is_living = |broker: &BrokerId| model.is_alive(*broker);
    let (living, dead): (Vec<BrokerId>, Vec<BrokerId>) =
        partition.replicas().iter().copied().partition(is_living);
    MetadataResponsePartition {
        error_code: if has_leader {
            ErrorCode::NONE
        } else {
            ErrorCode::LEADER_NOT_AVAILABLE
        },
        partition_index,
        leader_id: partition.leader(),
        leader_epoch: partition.leader_epoch(),
        replica_nodes: partition.replicas().iter().copied().collect(),
        isr_nodes: living.into(),
        offline_replicas: dead.into(),
        ..Default::default()
    }
}
