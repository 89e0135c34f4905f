//! The rskafka crate: batches made by hand, or its `BatchProducer`. It has no idempotence and
//! chooses no partitions: each gets its share in turn.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use tokio::task::JoinSet;

use super::{Clock, runtime};
use crate::Failure;
use crate::job::{self, Job, KEY_BYTES, Measurement, TOPIC};
use crate::latency::{Latencies, Pacer};
use crate::payload::{Payload, payloads};

/// Approximate bytes of a record in a batch beside key and value.
const RECORD_OVERHEAD_BYTES: usize = 10;

/// Futures of one partition that wait at once: enough for two full batches of small records.
const MAX_FUTURES: usize = 16_384;

fn compression(job: &Job) -> Result<Compression, Failure> {
    match job.compression {
        job::Compression::None => Ok(Compression::NoCompression),
        job::Compression::Gzip => Ok(Compression::Gzip),
        job::Compression::Snappy => Ok(Compression::Snappy),
        job::Compression::Zstd => Ok(Compression::Zstd),
        job::Compression::Lz4 => {
            Err("rskafka brings a C library for LZ4 that clashes with librdkafka's".into())
        }
    }
}

async fn partitions(job: &Job) -> Result<Vec<Arc<PartitionClient>>, Failure> {
    let client: Client = ClientBuilder::new(vec![job.broker.clone()]).build().await?;
    let mut partitions = Vec::new();
    for partition in 0..job.partitions {
        let found = client
            .partition_client(TOPIC, partition, UnknownTopicHandling::Retry)
            .await?;
        partitions.push(Arc::new(found));
    }
    Ok(partitions)
}

fn record(payload: &Payload) -> Record {
    Record {
        key: Some(payload.key.to_vec()),
        value: Some(payload.value.to_vec()),
        headers: BTreeMap::new(),
        timestamp: now(),
    }
}

fn now() -> DateTime<Utc> {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// Batches made by hand, as many in flight per partition as the job says.
pub(super) fn run_by_hand(job: &Job) -> Result<Measurement, Failure> {
    runtime(job)?.block_on(async {
        let (partitions, payloads) = (partitions(job).await?, payloads(job.value_bytes));
        produce_by_hand(job, &partitions, &payloads, job.warm_up_records).await?;
        let clock = Clock::start(job)?;
        produce_by_hand(job, &partitions, &payloads, job.records).await?;
        clock.stop(job.records)
    })
}

/// One record after the other, each a batch of its own that is awaited.
pub(super) fn run_paced(job: &Job) -> Result<Latencies, Failure> {
    runtime(job)?.block_on(async {
        let (partitions, payloads) = (partitions(job).await?, payloads(job.value_bytes));
        let mut pacer = Pacer::new(job);
        let records = payloads.iter().cycle().zip(partitions.iter().cycle());
        for (number, (payload, partition)) in
            records.take(job.warm_up_records + job.records).enumerate()
        {
            if number == job.warm_up_records {
                pacer.forget();
            }
            let began = pacer.wait();
            partition
                .produce(vec![record(payload)], Compression::NoCompression)
                .await?;
            pacer.acknowledged(began, Instant::now());
        }
        pacer.finish()
    })
}

async fn produce_by_hand(
    job: &Job,
    partitions: &[Arc<PartitionClient>],
    payloads: &[Payload],
    records: usize,
) -> Result<(), Failure> {
    let compression = compression(job)?;
    let in_batch = (job.batch_bytes / (job.value_bytes + KEY_BYTES + RECORD_OVERHEAD_BYTES)).max(1);
    let mut source = payloads.iter().cycle().take(records);
    let mut in_flight = JoinSet::new();
    for partition in partitions.iter().cycle() {
        let batch: Vec<Record> = source.by_ref().take(in_batch).map(record).collect();
        if batch.is_empty() {
            break;
        }
        while in_flight.len() >= job.in_flight * partitions.len() {
            join(in_flight.join_next().await)?;
        }
        let partition = partition.clone();
        in_flight.spawn(async move { partition.produce(batch, compression).await });
        tokio::task::yield_now().await;
    }
    while let Some(ended) = in_flight.join_next().await {
        join(Some(ended))?;
    }
    Ok(())
}

type Ended = Result<Result<Vec<i64>, rskafka::client::error::Error>, tokio::task::JoinError>;

fn join(ended: Option<Ended>) -> Result<(), Failure> {
    if let Some(ended) = ended {
        ended??;
    }
    Ok(())
}

/// A future per record, awaited in order.
pub(super) fn run_batch_producer(job: &Job) -> Result<Measurement, Failure> {
    runtime(job)?.block_on(async {
        let compression = compression(job)?;
        let payloads = payloads(job.value_bytes);
        let producers: Vec<BatchProducer<RecordAggregator>> = partitions(job)
            .await?
            .into_iter()
            .map(|partition| {
                let builder = BatchProducerBuilder::new(partition).with_linger(job.linger);
                builder
                    .with_compression(compression)
                    .build(RecordAggregator::new(job.batch_bytes))
            })
            .collect();
        produce_one_by_one(job, &producers, &payloads, job.warm_up_records).await?;
        let clock = Clock::start(job)?;
        produce_one_by_one(job, &producers, &payloads, job.records).await?;
        clock.stop(job.records)
    })
}

/// Each partition gets its share of the records.
async fn produce_one_by_one(
    job: &Job,
    producers: &[BatchProducer<RecordAggregator>],
    payloads: &[Payload],
    records: usize,
) -> Result<(), Failure> {
    let at_once = (job.outstanding / producers.len()).clamp(1, MAX_FUTURES);
    let shares = producers.iter().enumerate().map(|(index, producer)| {
        let share = (records + index) / producers.len();
        let calls = payloads
            .iter()
            .cycle()
            .take(share)
            .map(|payload| producer.produce(record(payload)));
        stream::iter(calls)
            .buffered(at_once)
            .try_for_each(|_| ready(Ok(())))
    });
    try_join_all(shares).await?;
    Ok(())
}
