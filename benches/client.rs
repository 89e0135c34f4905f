//! One connection: what a request costs this side, alone, pipelined, and when partitions share it;
//! and 1,000 partitions on three brokers in both strategies.
//!
//! The null broker answers at once and keeps nothing, on threads of its own, so that what is
//! measured is the client's thread.

#![expect(clippy::expect_used, reason = "a benchmark that cannot run must end")]

use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use wolff_benches::{Contender, compare, print_ratio, print_table};
use wolff_client::{Client, Connection, ConnectionStrategy, ProduceBatch};
use wolff_codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_codec::records::BATCH_HEADER_BYTES;
use wolff_codec::{PartitionId, Str, TopicId};
use wolff_testbroker::{Cluster, NullBroker};

/// Partitions that have a batch each, in one unit of work.
const PARTITIONS: i32 = 64;

/// Bytes of a batch.
const BATCH_BYTES: usize = 1_024;

/// Turns that each contender takes.
const ROUNDS: usize = 15;

/// Clients, one after the other, in each strategy.
const CLIENTS: usize = 5;

/// Partitions on three brokers.
const MANY: i32 = 1_000;

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

fn batch(partition: i32) -> ProduceBatch {
    ProduceBatch {
        topic: Str::from_static("events"),
        topic_id: TopicId::default(),
        partition: PartitionId(partition),
        // The null broker looks at the length only.
        records: Bytes::from(vec![0; BATCH_BYTES.max(BATCH_HEADER_BYTES)]).into(),
        acks: -1,
        timeout_ms: 10_000,
    }
}

