//! Bad links in front of a broker: slow, far, cut again and again, and dropped without a word while
//! nobody uses them. For the client alone, one batch after the other, and for the producer with its
//! defaults: time, copies in the log, and bytes sent. With `--client` for the client alone; other
//! arguments choose links by a part of their name.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::timeout;
use wolff::{Client, Producer, ProducerConfig, Record};
use wolff_client::{LeaderConnection, ProduceBatch};
use wolff_codec::records::{BatchHeader, RecordRef, encode_batch};
use wolff_codec::{ErrorCode, PartitionId, Str};
use wolff_testbroker::{Cluster, Conditions, Direction, Proxy, ProxyFault};

/// Records of each run, of [`VALUE_BYTES`] each.
const RECORDS: u64 = 500;

const VALUE_BYTES: usize = 1_000;

/// Records in a batch of the client alone: 16 KiB.
const BATCH_RECORDS: u64 = 16;

/// Time after which a run is over, whatever has been stored.
const PATIENCE: Duration = Duration::from_secs(90);

const P0: PartitionId = PartitionId(0);

/// A bad link.
#[derive(Clone, Copy)]
enum Link {
    Good,
    /// So many bytes a second on the way to the broker.
    Slow(u64),
    /// So many milliseconds each way.
    Far(u64),
    /// Reset after so many bytes, each connection anew.
    Cut(u64),
    /// Dropped without a word after a first record and so many seconds.
    Dropped(u64),
}

impl Link {
    fn name(self) -> String {
        match self {
            Self::Good => "good".to_owned(),
            Self::Slow(bytes) => format!("{} kB/s up", bytes / 1_000),
            Self::Far(millis) => format!("{millis} ms each way"),
            Self::Cut(bytes) => format!("reset every {} KiB", bytes >> 10),
            Self::Dropped(idle) => format!("dropped, {idle} s idle"),
        }
    }
}

/// A broker behind a link.
struct Scene {
    cluster: Cluster,
    proxy: Arc<Proxy>,
    client: Client,
}

impl Scene {
    async fn new(link: Link) -> Self {
        let cluster = Cluster::builder().topic("t", 1).start().await.unwrap();
        let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
        let conditions = Conditions::default();
        match link {
            Link::Good | Link::Dropped(_) => {}
            Link::Slow(bytes) => {
                proxy.set_conditions(Direction::ToBroker, conditions.bytes_per_second(bytes));
            }
            Link::Far(millis) => {
                proxy.set_all_conditions(conditions.latency(Duration::from_millis(millis)));
            }
            Link::Cut(bytes) => {
                proxy.inject(ProxyFault::reset_after(Direction::ToBroker, bytes).always());
            }
        }
        let client = Client::builder([proxy.bootstrap()]).build().unwrap();
        Self {
            cluster,
            proxy: Arc::new(proxy),
            client,
        }
    }

    /// Lets the open connections be forgotten on the way.
    async fn drop_silently(&self, link: Link) {
        if let Link::Dropped(idle) = link {
            self.proxy.black_hole_connections();
            tokio::time::sleep(Duration::from_secs(idle)).await;
        }
    }

    fn stored(&self) -> u64 {
        let records = self.cluster.records("t", 0).unwrap().len();
        u64::try_from(records).unwrap()
    }
}

/// Sends batches one after the other, each again until it is acknowledged, as a caller of the
/// client does without idempotence. The connection is kept until it fails.
async fn by_client(scene: &Scene, leader: &mut Option<LeaderConnection>, from: u64, records: u64) {
    let value = vec![0x2a; VALUE_BYTES];
    let mut next = from;
    while next < from + records {
        let count = BATCH_RECORDS.min(from + records - next);
        let record = RecordRef {
            value: Some(&value),
            ..RecordRef::default()
        };
        let records = std::iter::repeat_n(record, usize::try_from(count).unwrap());
        let batch: Bytes = encode_batch(&BatchHeader::default(), records).unwrap();
        loop {
            if leader.is_none() {
                *leader = scene.client.leader_connection("t", P0).await.ok();
            }
            let Some(known) = leader.as_ref() else {
                continue;
            };
            let batch = ProduceBatch {
                topic: Str::from_static("t"),
                topic_id: known.topic_id,
                partition: P0,
                records: batch.clone().into(),
                acks: -1,
                timeout_ms: 10_000,
            };
            let answer = match known.connection.start_produce(batch) {
                Ok(pending) => pending.await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if answer.partition.error_code == ErrorCode::NONE => break,
                _ => *leader = None,
            }
        }
        next += count;
    }
}

async fn start(scene: &Scene, max_batch_bytes: Option<usize>) -> Producer {
    let mut config = ProducerConfig::default();
    if let Some(bytes) = max_batch_bytes {
        config.max_batch_bytes = bytes;
    }
    let builder = Producer::builder(&scene.client, "t").config(config);
    builder.start().await.unwrap()
}

async fn by_producer(producer: &Producer, records: u64) {
    for _ in 0..records {
        drop(
            producer
                .enqueue(Record::new().value(vec![0x2a; VALUE_BYTES]))
                .await
                .unwrap(),
        );
    }
    let _is_over = producer.flush(PATIENCE).await;
}

/// A row of the table.
fn print(who: &str, link: Link, scene: &Scene, took: Duration) {
    let stored = scene.stored();
    let sent = scene.proxy.stats().bytes_to_broker;
    println!(
        "{who:>18} | {:<22} | {:>6.1} s | {stored:>4} of {RECORDS} stored, {:>4} copies | {:>5} kB sent | {} connections",
        link.name(),
        took.as_secs_f64(),
        stored.saturating_sub(RECORDS),
        sent / 1_000,
        scene.proxy.stats().connections_accepted,
    );
}

async fn measure(link: Link) {
    let scene = Scene::new(link).await;
    let mut leader = None;
    by_client(&scene, &mut leader, 0, 1).await;
    scene.drop_silently(link).await;
    let begun = Instant::now();
    let sending = by_client(&scene, &mut leader, 1, RECORDS - 1);
    let _is_over = timeout(PATIENCE, sending).await;
    print("client", link, &scene, begun.elapsed());
    if std::env::args().any(|argument| argument == "--client") {
        return;
    }

    for (who, bytes) in [("producer", None), ("producer, 16 KiB", Some(16 << 10))] {
        let scene = Scene::new(link).await;
        let producer = start(&scene, bytes).await;
        by_producer(&producer, 1).await;
        scene.drop_silently(link).await;
        let begun = Instant::now();
        by_producer(&producer, RECORDS - 1).await;
        print(who, link, &scene, begun.elapsed());
        let _errors = producer.stop(Duration::ZERO).await;
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |link: &Link| {
        let mut names = chosen.iter().filter(|name| !name.starts_with("--"));
        chosen.iter().all(|name| name.starts_with("--"))
            || names.any(|name| link.name().contains(name))
    };
    runtime.block_on(async {
        let links = [
            Link::Good,
            Link::Dropped(3),
            Link::Dropped(25),
            Link::Far(100),
            Link::Far(400),
            Link::Cut(64 << 10),
            Link::Slow(10_000),
        ];
        for link in links.into_iter().filter(is_chosen) {
            measure(link).await;
        }
    });
}
