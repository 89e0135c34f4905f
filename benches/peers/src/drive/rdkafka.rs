//! librdkafka by the rdkafka crate's `BaseProducer`: delivery callbacks, served by the thread that produces.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::{Clock, PATIENCE};
use crate::Failure;
use crate::job::{Job, Measurement, TOPIC};
use crate::payload::payloads;

/// Records between two looks at the delivery callbacks.
const POLL_EVERY: usize = 1000;

/// Counts callbacks.
#[derive(Default)]
struct Deliveries {
    acked: AtomicUsize,
    failed: AtomicUsize,
}

struct Context(Arc<Deliveries>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() {
            &self.0.acked
        } else {
            &self.0.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Settings that mean the same as ours.
fn config(settings: &Settings<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set(
            "max.in.flight.requests.per.connection",
            settings.in_flight.to_string(),
        )
        .set("linger.ms", settings.linger.as_millis().to_string())
        .set("batch.size", settings.batch_bytes.to_string())
        // The default of 10,000 would cut batches of small records short.
        .set("batch.num.messages", "1000000")
        .set(
            "message.max.bytes",
            settings.batch_bytes.max(1_000_000).to_string(),
        )
        .set(
            "queue.buffering.max.messages",
            settings.outstanding.to_string(),
        )
        .set("queue.buffering.max.kbytes", "2097151")
        .set("compression.type", settings.compression)
        .set("partitioner", "murmur2_random");
    config
}

/// What a librdkafka producer is told.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Addresses of the cluster.
    pub brokers: &'a str,
    /// Requests in flight to a broker.
    pub in_flight: usize,
    /// How long an undersized batch waits.
    pub linger: Duration,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Records handed over and not called back, at most.
    pub outstanding: usize,
    /// Kafka's name of the compression.
    pub compression: &'a str,
}

pub(super) fn run(job: &Job) -> Result<Measurement, Failure> {
    let mut run = Run::start(&Settings {
        brokers: &job.broker,
        in_flight: job.in_flight,
        linger: job.linger,
        batch_bytes: job.batch_bytes,
        outstanding: job.outstanding,
        compression: job.compression.name(),
    })?;
    let payloads = payloads(job.value_bytes);
    let mut produce = |records| {
        for payload in payloads.iter().cycle().take(records) {
            run.send(TOPIC, Some(&payload.key), &payload.value)?;
        }
        run.wait()
    };
    produce(job.warm_up_records)?;
    let clock = Clock::start();
    produce(job.records)?;
    Ok(clock.stop(job.records))
}

/// A librdkafka producer with what it has been handed.
pub struct Run {
    producer: BaseProducer<Context>,
    deliveries: Arc<Deliveries>,
    handed_over: usize,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("handed_over", &self.handed_over)
            .finish_non_exhaustive()
    }
}

impl Run {
    /// Starts a producer.
    ///
    /// # Errors
    /// librdkafka does not like the settings.
    pub fn start(settings: &Settings<'_>) -> Result<Self, Failure> {
        let deliveries = Arc::new(Deliveries::default());
        let producer = config(settings).create_with_context(Context(deliveries.clone()))?;
        Ok(Self {
            producer,
            deliveries,
            handed_over: 0,
        })
    }

    /// Waits until each record has been called back.
    ///
    /// # Errors
    /// One of them failed, or they take too long.
    pub fn wait(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.deliveries.acked.load(Ordering::Relaxed) < self.handed_over {
            self.producer.poll(Duration::from_millis(1));
            let failed = self.deliveries.failed.load(Ordering::Relaxed);
            if failed > 0 {
                return Err(format!("{failed} records failed").into());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{} records are not acknowledged",
                    self.producer.in_flight_count()
                )
                .into());
            }
        }
        Ok(())
    }

    /// Hands over a record, and looks at the delivery callbacks now and then.
    ///
    /// # Errors
    /// librdkafka refuses it.
    pub fn send(&mut self, topic: &str, key: Option<&[u8]>, value: &[u8]) -> Result<(), Failure> {
        loop {
            let mut record = BaseRecord::to(topic).payload(value);
            if let Some(key) = key {
                record = record.key(key);
            }
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        if self.handed_over.is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        self.handed_over = self.handed_over.saturating_add(1);
        Ok(())
    }
}
