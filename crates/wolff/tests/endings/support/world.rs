//! A cluster, a directory for queues, and producers of the one with queues in the other.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use wolff::client::codec::ApiKey;
use wolff::{
    Client, Compression, CompressionLevel, Environment, Idempotence, MemoryBudget, OnRefused,
    Overflow, Producer, ProducerBuilder, ProducerConfig, RetryDelay, Strategy,
};
use wolff_testbroker::{Cluster, ClusterBuilder, Fault, FaultId};

use super::handle::{Handle, Receipt};
use super::waiting::{until, within};

pub(crate) const TOPIC: &str = "events";

/// The size that the values of these tests are filled up to: a record of that size is a batch of
/// its own where batches are as small as they may be.
const VALUE_BYTES: usize = 120;

/// A value, filled up with dots.
pub(crate) fn padded(value: &str) -> String {
    format!("{value:.<VALUE_BYTES$}")
}

pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

/// Setting of a scenario.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    directory: TempDir,
}

impl World {
    /// One broker, and the topic with so many partitions.
    pub(crate) async fn new(partitions: i32) -> Self {
        Self::of(Cluster::builder().topic(TOPIC, partitions)).await
    }

    /// Two brokers, each of which leads one of two partitions, without a replica at the other.
    pub(crate) async fn split() -> Self {
        let builder = Cluster::builder().brokers(2).replication_factor(1);
        Self::of(builder.topic(TOPIC, 2)).await
    }

