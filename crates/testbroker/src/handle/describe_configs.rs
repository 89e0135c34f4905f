//! DescribeConfigs: the settings of topics, and the defaults of brokers, as far as this broker acts
//! upon them.

use wolff_codec::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult,
};
use wolff_codec::{ErrorCode, Str};

use super::config_resource::{BROKER, TOPIC, scripted_error, unsupported};
use super::serve::{Call, Serve, Served};
use crate::config::TopicConfig;
use crate::error::TopicError;
use crate::fault::Target;
use crate::model::Model;

/// Where a setting comes from: the topic itself, or the default.
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

impl Serve for DescribeConfigsRequest {
    fn targets(&self, _model: &Model) -> Vec<Target> {
        let topics = self
            .resources
            .iter()
            .filter(|resource| resource.resource_type == TOPIC);
        let target = |resource: &DescribeConfigsResource| Target {
            topic: resource.resource_name.clone(),
            partition: None,
        };
        topics.map(target).collect()
    }

    async fn serve(self, call: &Call<'_>) -> Served<DescribeConfigsResponse> {
        let model = call.shared.model();
        let describe = |resource| describe(&model, call, resource);
        Served::Answer(DescribeConfigsResponse {
            results: self.resources.into_iter().map(describe).collect(),
            ..Default::default()
        })
    }
}

fn describe(
    model: &Model,
    call: &Call<'_>,
    resource: DescribeConfigsResource,
) -> DescribeConfigsResult {
    let (error, configs) = match entries(model, call, &resource) {
        Ok(configs) => (None, configs),
        Err(error) => (Some(error), Vec::new()),
    };
    DescribeConfigsResult {
        error_code: error.as_ref().map_or(ErrorCode::NONE, |error| error.code),
        error_message: error.map(|error| Str::from(error.message)),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        configs,
        ..Default::default()
    }
}

fn entries(
    model: &Model,
    call: &Call<'_>,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, TopicError> {
    let name = &resource.resource_name;
    if let Some((error, _)) = scripted_error(call, resource.resource_type, name) {
        return Err(error);
    }
    let defaults = model.topic_defaults();
    let config = match resource.resource_type {
        TOPIC => model.topic(name).ok_or_else(TopicError::unknown)?.config,
        BROKER => *defaults,
        _ => return Err(unsupported()),
    };
    let is_wanted = |name: &str| {
        let keys = resource.configuration_keys.as_ref();
        keys.is_none_or(|keys| keys.iter().any(|key| *key == name))
    };
    let entries = config.entries().into_iter().zip(defaults.entries());
    let described = entries.map(|((name, value), (_, default))| {
        let is_default = value == default;
        DescribeConfigsResourceResult {
            name: Str::from_static(entry_name(resource.resource_type, name)),
            value: Some(Str::from(value)),
            // Version 1 replaced it by the source.
            is_default: is_default && call.version == 0,
            config_source: if is_default { FROM_DEFAULT } else { FROM_TOPIC },
            ..Default::default()
        }
    });
    Ok(described.filter(|entry| is_wanted(&entry.name)).collect())
}

/// Brokers have the defaults of topics under names of their own.
fn entry_name(resource_type: i8, name: &'static str) -> &'static str {
    match name {
        TopicConfig::MAX_MESSAGE_BYTES if resource_type == BROKER => "message.max.bytes",
        TopicConfig::RETENTION_BYTES if resource_type == BROKER => "log.retention.bytes",
        TopicConfig::TIMESTAMP_TYPE if resource_type == BROKER => "log.message.timestamp.type",
        name => name,
    }
}
