//! Delivering what was accepted before the topic's partitions were known, beside records that go to
//! their partitions directly: the same records, the same embedded broker, one after the other in
//! each round.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wolff::{Client, Producer, ProducerConfig, Record};
use wolff_testbroker::Cluster;

const RECORDS: u32 = 400_000;
const PARTITIONS: i32 = 6;
const ROUNDS: usize = 7;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(300);

async fn cluster() -> Cluster {
    let builder = Cluster::builder().topic("events", PARTITIONS);
    builder.start().await.unwrap()
}

async fn start(cluster: &Cluster, directory: Option<&Path>) -> Producer {
    let client = Client::builder([cluster.bootstrap()]).build().unwrap();
    let mut config = ProducerConfig::default();
    config.start_timeout = Duration::from_millis(100);
    config.replayq_dir = directory.map(Path::to_owned);
    Producer::builder(&client, "events")
        .config(config)
        .start()
        .await
        .unwrap()
}

async fn enqueue_all(producer: &Producer) {
    for number in 0..RECORDS {
        let record = Record::new().key(number.to_string()).value(vec![0x2a; 100]);
        drop(producer.enqueue(record).await.unwrap());
    }
}

/// Records a second of a producer that knows the partitions, from the first call to the last
/// acknowledgement.
async fn fresh(directory: Option<&Path>) -> f64 {
    let cluster = cluster().await;
    let producer = start(&cluster, directory).await;
    let begun = Instant::now();
    enqueue_all(&producer).await;
    producer.flush(PATIENCE).await.unwrap();
    let rate = f64::from(RECORDS) / begun.elapsed().as_secs_f64();
    producer.stop(PATIENCE).await.unwrap();
    rate
}

/// Records a second of what was accepted without a broker, from its first acknowledgement to its
/// last.
async fn unrouted(directory: Option<&Path>) -> f64 {
    let cluster = cluster().await;
    let brokers: Vec<_> = cluster.addresses().keys().copied().collect();
    for broker in &brokers {
        cluster.kill(*broker).await.unwrap();
    }
    let producer = start(&cluster, directory).await;
    enqueue_all(&producer).await;
    producer.queued().await;
    for broker in &brokers {
        cluster.revive(*broker).await.unwrap();
    }
    let (begun, before) = loop {
        let acked = producer.stats().acked;
        if acked > 0 {
            break (Instant::now(), acked);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    producer.flush(PATIENCE).await.unwrap();
    let rest = f64::from(RECORDS) - f64::from(u32::try_from(before).unwrap());
    let rate = rest / begun.elapsed().as_secs_f64();
    producer.stop(PATIENCE).await.unwrap();
    rate
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for on_disk in [true, false] {
        let name = if on_disk { "disk" } else { "memory" };
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let rooms = [0, 1].map(|_| on_disk.then(|| TempDir::new().unwrap()));
            let [first, second] = rooms
                .each_ref()
                .map(|room| room.as_ref().map(TempDir::path));
            let fresh = runtime.block_on(fresh(first));
            let unrouted = runtime.block_on(unrouted(second));
            println!(
                "{name}: fresh {:.0} records/s, unrouted {:.0} records/s",
                fresh, unrouted
            );
            ratios.push(unrouted / fresh);
        }
        ratios.sort_by(f64::total_cmp);
        let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
        let (least, most) = (ratios.first().unwrap(), ratios.last().unwrap());
        println!("ratio unrouted/fresh/{name} {median:.2} ({least:.2} .. {most:.2})");
    }
}
