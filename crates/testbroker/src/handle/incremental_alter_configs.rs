//! IncrementalAlterConfigs: single settings of topics change while clients are at work.

use wolff_codec::messages::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use wolff_codec::{ErrorCode, Str};

use super::config_resource::{TOPIC, scripted_error, unsupported};
use super::serve::{Call, Serve, Served};
use crate::config::TopicConfig;
use crate::error::TopicError;
use crate::fault::Target;
use crate::model::Model;

/// Operations on a setting.
mod operation {
    pub(super) const SET: i8 = 0;
    /// Back to the default.
    pub(super) const DELETE: i8 = 1;
}

impl Serve for IncrementalAlterConfigsRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let topics = self
            .resources
            .iter()
            .filter(|resource| resource.resource_type == TOPIC);
        let target = |resource: &AlterConfigsResource| Target {
            topic: resource.resource_name.clone(),
            partition: None,
        };
        topics.map(target).collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<IncrementalAlterConfigsResponse> {
        let responses = call.shared.change(|model| {
            let answer = |resource: AlterConfigsResource| {
                let error = alter(model, call, &resource, self.validate_only).err();
                AlterConfigsResourceResponse {
                    error_code: error.as_ref().map_or(ErrorCode::NONE, |error| error.code),
                    error_message: error.map(|error| Str::from(error.message)),
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name,
                    ..Default::default()
                }
            };
            self.resources.into_iter().map(answer).collect()
        });
        Served::Answer(IncrementalAlterConfigsResponse {
            responses,
            ..Default::default()
        })
    }
}

fn alter(
    model: &mut Model,
    call: &Call<'_>,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), TopicError> {
    let name = &resource.resource_name;
    let scripted = scripted_error(call, resource.resource_type, name);
    if let Some((error, false)) = scripted {
        return Err(error);
    }
    if resource.resource_type != TOPIC {
        return Err(unsupported());
    }
    let defaults = *model.topic_defaults();
    let topic = model.topic_mut(name).ok_or_else(TopicError::unknown)?;
    let mut config = topic.config;
    for change in &resource.configs {
        apply(&mut config, change, &defaults)?;
    }
    if !validate_only {
        topic.config = config;
    }
    scripted.map_or(Ok(()), |(error, _)| Err(error))
}

fn apply(
    config: &mut TopicConfig,
    change: &AlterableConfig,
    defaults: &TopicConfig,
) -> Result<(), TopicError> {
    let value = match change.config_operation {
        operation::SET => change.value.as_deref(),
        operation::DELETE => None,
        _ => {
            return Err(TopicError::new(
                ErrorCode::INVALID_CONFIG,
                format!("{} is not a list", change.name),
            ));
        }
    };
    config
        .set(&change.name, value, defaults)
        .map_err(|invalid| TopicError::new(ErrorCode::INVALID_CONFIG, invalid.to_string()))
}
