//! Produces numbered records through a queue on disk, and writes a line for each step: see
//! `report`.
//!
//! It goes on until its standard input ends; then it stops the producer, with all tasks still
//! handing over, or, with `--drain`, waits until nothing is left first.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use tokio::io::AsyncReadExt as _;
use wolff::{Client, Delivery, DeliveryError, PartitionId, Producer, Record, SendError};
use wolff_real_cluster::record::Place;
use wolff_real_cluster::report::{Counts, End, Run, Step};

/// Produces numbered records and reports each step on standard output.
#[derive(Clone, Debug, Parser)]
struct Arguments {
    /// Addresses of the cluster, separated by commas.
    #[arg(long)]
    brokers: String,
    /// The topic, which must have the partitions.
    #[arg(long)]
    topic: String,
    /// Its partitions.
    #[arg(long)]
    partitions: i32,
    /// Base directory of the queue.
    #[arg(long)]
    queue_dir: PathBuf,
    /// Number of this run.
    #[arg(long)]
    run: u32,
    /// Milliseconds between two calls of a partition.
    #[arg(long, default_value_t = 5)]
    pause_ms: u64,
    /// Size of a batch, bytes: small ones keep five requests in flight.
    #[arg(long, default_value_t = 20_000)]
    batch_bytes: usize,
    /// Milliseconds that the stop waits for answers.
    #[arg(long, default_value_t = 30_000)]
    stop_ms: u64,
    /// Hands over nothing; sends what previous runs left, and stops when all of it has ended.
    #[arg(long)]
    drain: bool,
}

/// Most records of a call.
const MAX_CALL: u64 = 8;

/// Interval at which counts are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Longest time that draining may take.
const DRAIN: Duration = Duration::from_secs(170);

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder(arguments.brokers.split(','))
        .client_id("numbered")
        .min_metadata_refresh_interval(Duration::from_millis(100))
        .build()?;
    let producer = Producer::builder(&client, arguments.topic.as_str())
        .replayq_dir(&arguments.queue_dir)
        .max_batch_bytes(arguments.batch_bytes)
        .start()
        .await?;
    report(&Step::Started);
    let counting = tokio::spawn(count(producer.clone()));
    let is_stopping = Arc::new(AtomicBool::new(false));
    let mut feeding = Vec::new();
    if arguments.drain {
        producer.flush(DRAIN).await?;
    } else {
        for partition in 0..arguments.partitions {
            let feed = Feed {
                producer: producer.clone(),
                partition,
                run: arguments.run,
                pause: Duration::from_millis(arguments.pause_ms),
                is_stopping: is_stopping.clone(),
            };
            feeding.push(tokio::spawn(feed.feed()));
        }
        let mut nothing = Vec::new();
        tokio::io::stdin().read_to_end(&mut nothing).await?;
    }
    is_stopping.store(true, Ordering::Relaxed);
    report(&Step::Stopping);
    let stopped = producer
        .stop(Duration::from_millis(arguments.stop_ms))
        .await;
    for task in feeding {
        task.await?;
    }
    counting.abort();
    stopped?;
    report(&Step::Stopped(counts(&producer)));
    Ok(())
}

/// Hands over records of one partition, one call after the other.
struct Feed {
    producer: Producer,
    partition: i32,
    run: u32,
    pause: Duration,
    is_stopping: Arc<AtomicBool>,
}

impl Feed {
    async fn feed(self) {
        let Ok(partition) = usize::try_from(self.partition) else {
            return;
        };
        let mut first = 0;
        let mut size = 1;
        loop {
            // Calls of one record and of several, in turns.
            size = size % MAX_CALL + 1;
            let count = if size % 2 == 0 { size } else { 1 };
            let run = Run {
                partition,
                first,
                count,
            };
            let place = |number| Place {
                run: self.run,
                partition: self.partition,
                number,
            };
            let records: Vec<Record> = (first..first.saturating_add(count))
                .map(|number| Record::new().value(place(number).to_value()))
                .collect();
            let call = self
                .producer
                .call(records)
                .partition(PartitionId(self.partition))
                .callback(move |delivery| report(&Step::Ended(run, end(&delivery))));
            match call.send().await.map_err(SendError::from) {
                Ok(_receipt) => report(&Step::Accepted(run)),
                Err(SendError::Stopped) if self.is_stopping.load(Ordering::Relaxed) => return,
                Err(error) => {
                    report(&Step::Refused(format!("{run}: {error}")));
                    return;
                }
            }
            first = first.saturating_add(count);
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
        }
    }
}

fn end(delivery: &Delivery) -> End {
    match delivery {
        Ok(ack) if ack.possibly_duplicated => End::PossiblyDuplicated,
        Ok(_) => End::Acked,
        Err(DeliveryError::LeftInQueue) => End::Left,
        Err(DeliveryError::InDoubt(_)) => End::InDoubt,
        Err(_) => End::Failed,
    }
}

/// Reports counts whenever they have changed.
async fn count(producer: Producer) {
    let mut last = Counts::default();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = counts(&producer);
        if now != last {
            report(&Step::Counted(now));
            last = now;
        }
    }
}

fn counts(producer: &Producer) -> Counts {
    let stats = producer.stats();
    Counts {
        accepted: stats.accepted,
        acked: stats.acked,
        failed: stats.failed,
        in_doubt: stats.in_doubt,
        left: stats.left,
        replayed: stats.replayed,
        replay_failed: stats.replay_failed,
        recovered_items: stats.recovered_items,
        possibly_duplicated: stats.possibly_duplicated,
        damaged: stats.damaged_records,
        retried_batches: stats.retried_batches,
    }
}

/// Writes a line in one piece. Nobody who reads it is no reason to go on.
fn report(step: &Step) {
    let line = format!("{step}\n");
    if std::io::stdout().write_all(line.as_bytes()).is_err() {
        std::process::exit(1);
    }
}
