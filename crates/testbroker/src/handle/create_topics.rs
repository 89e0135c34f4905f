//! CreateTopics: by any broker, as if it had passed the request on to the controller.

use wolff_codec::messages::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};
use crate::config::TopicConfig;
use crate::error::TopicError;
use crate::fault::Target;
use crate::model::{Model, TopicSpec};

/// Where a setting comes from: the topic itself.
const FROM_TOPIC: i8 = 1;

impl Serve for CreateTopicsRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let target = |topic: &CreatableTopic| Target {
            topic: topic.name.clone(),
            partition: None,
        };
        self.topics.iter().map(target).collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<CreateTopicsResponse> {
        let results = call.shared.change(|model| {
            let create = |topic| create(model, call, topic, self.validate_only);
            self.topics.iter().map(create).collect()
        });
        Served::Answer(CreateTopicsResponse {
            topics: results,
            ..Default::default()
        })
    }
}

fn create(
    model: &mut Model,
    call: &Call<'_>,
    topic: &CreatableTopic,
    validate_only: bool,
) -> CreatableTopicResult {
    let refused = |error: TopicError| CreatableTopicResult {
        name: topic.name.clone(),
        error_code: error.code,
        error_message: Some(Str::from(error.message)),
        ..Default::default()
    };
    let scripted = call.script.error_for_topic(&topic.name);
    if let Some((code, false)) = scripted {
        return refused(TopicError::new(code, "scripted"));
    }
    let spec = match spec_of(topic, model.topic_defaults()) {
        Ok(spec) => spec,
        Err(error) => return refused(error),
    };
    let result = if validate_only {
        model.plan_topic(&topic.name, &spec).map(|_| ())
    } else {
        model.create_topic(&topic.name, &spec)
    };
    match (result, scripted) {
        (Err(error), _) => refused(error),
        (Ok(()), Some((code, _))) => refused(TopicError::new(code, "scripted")),
        (Ok(()), None) => created(model, &topic.name),
    }
}

fn created(model: &Model, name: &Str) -> CreatableTopicResult {
    let result = CreatableTopicResult {
        name: name.clone(),
        ..Default::default()
    };
    let Some(topic) = model.topic(name) else {
        return result;
    };
    let replicas = topic
        .partitions
        .first()
        .map_or(0, |first| first.replicas().len());
    let config = |(name, value): (&'static str, String)| CreatableTopicConfigs {
        name: Str::from_static(name),
        value: Some(Str::from(value)),
        config_source: FROM_TOPIC,
        ..Default::default()
    };
    CreatableTopicResult {
        topic_id: topic.id,
        num_partitions: topic.partition_count(),
        replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
        configs: Some(topic.config.entries().into_iter().map(config).collect()),
        ..result
    }
}

fn spec_of(topic: &CreatableTopic, defaults: &TopicConfig) -> Result<TopicSpec, TopicError> {
    let mut config = *defaults;
    for entry in &topic.configs {
        config
            .set(&entry.name, entry.value.as_deref(), defaults)
            .map_err(|invalid| TopicError::new(ErrorCode::INVALID_CONFIG, invalid.to_string()))?;
    }
    let mut assignments: Vec<_> = topic.assignments.iter().collect();
    assignments.sort_by_key(|assignment| assignment.partition_index);
    let is_dense = (0..)
        .zip(&assignments)
        .all(|(index, assignment)| assignment.partition_index.0 == index);
    if !is_dense {
        return Err(TopicError::new(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "the assigned partitions are not 0, 1, 2, …",
        ));
    }
    Ok(TopicSpec {
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments
            .into_iter()
            .map(|assignment| assignment.broker_ids.clone())
            .collect(),
        config: Some(config),
    })
}
