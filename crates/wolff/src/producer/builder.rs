//! Configuring and starting a producer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use wolff_client::{Client, MetadataError};
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_codec::{ErrorCode, Str};
use wolff_core::Idempotence;
use wolff_partitioner::Strategy;

use super::handle::Producer;
use super::routes::Routes;
use super::topic::{Place, Topic};
use super::{refresh, router};
use crate::config::{Overflow, ProducerConfig, RequiredAcks};
use crate::error::StartError;

impl Producer {
    /// A producer for a topic, to be configured and started. Needs neither a broker nor a runtime yet.
    #[doc(alias = "start_producers")]
    #[doc(alias = "ensure_supervised_producers")]
    pub fn builder(client: &Client, topic: impl Into<Str>) -> ProducerBuilder {
        ProducerBuilder {
            client: client.clone(),
            topic: topic.into(),
            config: ProducerConfig::default(),
        }
    }
}

/// Makes a [`Producer`]; see [`ProducerConfig`] for what each setting means.
#[derive(Debug, Clone)]
#[must_use = "a producer is made by start()"]
pub struct ProducerBuilder {
    client: Client,
    topic: Str,
    config: ProducerConfig,
}

impl ProducerBuilder {
    /// All settings at once.
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// Keeps the queues on disk below this directory.
    pub fn replayq_dir(mut self, base: impl Into<PathBuf>) -> Self {
        self.config.replayq_dir = Some(base.into());
        self
    }

    /// Bytes of unfinished records of one partition at which its queue is full.
    pub fn replayq_max_total_bytes(mut self, bytes: u64) -> Self {
        self.config.replayq_max_total_bytes = bytes;
        self
    }

    /// What happens to calls when the queue is full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.config.overflow = overflow;
        self
    }

    /// Whose acknowledgement ends a call.
    pub fn required_acks(mut self, acks: RequiredAcks) -> Self {
        self.config.required_acks = acks;
        self
    }

    /// Whether the broker drops what it has already.
    pub fn idempotence(mut self, idempotence: Idempotence) -> Self {
        self.config.idempotence = idempotence;
        self
    }

    /// Size of a batch, bytes.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.config.max_batch_bytes = bytes;
        self
    }

    /// How long an undersized batch waits for more records.
    pub fn max_linger(mut self, linger: Duration) -> Self {
        self.config.max_linger = linger;
        self
    }

    /// How batches are compressed.
    pub fn compression(mut self, compression: Compression, level: CompressionLevel) -> Self {
        self.config.compression = compression;
        self.config.compression_level = level;
        self
    }

    /// How the partition of a call is chosen.
    pub fn partitioner(mut self, strategy: Strategy) -> Self {
        self.config.partitioner = strategy;
        self
    }

    /// How often the partition count is looked up; zero: never.
    pub fn partition_count_refresh_interval(mut self, interval: Duration) -> Self {
        self.config.partition_count_refresh_interval = interval;
        self
    }

    /// Opens the queues, starts to replay what an earlier life left in them, and is ready for calls. It waits a moment for the
    /// cluster; where none answers, records are queued until one does.
    ///
    /// Must be called within a tokio runtime, which then drives the producer.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started.
    pub async fn start(self) -> Result<Producer, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        self.config.validate()?;
        let topic = Topic::new(self.topic, self.client, self.config, runtime.clone());
        match Self::start_topic(&topic).await {
            Ok(()) => Ok(Producer::new(topic, runtime)),
            Err(error) => {
                // The reason why it does not start says more than what closing it says.
                let _ = topic.stop(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    async fn start_topic(topic: &Arc<Topic>) -> Result<(), StartError> {
        topic.open_left_behind().await?;
        let lookup = topic.client().topic(topic.name());
        let found = tokio::time::timeout(topic.config().start_timeout, lookup).await;
        let count = match found {
            Ok(Ok(metadata)) => u32::try_from(metadata.partitions.len())
                .ok()
                .filter(|count| *count > 0),
            Ok(Err(MetadataError::Topic { code, .. })) => {
                return Err(topic_error(topic.name(), code));
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "no metadata yet: records are queued until a broker answers");
                None
            }
            Err(_) => {
                tracing::warn!(
                    "no metadata yet, no broker answers: records are queued until one does"
                );
                None
            }
        };
        let left_unrouted = topic
            .directory()
            .is_some_and(|directory| directory.unrouted().exists());
        match count {
            Some(count) if !left_unrouted => topic.open_partitions(count).await?,
            _ => {
                let unrouted = topic.open_queue(Place::Unrouted).await?;
                topic.change_routes(|routes| Routes {
                    unrouted: Some(unrouted.clone()),
                    ..routes
                });
                topic.spawn(router::run(topic.clone(), unrouted));
            }
        }
        if !topic.config().partition_count_refresh_interval.is_zero() {
            topic.spawn(refresh::run(Arc::downgrade(topic)));
        }
        Ok(())
    }
}

fn topic_error(topic: &str, code: ErrorCode) -> StartError {
    let topic = topic.to_owned();
    if code == ErrorCode::TOPIC_AUTHORIZATION_FAILED {
        return StartError::Unauthorized {
            topic,
            reason: code.to_string(),
        };
    }
    StartError::UnknownTopic { topic }
}
