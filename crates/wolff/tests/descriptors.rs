//! A process that has no descriptor left: connections give up theirs for the files of queues.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(clippy::expect_used, clippy::print_stdout, reason = "helpers of tests")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;
use wolff::client::codec::ApiKey;
use wolff::{Client, PartitionId, Producer, Record};
use wolff_testbroker::{Cluster, Fault};

const SOON: Duration = Duration::from_secs(60);
const BOOTSTRAP: &str = "WOLFF_TEST_BOOTSTRAP";
const NAME: &str = "queues_get_the_descriptors_of_connections_that_are_idle";
const PARTITIONS: i32 = 16;

/// Records of 100 kB for each partition: several segments.
const RECORDS: i32 = 40;

const CONNECTED: &str = "all are connected";
const STORED: &str = "all is stored";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_get_the_descriptors_of_connections_that_are_idle() {
    if std::env::var(BOOTSTRAP).is_ok() {
        return produce_without_descriptors().await;
    }
    let cluster = Cluster::builder().topic("events", PARTITIONS);
    let cluster = cluster.start().await.expect("a cluster on loopback");
    let test = std::env::current_exe().expect("a test's own path");
    // Its connections and files are the only ones of that process.
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""])
        .arg(test)
        .args(["--exact", NAME, "--nocapture"])
        .env(BOOTSTRAP, cluster.bootstrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut orders = child.stdin.take().expect("a pipe");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut wait_for = move |line: &str| {
        let found = said
            .by_ref()
            .any(|said| said.is_ok_and(|said| said == line));
        assert!(found, "the process ended before {line:?}");
    };
    wait_for(CONNECTED);
    let hold = cluster.inject(Fault::hold().always().api(ApiKey::PRODUCE));
    writeln!(orders, "go on").expect("it lives");
    wait_for(STORED);
    cluster.remove_fault(hold);
    writeln!(orders, "go on").expect("it lives");
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let status = ended.await.expect("no panic").expect("it ends");
    assert!(status.success());
}

/// Says something to the other process, and waits for its answer.
fn report(what: &str) {
    println!("\n{what}");
    let answer = std::io::stdin().lines().next();
    answer.expect("it lives").expect("a line");
}

async fn produce_without_descriptors() {
    let room = tempfile::tempdir().expect("a directory");
    let bootstrap = std::env::var(BOOTSTRAP).expect("it is set");
    let client = Client::builder([bootstrap])
        .build()
        .expect("a valid configuration");
    let producer = Producer::builder(&client, "events")
        .replayq_dir(room.path())
        .start()
        .await
        .expect("it starts");
    let call = |partition: i32, bytes: usize| {
        let record = Record::new().value(vec![7; bytes]);
        producer.call(record).partition(PartitionId(partition))
    };
    for partition in 0..PARTITIONS {
        let acked = call(partition, 10).send_and_wait(SOON).await;
        acked.expect("acknowledged");
    }
    report(CONNECTED);
    for _ in 0..RECORDS {
        for partition in 0..PARTITIONS {
            let accepted = call(partition, 100_000).enqueue().await;
            drop(accepted.expect("accepted"));
        }
    }
    timeout(SOON, producer.queued()).await.expect("in time");
    // What is left is somebody else's.
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    report(STORED);
    producer.flush(SOON).await.expect("flushed");
    let stats = producer.stats();
    assert_eq!((stats.accepted, stats.acked), (stats.acked, stats.accepted));
    drop(files);
    producer.stop(SOON).await.expect("stopped");
}
