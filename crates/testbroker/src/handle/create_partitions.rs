//! CreatePartitions: a topic grows.

use wolff_codec::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};
use crate::error::TopicError;
use crate::fault::Target;
use crate::model::Model;

impl Serve for CreatePartitionsRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let target = |topic: &CreatePartitionsTopic| Target {
            topic: topic.name.clone(),
            partition: None,
        };
        self.topics.iter().map(target).collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<CreatePartitionsResponse> {
        let results = call.shared.change(|model| {
            let answer = |topic: &CreatePartitionsTopic| {
                let error = grow(model, call, topic, self.validate_only).err();
                CreatePartitionsTopicResult {
                    name: topic.name.clone(),
                    error_code: error.as_ref().map_or(ErrorCode::NONE, |error| error.code),
                    error_message: error.map(|error| Str::from(error.message)),
                    ..Default::default()
                }
            };
            self.topics.iter().map(answer).collect()
        });
        Served::Answer(CreatePartitionsResponse {
            results,
            ..Default::default()
        })
    }
}

fn grow(
    model: &mut Model,
    call: &Call<'_>,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), TopicError> {
    let scripted = call.script.error_for_topic(&topic.name);
    if let Some((code, false)) = scripted {
        return Err(TopicError::new(code, "scripted"));
    }
    let assignments = topic.assignments.iter().flatten();
    let assignments: Vec<_> = assignments
        .map(|assignment| assignment.broker_ids.clone())
        .collect();
    if validate_only {
        model.plan_partitions(&topic.name, topic.count, &assignments)?;
    } else {
        model.add_partitions(&topic.name, topic.count, &assignments)?;
    }
    match scripted {
        Some((code, _)) => Err(TopicError::new(code, "scripted")),
        None => Ok(()),
    }
}
