//! Starting a producer: queues of previous runs, the topic's partitions, the tasks.

use std::sync::Arc;
use std::time::Duration;

use wolff_client::MetadataError;
use wolff_codec::{ErrorCode, PartitionId};

use super::count::{partition_count, partitions_below};
use super::{Topic, growth, unrouted};
use crate::error::{StartError, with_causes};

/// Pause between questions for a topic that is not there yet.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl Topic {
    /// Opens the queues, starts to send what previous runs left in them, and is ready for calls.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), StartError> {
        self.open_left_behind().await?;
        let known = self.routes.load().least_count();
        let count = self.find(known).await?;
        let left_unrouted = self
            .directory
            .as_ref()
            .is_some_and(|directory| self.environment.has_unrouted(directory));
        if let Some(count) = count {
            let errors = self
                .open_partitions(partitions_below(count), Some(count))
                .await;
            let is_closed = self.routes.load().partitions().next().is_none();
            self.report_closed(&errors);
            // One closed partition hurts nobody else; a producer without any cannot start, unless
            // it has something to deliver that makes room.
            let mut fatal = errors
                .into_iter()
                .filter(|(_, error)| is_locked(error) || (is_closed && !left_unrouted));
            if let Some((_, error)) = fatal.next() {
                return Err(error);
            }
            self.name_beyond(count);
        }
        match count {
            Some(_) if !left_unrouted => {}
            _ => {
                let queue = self.open_unrouted().await?;
                self.change_routes(|routes| routes.with_unrouted(Some(queue.clone())));
                let (topic, stop) = (Arc::downgrade(self), self.stop_signal());
                self.spawn(unrouted::run(topic, queue, stop));
            }
        }
        if !self.config.partition_count_refresh_interval.is_zero() {
            self.spawn(growth::run(Arc::downgrade(self), self.stop_signal()));
        }
        Ok(())
    }

    /// Opens the queues that previous runs left on disk.
    async fn open_left_behind(self: &Arc<Self>) -> Result<(), StartError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let found = self.environment.partitions_in(directory);
        let found = found.map_err(|source| StartError::Directory {
            path: directory.path().to_owned(),
            source,
        })?;
        let errors = self.open_partitions(found, None).await;
        self.report_closed(&errors);
        match errors.into_iter().find(|(_, error)| is_locked(error)) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Reports queues that cannot be opened: their partitions are closed, the others are not.
    pub(super) fn report_closed(&self, errors: &[(PartitionId, StartError)]) {
        for (partition, error) in errors {
            tracing::error!(
                topic = %self.name, partition = partition.0, error = %with_causes(error),
                "the queue of a partition cannot be opened: the partition accepts no calls, the others do"
            );
        }
    }

    /// The topic's partition count; `None` where no broker responds for now. Retries for a while: a
    /// topic may have been created a moment ago, and metadata that name fewer partitions than have
    /// queues on disk may have a hole.
    async fn find(&self, known: u32) -> Result<Option<u32>, StartError> {
        let deadline = tokio::time::Instant::now()
            .checked_add(self.config.start_timeout)
            .unwrap_or_else(|| tokio::time::Instant::now() + Duration::from_secs(3600));
        let mut refused = None;
        let mut smaller = None;
        loop {
            let found = tokio::time::timeout_at(deadline, self.client.topic(&self.name)).await;
            match found {
                Ok(Ok(metadata)) => match partition_count(&metadata) {
                    Some(count) if count < known => smaller = Some(count),
                    Some(count) => return Ok(Some(count)),
                    None => refused = Some(ErrorCode::LEADER_NOT_AVAILABLE),
                },
                Ok(Err(MetadataError::Topic { code, .. })) => {
                    refused = Some(code);
                    if code == ErrorCode::INVALID_TOPIC_EXCEPTION {
                        return Err(self.refusal(code));
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(topic = %self.name, %error, "no metadata yet: records are queued until a broker answers");
                    return Ok(None);
                }
                Err(_) => break,
            }
            if tokio::time::Instant::now() + ASK_AGAIN >= deadline {
                break;
            }
            self.client.mark_stale(&self.name);
            tokio::time::sleep(ASK_AGAIN).await;
        }
        if let Some(count) = smaller {
            tracing::warn!(
                topic = %self.name, count, known,
                "the topic has fewer partitions than there are queues on disk"
            );
            return Ok(Some(count));
        }
        let is_refusal = |code: &ErrorCode| {
            matches!(
                *code,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::TOPIC_AUTHORIZATION_FAILED
            )
        };
        match refused {
            // With a queue on disk nothing is lost by waiting until somebody creates or permits it.
            Some(code) if is_refusal(&code) && self.directory.is_none() => Err(self.refusal(code)),
            Some(code) => {
                tracing::error!(topic = %self.name, %code, "the topic cannot be used yet: records are queued until it can");
                Ok(None)
            }
            None => {
                tracing::warn!(topic = %self.name, "no metadata yet, no broker answers: records are queued until one does");
                Ok(None)
            }
        }
    }

    fn refusal(&self, code: ErrorCode) -> StartError {
        let topic = self.name.to_string();
        match code {
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => StartError::Unauthorized {
                topic,
                reason: code.to_string(),
            },
            _ => StartError::UnknownTopic { topic },
        }
    }
}

/// Somebody else uses the directory: the producer must not start beside them.
fn is_locked(error: &StartError) -> bool {
    matches!(
        error,
        StartError::Queue {
            source: replayq::OpenError::Locked { .. },
            ..
        }
    )
}