    pub(crate) async fn of(builder: ClusterBuilder) -> Self {
        Self {
            cluster: builder.start().await.unwrap(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Base of the queue directories.
    pub(crate) fn base(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn client(&self) -> Client {
        let builder = Client::builder([self.cluster.bootstrap()]).client_id("ends");
        builder
            .min_metadata_refresh_interval(Duration::from_millis(20))
            .build()
            .unwrap()
    }

    /// A producer with its queues in memory.
    pub(crate) fn in_memory(&self) -> Setup {
        let mut config = ProducerConfig::default();
        config.start_timeout = Duration::from_millis(300);
        Setup {
            client: self.client(),
            config,
            environment: None,
            budget: MemoryBudget::default(),
        }
    }

    /// A producer with its queues on disk.
    pub(crate) fn on_disk(&self) -> Setup {
        let mut setup = self.in_memory();
        setup.config.replayq_dir = Some(self.base().to_owned());
        setup
    }

    /// In memory or on disk.
    pub(crate) fn setup(&self, on_disk: bool) -> Setup {
        if on_disk {
            self.on_disk()
        } else {
            self.in_memory()
        }
    }

    /// The values in a partition's log, in order, without the dots.
    pub(crate) fn log(&self, partition: i32) -> Vec<String> {
        let records = self.cluster.records(TOPIC, partition).unwrap();
        let value = |value: Option<bytes::Bytes>| {
            let text = String::from_utf8_lossy(&value.unwrap_or_default()).into_owned();
            text.trim_end_matches('.').to_owned()
        };
        records
            .into_iter()
            .map(|record| value(record.value))
            .collect()
    }

    /// Counts a value in a partition's log.
    pub(crate) fn times(&self, partition: i32, value: &str) -> usize {
        let log = self.log(partition);
        log.iter().filter(|found| *found == value).count()
    }

    /// Kills all brokers that live.
    pub(crate) async fn kill_all(&self) {
        for broker in self.cluster.addresses().keys() {
            let _dead_already = self.cluster.kill(*broker).await;
        }
    }

    pub(crate) async fn revive_all(&self) {
        for broker in self.cluster.addresses().keys() {
            self.cluster.revive(*broker).await.unwrap();
        }
    }

    /// Revives the broker that leads this partition.
    pub(crate) async fn revive_leader_of(&self, partition: i32) {
        // Each partition of a split world is led by the one that holds it, dead or alive.
        for broker in self.cluster.addresses().keys() {
            self.cluster.revive(*broker).await.unwrap();
            let (leader, _) = self.cluster.leader(TOPIC, partition).unwrap();
            if leader == *broker {
                return;
            }
            self.cluster.kill(*broker).await.unwrap();
        }
        panic!("nobody leads partition {partition}");
    }

    /// Holds Produce requests before they are applied, until the fault is removed.
    pub(crate) fn hold_produce(&self) -> FaultId {
        self.inject_produce(Fault::hold().always())
    }

    /// A fault of Produce requests.
    pub(crate) fn inject_produce(&self, fault: Fault) -> FaultId {
        self.cluster.inject(fault.api(ApiKey::PRODUCE))
    }

    /// Waits until a fault has hit so many requests.
    pub(crate) async fn hits(&self, fault: FaultId, count: u64) {
        let hit = self.cluster.wait_for(|stats| stats.hits(fault) >= count);
        within("a fault that hits", hit).await;
    }

    /// Has one record acked, and then these sent, a batch each, all of them unanswered: held before
    /// they are applied until the fault is removed. Then they meet these other faults.
    pub(crate) async fn in_flight(
        &self,
        producer: &Handle,
        values: &[&str],
        faults: impl IntoIterator<Item = Fault>,
    ) -> (Vec<Receipt>, FaultId) {
        let first = producer.accept("first").await;
        assert!(first.end().await.is_acked());
        for fault in faults {
            self.inject_produce(fault);
        }
        let hold = self.hold_produce();
        let mut receipts = Vec::new();
        for value in values {
            receipts.push(producer.accept(value).await);
        }
        let count = u64::try_from(values.len()).unwrap();
        until("all of them in flight", || {
            producer.counts().in_flight == count
        })
        .await;
        self.hits(hold, 1).await;
        (receipts, hold)
    }
}

/// A producer to be started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) client: Client,
    config: ProducerConfig,
    environment: Option<Environment>,
    budget: MemoryBudget,
}

impl Setup {
    pub(crate) fn client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    pub(crate) fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    pub(crate) fn budget(mut self, budget: &MemoryBudget) -> Self {
        self.budget = budget.clone();
        self
    }

    pub(crate) fn partitioner(mut self, strategy: Strategy) -> Self {
        self.config.partitioner = strategy;
        self
    }

    /// By a key that begins with the partition's number: `1-a` goes to partition 1.
    pub(crate) fn by_leading_number(self) -> Self {
        self.partitioner(Strategy::custom(|call, _| {
            let digits = call.key().unwrap_or_default().iter();
            let digits: Vec<u8> = digits.copied().take_while(u8::is_ascii_digit).collect();
            String::from_utf8(digits)
                .unwrap_or_default()
                .parse()
                .unwrap_or(0)
        }))
    }

    /// Each call of these tests is a batch of its own.
    pub(crate) fn single(mut self) -> Self {
        self.config.max_batch_bytes = 100;
        self
    }

    pub(crate) fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.config.max_batch_bytes = bytes;
        self
    }

    pub(crate) fn linger(mut self, linger: Duration) -> Self {
        self.config.max_linger = linger;
        self
    }

    pub(crate) fn idempotence(mut self, idempotence: Idempotence) -> Self {
        self.config.idempotence = idempotence;
        self
    }

    /// Fails what an operator could lift.
    pub(crate) fn fail_refused(mut self) -> Self {
        self.config.on_refused = OnRefused::Fail;
        self
    }

    pub(crate) fn max_send_ahead(mut self, count: usize) -> Self {
        self.config.max_send_ahead = Some(count);
        self
    }

    pub(crate) fn gzip(mut self) -> Self {
        self.config.compression = Compression::Gzip;
        self.config.compression_level = CompressionLevel::default();
        self
    }

    pub(crate) fn max_queue_bytes(mut self, bytes: u64) -> Self {
        self.config.replayq_max_total_bytes = bytes;
        self
    }

    pub(crate) fn segment_bytes(mut self, bytes: u64) -> Self {
        self.config.replayq_seg_bytes = bytes;
        self
    }

    pub(crate) fn reject_when_full(mut self) -> Self {
        self.config.overflow = Overflow::Reject;
        self
    }

    pub(crate) fn retry_delay(mut self, base: Duration, ceiling: Duration) -> Self {
        self.config.retry_delay = RetryDelay { base, ceiling };
        self
    }

    pub(crate) fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.config.ack_timeout = timeout;
        self
    }

    pub(crate) fn start_timeout(mut self, timeout: Duration) -> Self {
        self.config.start_timeout = timeout;
        self
    }

    pub(crate) fn count_refresh(mut self, interval: Duration) -> Self {
        self.config.partition_count_refresh_interval = interval;
        self
    }

    fn builder(self) -> ProducerBuilder {
        let builder = Producer::builder(&self.client, TOPIC)
            .config(self.config)
            .memory_budget(self.budget);
        match self.environment {
            Some(environment) => builder.environment(environment),
            None => builder,
        }
    }

    /// Starts it; the error in words, with its causes.
    pub(crate) async fn try_start(self) -> Result<Handle, String> {
        match within("a start", self.builder().start()).await {
            Ok(producer) => Ok(Handle(producer)),
            Err(error) => Err(with_causes(&error)),
        }
    }

    /// The same without a deadline, which would need a runtime.
    pub(crate) async fn plain_start(self) -> Result<Handle, String> {
        let started = self.builder().start().await;
        started.map(Handle).map_err(|error| with_causes(&error))
    }

    pub(crate) async fn start(self) -> Handle {
        self.try_start().await.unwrap()
    }

    /// The records that are left in the queues of the topic, as a tool counts them.
    pub(crate) fn records_left(&self) -> u64 {
        let base = self.config.replayq_dir.as_deref().unwrap();
        wolff::records_left(base, self.client.client_id(), TOPIC).unwrap()
    }

    /// Where the queues of the topic are.
    pub(crate) fn directory(&self) -> PathBuf {
        let base = self.config.replayq_dir.as_deref().unwrap();
        super::disk::directory_of(base, self.client.client_id())
    }
}
