//! librdkafka by the rdkafka crate's `BaseProducer`: delivery callbacks, served by the thread that
//! produces.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;

use super::{Clock, PATIENCE};
use crate::Failure;
use crate::job::{Job, Measurement, TOPIC};
use crate::latency::{Latencies, Pacer};
use crate::payload::payloads;

/// Records between two looks at the delivery callbacks.
const POLL_EVERY: usize = 1000;

/// Time that the producing thread rests when there is nothing for it to do.
const REST: Duration = Duration::from_micros(200);

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
        .set("socket.nagle.disable", "true")
        .set("compression.type", settings.compression)
        .set("partitioner", "murmur2_random");
    config
}

/// Settings of a librdkafka producer.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Addresses of the cluster.
    pub brokers: &'a str,
    /// Requests in flight to a broker.
    pub in_flight: usize,
    /// Time that an undersized batch waits.
    pub linger: Duration,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Records handed over and not called back, at most.
    pub outstanding: usize,
    /// Kafka's name of the compression.
    pub compression: &'a str,
}

pub(super) fn run(job: &Job) -> Result<Measurement, Failure> {
    let mut run = Run::start(&settings(job))?;
    let payloads = payloads(job.value_bytes);
    let mut produce = |records| {
        for payload in payloads.iter().cycle().take(records) {
            run.send(TOPIC, Some(&payload.key), &payload.value)?;
        }
        run.wait()
    };
    produce(job.warm_up_records)?;
    let clock = Clock::start(job)?;
    produce(job.records)?;
    clock.stop(job.records)
}

/// Tells when a record was called back.
struct Bell(Sender<(Instant, bool)>);

impl ClientContext for Bell {}

impl ProducerContext for Bell {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // Nobody listens only when the turn is over.
        let _ = self.0.send((Instant::now(), result.is_ok()));
    }
}

/// One record after the other, each called back: by the crate's own thread, at the very moment at
/// which it knows. The base producer's poll would not return before its time is up.
pub(super) fn run_paced(job: &Job) -> Result<Latencies, Failure> {
    let (bell, rung) = channel();
    let producer: ThreadedProducer<Bell> =
        config(&settings(job)).create_with_context(Bell(bell))?;
    let mut pacer = Pacer::new(job);
    let payloads = payloads(job.value_bytes);
    let records = payloads.iter().cycle();
    for (number, payload) in records.take(job.warm_up_records + job.records).enumerate() {
        if number == job.warm_up_records {
            pacer.forget();
        }
        let record = BaseRecord::to(TOPIC)
            .payload(&payload.value[..])
            .key(&payload.key[..]);
        let began = pacer.wait();
        producer.send(record).map_err(|(error, _)| error)?;
        let (at, is_acked) = rung.recv_timeout(PATIENCE)?;
        if !is_acked {
            return Err("a record failed".into());
        }
        pacer.acknowledged(began, at);
    }
    pacer.finish()
}

fn settings(job: &Job) -> Settings<'_> {
    Settings {
        brokers: &job.broker,
        in_flight: job.in_flight,
        linger: job.linger,
        batch_bytes: job.batch_bytes,
        outstanding: job.outstanding,
        compression: job.compression.name(),
    }
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

    /// Takes what has been called back, and lets librdkafka's own threads work. A poll with a time
    /// would not rest: it looks at the clock without a pause for what is left of it below a
    /// millisecond.
    fn rest(&self) {
        self.producer.poll(Duration::ZERO);
        std::thread::sleep(REST);
    }

    /// Waits until each record has been called back.
    ///
    /// # Errors
    /// One of them failed, or they take too long.
    pub fn wait(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.deliveries.acked.load(Ordering::Relaxed) < self.handed_over {
            self.rest();
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
                    self.rest();
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
