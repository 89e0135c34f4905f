//! This workspace's producer, by its public API: each receipt is looked at, in order.

use std::collections::VecDeque;
use std::time::Instant;

use wolff::{Client, CompressionLevel, Producer, Receipt, Record, SendError, Strategy};

use super::{Clock, PATIENCE, runtime};
use crate::Failure;
use crate::job::{Compression, Job, Measurement, TOPIC};
use crate::latency::{Latencies, Pacer};
use crate::payload::payloads;

/// Calls between two looks at the receipts.
const LOOK_EVERY: usize = 256;

pub(super) fn run(job: &Job) -> Result<Measurement, Failure> {
    runtime(job)?.block_on(async {
        let producer = start(job).await?;
        let records: Vec<Record> = payloads(job.value_bytes)
            .into_iter()
            .map(|payload| Record::new().key(payload.key).value(payload.value))
            .collect();
        let mut turn = Turn {
            job,
            producer,
            waiting: VecDeque::with_capacity(job.outstanding),
        };
        turn.produce(&records, job.warm_up_records).await?;
        let clock = Clock::start(job)?;
        turn.produce(&records, job.records).await?;
        let measurement = clock.stop(job.records)?;
        turn.producer.stop(PATIENCE).await?;
        Ok(measurement)
    })
}

/// One record after the other, each awaited.
pub(super) fn run_paced(job: &Job) -> Result<Latencies, Failure> {
    runtime(job)?.block_on(async {
        let producer = start(job).await?;
        let mut pacer = Pacer::new(job);
        for (number, payload) in payloads(job.value_bytes)
            .into_iter()
            .cycle()
            .take(job.warm_up_records + job.records)
            .enumerate()
        {
            if number == job.warm_up_records {
                pacer.forget();
            }
            let record = Record::new().key(payload.key).value(payload.value);
            let began = pacer.wait();
            producer.send(record).await?.await?;
            pacer.acknowledged(began, Instant::now());
        }
        producer.stop(PATIENCE).await?;
        pacer.finish()
    })
}

async fn start(job: &Job) -> Result<Producer, Failure> {
    let compression = match job.compression {
        Compression::None => wolff::Compression::None,
        Compression::Gzip => wolff::Compression::Gzip,
        Compression::Snappy => wolff::Compression::Snappy,
        Compression::Lz4 => wolff::Compression::Lz4,
        Compression::Zstd => wolff::Compression::Zstd,
    };
    let client = Client::builder([job.broker.clone()]).build()?;
    let mut builder = Producer::builder(&client, TOPIC)
        .max_linger(job.linger)
        .max_batch_bytes(job.batch_bytes)
        .compression(compression, CompressionLevel::default())
        .partitioner(Strategy::MURMUR2);
    if let Some(directory) = &job.queue_dir {
        builder = builder.replayq_dir(directory);
    }
    Ok(builder.start().await?)
}

struct Turn<'a> {
    job: &'a Job,
    producer: Producer,
    waiting: VecDeque<Receipt>,
}

impl Turn<'_> {
    /// Hands over that many records and waits until each call has been acknowledged.
    async fn produce(&mut self, records: &[Record], count: usize) -> Result<(), Failure> {
        let per_call = self.job.records_per_call;
        let outstanding_calls = (self.job.outstanding / per_call).max(1);
        let calls = records
            .chunks_exact(per_call)
            .cycle()
            .take(count / per_call);
        for (number, call) in calls.enumerate() {
            // With a queue on disk `send` waits for the kernel to have the bytes, which callers
            // that want speed don't do one by one.
            let receipt = match (call, &self.job.queue_dir) {
                ([record], None) => self.producer.send(record).await.map_err(SendError::from)?,
                ([record], Some(_)) => self
                    .producer
                    .enqueue(record)
                    .await
                    .map_err(SendError::from)?,
                (call, None) => self.producer.send(call).await.map_err(SendError::from)?,
                (call, Some(_)) => self.producer.enqueue(call).await.map_err(SendError::from)?,
            };
            self.waiting.push_back(receipt);
            if number % LOOK_EVERY == 0 {
                self.take_acknowledged()?;
                if self.job.worker_threads == 0 {
                    tokio::task::yield_now().await;
                }
            }
            if self.waiting.len() >= outstanding_calls
                && let Some(first) = self.waiting.pop_front()
            {
                first.await?;
            }
        }
        let rest = async {
            for receipt in self.waiting.drain(..) {
                receipt.await?;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, rest).await?
    }

    fn take_acknowledged(&mut self) -> Result<(), Failure> {
        while let Some(delivery) = self.waiting.front().and_then(Receipt::try_delivery) {
            delivery?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}