fn request(batch: &ProduceBatch) -> ProduceRequest {
    ProduceRequest {
        acks: batch.acks,
        timeout_ms: batch.timeout_ms,
        topic_data: vec![TopicProduceData {
            name: batch.topic.clone(),
            topic_id: batch.topic_id,
            partition_data: vec![PartitionProduceData {
                index: batch.partition,
                records: Some(batch.records.clone()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

async fn one_by_one(connection: &Connection, batches: &[ProduceBatch]) {
    for batch in batches {
        let answer = connection.request(&request(batch)).await;
        answer.expect("an answer");
    }
}

async fn pipelined(connection: &Connection, batches: &[ProduceBatch]) {
    let start = |batch| {
        connection
            .start(&request(batch))
            .expect("room in the queue")
    };
    for answer in join_all(batches.iter().map(start)).await {
        answer.expect("an answer");
    }
}

async fn shared(connection: &Connection, batches: &[ProduceBatch]) {
    let start = |batch: &ProduceBatch| {
        let pending = connection.start_produce(batch.clone());
        pending.expect("room in the queue")
    };
    for answer in join_all(batches.iter().map(start)).await {
        answer.expect("an answer");
    }
}

/// Cost of a request, in processor time of the client's thread.
fn one_connection() {
    let broker = NullBroker::bind("127.0.0.1:0", "events", 64).expect("a port");
    let broker = broker.start();
    let runtime = runtime();
    let client = Client::builder([broker.address().to_string()]).build();
    let client = client.expect("a valid configuration");
    let connection = runtime.block_on(client.any_connection());
    let connection = connection.expect("a connection");
    let batches: Vec<_> = (0..PARTITIONS).map(batch).collect();

    let outcomes = compare(
        [
            Contender::new("one by one", || {
                runtime.block_on(one_by_one(&connection, &batches));
            }),
            Contender::new("pipelined", || {
                runtime.block_on(pipelined(&connection, &batches));
            }),
            Contender::new("in shared requests", || {
                runtime.block_on(shared(&connection, &batches));
            }),
        ],
        ROUNDS,
    );
    let units = u32::try_from(PARTITIONS).expect("a small number");
    print_table(
        "batches of 1 KiB, processor time of the client",
        units,
        &outcomes,
    );
    let [alone, pipelined, shared] = outcomes;
    print_ratio("pipelined/one-by-one", pipelined.speed_relative_to(&alone));
    print_ratio("shared/pipelined", shared.speed_relative_to(&pipelined));

    let rates = (0..5).map(|_| rate(&runtime, &connection, &batches));
    let mut rates: Vec<_> = rates.collect();
    rates.sort_by(f64::total_cmp);
    if let [min, _, median, _, max] = rates.as_slice() {
        println!("pipelined requests per second: {median:.0} ({min:.0} … {max:.0})");
    }
}

fn rate(runtime: &Runtime, connection: &Connection, batches: &[ProduceBatch]) -> f64 {
    const UNITS: u32 = 200;
    let begin = Instant::now();
    for _ in 0..UNITS {
        runtime.block_on(pipelined(connection, batches));
    }
    f64::from(UNITS) * f64::from(PARTITIONS) / begin.elapsed().as_secs_f64()
}

/// By which this program knows that it is to be a client in a process of its own: the strategy and
/// where the brokers are.
const BE_CLIENT: &str = "WOLFF_BENCH_CLIENT";

/// Connections, memory, and the time until every partition has its leader. Each client is a process
/// of its own, so that the brokers' memory is not taken for its.
fn many_partitions() {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let program = std::env::current_exe().expect("this program");
    for strategy in ["per_partition", "per_broker"] {
        let cluster = Cluster::builder().brokers(3).topic("many", MANY);
        let cluster = runtime.block_on(cluster.start()).expect("a cluster");
        let (mut millis, mut kib, mut connections) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..CLIENTS {
            let accepted = cluster.stats().connections_accepted();
            let told = Command::new(&program)
                .env(BE_CLIENT, format!("{strategy} {}", cluster.bootstrap()))
                .output()
                .expect("a client");
            assert!(told.status.success(), "{told:?}");
            let told = String::from_utf8(told.stdout).expect("text");
            let mut numbers = told.split_whitespace().map(|word| {
                let number: f64 = word.parse().expect("a number");
                number
            });
            millis.extend(numbers.next());
            kib.extend(numbers.next());
            connections.push(cluster.stats().connections_accepted() - accepted);
        }
        let connections = connections.iter().max().copied().unwrap_or_default();
        println!(
            "{strategy}: {MANY} leaders on 3 brokers: {} ms, {} KiB more memory than before, {connections} connections",
            spread(millis),
            spread(kib)
        );
    }
}

/// Middle, lowest and highest.
fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or_default();
    let (min, median) = (at(0), at(figures.len() / 2));
    format!("{median:.0} ({min:.0} … {:.0})", at(figures.len() - 1))
}

/// The client's side of [`many_partitions`]: prints how long it took, in milliseconds, and how much
/// memory, in KiB.
fn be_client(told: &str) {
    let (strategy, bootstrap) = told.split_once(' ').expect("a strategy and brokers");
    let strategy = match strategy {
        "per_broker" => ConnectionStrategy::PerBroker,
        _ => ConnectionStrategy::PerPartition,
    };
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let client = Client::builder([bootstrap]).connection_strategy(strategy);
    let client = client.build().expect("a valid configuration");
    let memory = resident_kib();
    let begin = Instant::now();
    let leaders = runtime.block_on(join_all((0..MANY).map(|partition| {
        let client = client.clone();
        async move {
            let partition = PartitionId(partition);
            let leader = client.leader_connection("many", partition).await;
            leader.expect("a leader")
        }
    })));
    let took = begin.elapsed();
    let memory = resident_kib().saturating_sub(memory);
    println!("{} {memory}", took.as_secs_f64() * 1e3);
    drop(leaders);
}

/// Resident memory of this process (`VmRSS`, proc(5)), in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|word| word.parse().ok()).expect("a number")
}

fn main() {
    if let Ok(told) = std::env::var(BE_CLIENT) {
        return be_client(&told);
    }
    one_connection();
    many_partitions();
}
