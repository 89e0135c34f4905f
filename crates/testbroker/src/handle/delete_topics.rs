//! DeleteTopics: by name or by id.

use wolff_codec::ids::TopicId;
use wolff_codec::messages::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use wolff_codec::{ErrorCode, Str};

use super::serve::{Call, Serve, Served};
use crate::error::TopicError;
use crate::fault::Target;
use crate::model::Model;

impl Serve for DeleteTopicsRequest {
    fn targets(&self, model: &Model) -> Vec<Target> {
        let by_id = self
            .topics
            .iter()
            .filter_map(|wanted| name_of(model, wanted));
        let names = self.topic_names.iter().cloned().chain(by_id);
        names
            .map(|topic| Target {
                topic,
                partition: None,
            })
            .collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<DeleteTopicsResponse> {
        let by_name = self.topic_names.into_iter().map(|name| DeleteTopicState {
            name: Some(name),
            ..Default::default()
        });
        let wanted = by_name.chain(self.topics);
        let responses = call
            .shared
            .change(|model| wanted.map(|wanted| delete(model, call, wanted)).collect());
        Served::Answer(DeleteTopicsResponse {
            responses,
            ..Default::default()
        })
    }
}

fn name_of(model: &Model, wanted: &DeleteTopicState) -> Option<Str> {
    wanted
        .name
        .clone()
        .or_else(|| model.name_of(wanted.topic_id).cloned())
}

fn delete(model: &mut Model, call: &Call<'_>, wanted: DeleteTopicState) -> DeletableTopicResult {
    let name = name_of(model, &wanted);
    let outcome = match &name {
        Some(name) => delete_by_name(model, call, name),
        None => Err(TopicError::new(
            ErrorCode::UNKNOWN_TOPIC_ID,
            "there is no topic with that id",
        )),
    };
    let (topic_id, error) = match outcome {
        Ok(topic_id) => (topic_id, None),
        Err(error) => (wanted.topic_id, Some(error)),
    };
    DeletableTopicResult {
        name,
        topic_id,
        error_code: error.as_ref().map_or(ErrorCode::NONE, |error| error.code),
        error_message: error.map(|error| Str::from(error.message)),
        ..Default::default()
    }
}

fn delete_by_name(model: &mut Model, call: &Call<'_>, name: &Str) -> Result<TopicId, TopicError> {
    let scripted = call.script.error_for_topic(name);
    if let Some((code, false)) = scripted {
        return Err(TopicError::new(code, "scripted"));
    }
    let topic_id = model.topic(name).map(|topic| topic.id);
    model.delete_topic(name)?;
    match scripted {
        Some((code, _)) => Err(TopicError::new(code, "scripted")),
        None => Ok(topic_id.unwrap_or_default()),
    }
}
