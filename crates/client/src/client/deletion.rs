//! Deletion: of records, and of several topics at once.

use std::time::Duration;

use wolff_codec::messages::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
    DeleteTopicState, DeleteTopicsRequest,
};
use wolff_codec::{ErrorCode, Offset, PartitionId, Str, TopicId};

use super::admin::millis;
use super::handle::Client;
use super::routing::{Answered, PartitionRequest};
use crate::error::AdminError;

impl Client {
    /// Deletes topics and everything in them. The results are in the order of `names`; one that is
    /// refused keeps no other. The controller waits up to `timeout` for the brokers to have heard
    /// of it.
    ///
    /// # Errors
    /// For all topics if no controller answers. For each topic: [`AdminError::Refused`] with the
    /// broker's reason, `UNKNOWN_TOPIC_OR_PARTITION` among them.
    pub async fn delete_topics(
        &self,
        names: &[&str],
        timeout: Duration,
    ) -> Result<Vec<(Str, Result<(), AdminError>)>, AdminError> {
        let names: Vec<Str> = names.iter().map(|&name| name.into()).collect();
        let topic = |name: &Str| DeleteTopicState {
            name: Some(name.clone()),
            ..DeleteTopicState::default()
        };
        let request = DeleteTopicsRequest {
            topics: names.iter().map(topic).collect(),
            topic_names: names.clone(),
            timeout_ms: millis(timeout),
            ..DeleteTopicsRequest::default()
        };
        let (response, context) = self
            .send_to_controller(&request, |response| {
                let mut results = response.responses.iter();
                results.any(|result| result.error_code == ErrorCode::NOT_CONTROLLER)
            })
            .await?;
        let outcome = |name: Str| {
            let mut results = response.responses.iter();
            let result = results.find(|result| result.name.as_ref() == Some(&name));
            let outcome = match result {
                Some(result) if result.error_code.is_ok() => Ok(()),
                Some(result) => Err(AdminError::Refused {
                    code: result.error_code,
                    message: result.error_message.clone(),
                    context: Box::new(context.clone()),
                }),
                None => Err(AdminError::LeftOut {
                    context: Box::new(context.clone()),
                }),
            };
            if outcome.is_ok() {
                self.mark_stale(&name);
            }
            (name, outcome)
        };
        Ok(names.into_iter().map(outcome).collect())
    }

    /// Deletes the records before an offset of each of these partitions; [`Offset::UNKNOWN`] (-1)
    /// deletes all that consumers see. The results are in the order of `before`: the offset where
    /// the log starts from now on. A leader waits up to `timeout` for the other replicas.
    ///
    /// A leader that has moved or cannot be reached is tried again a few times, after new metadata.
    ///
    /// # Errors
    /// For each partition: [`AdminError::Refused`] with the broker's reason, `OFFSET_OUT_OF_RANGE`
    /// and `POLICY_VIOLATION` (a compacted topic) among them; [`AdminError::Connect`] if the leader
    /// is not known or cannot be reached.
    pub async fn delete_records(
        &self,
        topic: &str,
        before: &[(PartitionId, Offset)],
        timeout: Duration,
    ) -> Vec<(PartitionId, Result<Offset, AdminError>)> {
        self.send_to_leaders(topic, &DeleteRecords { timeout }, before)
            .await
    }
}

struct DeleteRecords {
    timeout: Duration,
}

impl PartitionRequest for DeleteRecords {
    type Item = Offset;
    type Request = DeleteRecordsRequest;
    type Response = DeleteRecordsResponse;
    type Outcome = Offset;

    fn request(
        &self,
        topic: &str,
        _topic_id: TopicId,
        items: &[(PartitionId, Offset)],
    ) -> DeleteRecordsRequest {
        let partition = |(partition, offset): &(PartitionId, Offset)| DeleteRecordsPartition {
            partition_index: *partition,
            offset: *offset,
            ..DeleteRecordsPartition::default()
        };
        DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.into(),
                partitions: items.iter().map(partition).collect(),
                ..DeleteRecordsTopic::default()
            }],
            timeout_ms: millis(self.timeout),
            ..DeleteRecordsRequest::default()
        }
    }

    fn outcomes(&self, response: DeleteRecordsResponse) -> Answered<Offset> {
        let partitions = response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions);
        Ok(partitions
            .map(|partition| {
                let outcome = if partition.error_code.is_ok() {
                    Ok(partition.low_watermark)
                } else {
                    Err(partition.error_code)
                };
                (partition.partition_index, outcome)
            })
            .collect())
    }
}
