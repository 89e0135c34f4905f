//! Configuring and starting a producer.

use std::path::PathBuf;
use std::time::Duration;

use replayq::Durability;
use tokio::runtime::Handle;
use wolff_client::Client;
use wolff_codec::Str;
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{Idempotence, OnRefused, RetryDelay};
use wolff_partitioner::Strategy;

use super::handle::Producer;
use crate::config::{Overflow, ProducerConfig, RequiredAcks};
use crate::environment::Environment;
use crate::error::StartError;
use crate::memory::MemoryBudget;
use crate::topic::Topic;

impl Producer {
    /// A producer for a topic, to be configured and started. Needs neither a broker nor a runtime
    /// yet.
    #[doc(alias = "start_producers")]
    #[doc(alias = "ensure_supervised_producers")]
    pub fn builder(client: &Client, topic: impl Into<Str>) -> ProducerBuilder {
        ProducerBuilder {
            client: client.clone(),
            topic: topic.into(),
            config: ProducerConfig::default(),
            environment: Environment::default(),
        }
    }
}

/// Makes a [`Producer`]; see [`ProducerConfig`] for what each setting means.
#[derive(Clone, Debug)]
#[must_use = "a producer is made by start()"]
pub struct ProducerBuilder {
    client: Client,
    topic: Str,
    config: ProducerConfig,
    environment: Environment,
}

impl ProducerBuilder {
    /// All settings at once.
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// Takes file system and threads from there instead of the operating system: for simulators.
    #[doc(hidden)]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Keeps the queues on disk below this directory. Default: in memory.
    pub fn replayq_dir(mut self, base: impl Into<PathBuf>) -> Self {
        self.config.replayq_dir = Some(base.into());
        self
    }

    /// Size of a queue's segment files, bytes. Default: 10 MiB.
    pub fn replayq_seg_bytes(mut self, bytes: u64) -> Self {
        self.config.replayq_seg_bytes = bytes;
        self
    }

    /// Durability of a call that is queued on disk. Default: the end of the process.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.config.durability = durability;
        self
    }

    /// Size in bytes at which records become a queue item on disk: the most that damage of one item
    /// loses. Default: 64 KiB.
    pub fn fragment_bytes(mut self, bytes: usize) -> Self {
        self.config.fragment_bytes = bytes;
        self
    }

    /// Treatment of records that a broker refuses for a reason that an operator can lift. Default:
    /// they are held.
    pub fn on_refused(mut self, on_refused: OnRefused) -> Self {
        self.config.on_refused = on_refused;
        self
    }

    /// Bytes of unfinished records of one partition at which its queue is full. Default:
    /// 2,000,000,000.
    pub fn replayq_max_total_bytes(mut self, bytes: u64) -> Self {
        self.config.replayq_max_total_bytes = bytes;
        self
    }

    /// Memory for records, which several producers can share. Default: 256 MiB of its own.
    pub fn memory_budget(mut self, budget: MemoryBudget) -> Self {
        self.config.memory_budget = budget;
        self
    }

    /// Treatment of calls when the queue is full. Default: they wait for room.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.config.overflow = overflow;
        self
    }

    /// Acknowledgement that ends a call. Default: that of all in-sync replicas.
    pub fn required_acks(mut self, acks: RequiredAcks) -> Self {
        self.config.required_acks = acks;
        self
    }

    /// Longest time for which the broker may wait for its replicas. Default: 10 s.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.config.ack_timeout = timeout;
        self
    }

    /// Produce requests in flight besides the first. Default: 4 with idempotence, else 0.
    pub fn max_send_ahead(mut self, requests: usize) -> Self {
        self.config.max_send_ahead = Some(requests);
        self
    }

    /// Recognition of duplicates by the broker. Default: `Auto`.
    pub fn idempotence(mut self, idempotence: Idempotence) -> Self {
        self.config.idempotence = idempotence;
        self
    }

    /// Size of a batch, bytes, before compression. Default: 1,000,000.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.config.max_batch_bytes = bytes;
        self
    }

    /// Longest time for which an undersized batch waits for more records. Default: 0.
    pub fn max_linger(mut self, linger: Duration) -> Self {
        self.config.max_linger = linger;
        self
    }

    /// Compression of batches. Default: not at all.
    pub fn compression(mut self, compression: Compression, level: CompressionLevel) -> Self {
        self.config.compression = compression;
        self.config.compression_level = level;
        self
    }

    /// Choice of a call's partition. Default: by key as Java's client does, at random without a
    /// key.
    pub fn partitioner(mut self, strategy: Strategy) -> Self {
        self.config.partitioner = strategy;
        self
    }

    /// Delay between attempts. Default: 100 ms, doubled up to 2 s, with jitter.
    pub fn retry_delay(mut self, delay: RetryDelay) -> Self {
        self.config.retry_delay = delay;
        self
    }

    /// Longest time for which the start waits for the first metadata. Default: 3 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.config.start_timeout = timeout;
        self
    }

    /// Interval at which the partition count is requested; zero: never. Default: 300 s.
    pub fn partition_count_refresh_interval(mut self, interval: Duration) -> Self {
        self.config.partition_count_refresh_interval = interval;
        self
    }

    /// Opens the queues, starts to replay what a previous run left in them, and is ready for
    /// calls. It waits a moment for the cluster; where none answers, records are queued until one
    /// does.
    ///
    /// Must be called within a tokio runtime, which then drives the producer.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started.
    pub async fn start(self) -> Result<Producer, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let config = self.config.validated()?;
        let topic = Topic::new(
            self.topic,
            self.client,
            config,
            self.environment,
            runtime.clone(),
        );
        match topic.start().await {
            Ok(()) => Ok(Producer::new(topic, runtime)),
            Err(error) => {
                // The reason why it does not start matters more than the error of closing it.
                let _ = topic.stop(Duration::ZERO).await;
                Err(error)
            }
        }
    }
}
