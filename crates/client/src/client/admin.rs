//! Administrative requests that the controller decides: topics are created, enlarged and deleted.

use std::time::Duration;

use wolff_codec::messages::{
    CreatableTopic, CreatableTopicConfig, CreatePartitionsRequest, CreatePartitionsTopic,
    CreateTopicsRequest, DeleteTopicState, DeleteTopicsRequest,
};
use wolff_codec::{ErrorCode, Request, Str};

use super::handle::Client;
use crate::error::{AdminError, RequestContext};

/// Most lookups of the controller when it has moved.
const ATTEMPTS: u32 = 3;

/// A topic to be created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewTopic {
    /// The topic's name.
    pub name: String,
    /// The number of partitions; `None` for the broker's default (brokers since 2.4).
    pub partitions: Option<i32>,
    /// The number of replicas of each; `None` for the broker's default (brokers since 2.4).
    pub replication_factor: Option<i16>,
    /// Settings that differ from the broker's, such as `("max.message.bytes", "1048588")`.
    pub configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            replication_factor: None,
            configs: Vec::new(),
        }
    }

    fn request(&self, timeout: Duration) -> CreateTopicsRequest {
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: name.as_str().into(),
            value: Some(value.as_str().into()),
            ..CreatableTopicConfig::default()
        };
        CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: self.name.as_str().into(),
                num_partitions: self.partitions.unwrap_or(-1),
                replication_factor: self.replication_factor.unwrap_or(-1),
                configs: self.configs.iter().map(config).collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: millis(timeout),
            ..CreateTopicsRequest::default()
        }
    }
}

impl Client {
    /// Creates a topic. The controller waits up to `timeout` for the brokers to have heard of it.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with the broker's reason, `TOPIC_ALREADY_EXISTS` among them.
    pub async fn create_topic(
        &self,
        topic: &NewTopic,
        timeout: Duration,
    ) -> Result<(), AdminError> {
        let request = topic.request(timeout);
        self.administer(&topic.name, &request, |answer| {
            let result = answer
                .topics
                .iter()
                .find(|result| *result.name == *topic.name);
            result.map(|result| (result.error_code, result.error_message.clone()))
        })
        .await
    }

    /// Adds partitions to a topic, up to `count` in all; the brokers choose where they are. The
    /// controller waits up to `timeout` for the brokers to have heard of it. Records with a key may
    /// go to other partitions from then on.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with the broker's reason: `INVALID_PARTITIONS` if the topic has as
    /// many already.
    pub async fn create_partitions(
        &self,
        topic: &str,
        count: i32,
        timeout: Duration,
    ) -> Result<(), AdminError> {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: topic.into(),
                count,
                ..CreatePartitionsTopic::default()
            }],
            timeout_ms: millis(timeout),
            ..CreatePartitionsRequest::default()
        };
        self.administer(topic, &request, |answer| {
            let mut results = answer.results.iter();
            let result = results.find(|result| *result.name == *topic);
            result.map(|result| (result.error_code, result.error_message.clone()))
        })
        .await
    }

    /// Deletes a topic and everything in it.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with the broker's reason.
    pub async fn delete_topic(&self, name: &str, timeout: Duration) -> Result<(), AdminError> {
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(name.into()),
                ..Default::default()
            }],
            topic_names: vec![name.into()],
            timeout_ms: millis(timeout),
            ..DeleteTopicsRequest::default()
        };
        self.administer(name, &request, |answer| {
            let mut results = answer.responses.iter();
            let result = results.find(|result| result.name.as_deref() == Some(name));
            result.map(|result| (result.error_code, result.error_message.clone()))
        })
        .await
    }

    /// Sends a request about a topic to the controller, wherever that is by now.
    async fn administer<R>(
        &self,
        topic: &str,
        request: &R,
        result: impl Fn(&R::Response) -> Option<(ErrorCode, Option<Str>)>,
    ) -> Result<(), AdminError>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let has_moved = |response: &R::Response| {
            result(response).is_some_and(|(code, _)| code == ErrorCode::NOT_CONTROLLER)
        };
        let (response, context) = self.send_to_controller(request, has_moved).await?;
        let context = Box::new(context);
        match result(&response) {
            Some((code, _)) if code.is_ok() => {
                self.mark_stale(topic);
                Ok(())
            }
            Some((code, message)) => Err(AdminError::Refused {
                code,
                message,
                context,
            }),
            None => Err(AdminError::LeftOut { context }),
        }
    }

    /// Sends a request to the controller, again to the next one while the response says that it has
    /// moved.
    pub(super) async fn send_to_controller<R>(
        &self,
        request: &R,
        has_moved: impl Fn(&R::Response) -> bool,
    ) -> Result<(R::Response, RequestContext), AdminError>
    where
        R: Request,
        R::Response: Send + 'static,
    {
        let mut attempts = 1;
        loop {
            let connection = self
                .controller_connection()
                .await
                .map_err(AdminError::Connect)?;
            let submitted = connection.submitted::<R>();
            let response = connection
                .request(request)
                .await
                .map_err(AdminError::Request)?;
            if attempts < ATTEMPTS && has_moved(&response) {
                attempts += 1;
            } else {
                return Ok((response, submitted.context()));
            }
        }
    }
}

pub(super) fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
