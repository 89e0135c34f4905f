//! The memory that producers take: bounded by a budget that they share.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use tokio::time::timeout;
use wolff::client::codec::ApiKey;
use wolff::{
    Client, MemoryBudget, Overflow, PartitionId, Producer, ProducerBuilder, Record, SendError,
};
use wolff_testbroker::{Cluster, Fault};

const SOON: Duration = Duration::from_secs(60);

async fn cluster(partitions: i32) -> Cluster {
    Cluster::builder()
        .topic("events", partitions)
        .start()
        .await
        .expect("a cluster on loopback")
}

fn builder(cluster: &Cluster, budget: &MemoryBudget) -> ProducerBuilder {
    let client = Client::builder([cluster.bootstrap()])
        .client_id("tests")
        .build()
        .expect("a valid configuration");
    Producer::builder(&client, "events").memory_budget(budget.clone())
}

async fn kill(cluster: &Cluster) {
    for broker in cluster.addresses().keys() {
        cluster.kill(*broker).await.expect("it lives");
    }
}

async fn revive(cluster: &Cluster) {
    for broker in cluster.addresses().keys() {
        cluster.revive(*broker).await.expect("it is dead");
    }
}

fn record(bytes: usize) -> Record {
    Record::new().value(vec![7; bytes])
}

/// Sends until a producer that rejects is full. Returns how many records it took.
fn fill(producer: &Producer, partitions: i32, bytes: usize) -> u64 {
    let mut count = 0;
    let mut full = 0;
    while full < partitions {
        let partition = PartitionId(i32::try_from(count).unwrap_or(0) % partitions);
        match producer.call(record(bytes)).partition(partition).try_send() {
            Ok(_) => (count, full) = (count + 1, 0),
            Err(rejected) => {
                assert!(matches!(rejected.reason, SendError::Full), "{rejected}");
                full += 1;
            }
        }
    }
    count
}

#[tokio::test]
async fn producers_that_share_a_budget_wait_for_each_other_and_free_all_of_it() {
    for on_disk in [false, true] {
        let room = tempfile::tempdir().expect("a directory");
        let cluster = cluster(2).await;
        let budget = MemoryBudget::new(256 * 1024);
        let start = |name: &str| {
            let mut builder = builder(&cluster, &budget);
            if on_disk {
                builder = builder.replayq_dir(room.path().join(name));
            }
            builder
        };
        let first = start("first").start().await.expect("it starts");
        let second = start("second")
            .overflow(Overflow::Reject)
            .start()
            .await
            .expect("it starts");
        kill(&cluster).await;
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let first = first.clone();
                tokio::spawn(async move {
                    for _ in 0..100 {
                        let _receipt = first.enqueue(record(10_000)).await.expect("accepted");
                    }
                })
            })
            .collect();
        if !on_disk {
            while fill(&second, 2, 10_000) > 0 {}
            assert!(budget.used_bytes() <= budget.limit_bytes());
        }
        revive(&cluster).await;
        for sender in senders {
            timeout(SOON, sender)
                .await
                .expect("in time")
                .expect("no panic");
        }
        for producer in [&first, &second] {
            producer.flush(SOON).await.expect("flushed");
        }
        let stats = first.stats();
        assert_eq!((stats.accepted, stats.acked, stats.queued), (800, 800, 0));
        let all_is_free = async {
            while budget.used_bytes() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, all_is_free)
            .await
            .expect("an idle producer holds nothing");
        first.stop(SOON).await.expect("stopped");
        second.stop(SOON).await.expect("stopped");
    }
}

#[tokio::test]
async fn what_is_leased_in_an_outage_keeps_no_calls_from_the_disk() {
    let room = tempfile::tempdir().expect("a directory");
    let cluster = cluster(8).await;
    let budget = MemoryBudget::new(1 << 20);
    let producer = builder(&cluster, &budget)
        .replayq_dir(room.path())
        .max_batch_bytes(100_000)
        .start()
        .await
        .expect("it starts");
    // Five batches of each partition were four times the budget.
    let hold = cluster.inject(Fault::hold().always().api(ApiKey::PRODUCE));
    for number in 0..1_000 {
        let call = producer
            .call(record(10_000))
            .partition(PartitionId(number % 8));
        let accepted = timeout(SOON, call.enqueue()).await.expect("in time");
        drop(accepted.expect("accepted"));
    }
    timeout(SOON, producer.queued()).await.expect("in time");
    cluster.remove_fault(hold);
    producer.flush(SOON).await.expect("flushed");
    assert_eq!(producer.stats().acked, 1_000);
    producer.stop(SOON).await.expect("stopped");
    assert_eq!(budget.used_bytes(), 0);
}

/// Set in a process of its own, in which memory is measured: partitions, and where the queues
/// are.
const MEASURES: &str = "WOLFF_TEST_MEASURES_MEMORY";

/// Most bytes that a producer takes beside the budget, with a thousand partitions; and with fewer
/// on disk, of which many have a full batch that is read back and compressed.
const BESIDE_BYTES: u64 = 32 << 20;
const BESIDE_LEASES_BYTES: u64 = 40 << 20;

/// Most files that are open for each queue on disk, with both ends of its connection, and for
/// everything else.
const FILES_PER_QUEUE: i32 = 6;
const OTHER_FILES: i32 = 500;

/// Bytes of this process that are in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        * 1024
}

/// Bytes that are leased from the disk beyond half of the limit: each queue may have one batch.
fn leased_beyond(budget: &MemoryBudget) -> u64 {
    let leased = budget.leased_bytes();
    let beyond = leased.saturating_sub(budget.limit_bytes() / 2);
    u64::try_from(beyond).expect("it fits")
}

/// Runs the measurement in a process of its own.
fn measure(partitions: i32, place: &str) {
    let test = std::env::current_exe().expect("a test's own path");
    let files = partitions * FILES_PER_QUEUE + OTHER_FILES;
    // The shell raises the limit of open files, which is often lower than the hard one.
    let status = std::process::Command::new("sh")
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()])
        .arg(test)
        .args(["--exact", "the_process_that_is_measured", "--nocapture"])
        .env(MEASURES, format!("{partitions} {place}"))
        .status()
        .expect("it can be started");
    assert!(status.success(), "{partitions} partitions, {place}");
}

#[test]
fn a_thousand_partitions_take_no_more_than_their_budget_in_memory() {
    measure(1_000, "memory");
}

#[test]
fn many_partitions_take_no_more_than_their_budget_beside_queues_on_disk() {
    measure(200, "disk");
    measure(1_000, "disk");
}

#[tokio::test]
async fn the_process_that_is_measured() {
    let Ok(what) = std::env::var(MEASURES) else {
        return;
    };
    let (partitions, place) = what.split_once(' ').expect("two words");
    let (partitions, is_on_disk) = (partitions.parse().expect("a number"), place == "disk");
    let room = tempfile::tempdir().expect("a directory");
    let cluster = cluster(partitions).await;
    let budget = MemoryBudget::new(64 << 20);
    let mut builder = builder(&cluster, &budget).overflow(Overflow::Reject);
    if is_on_disk {
        builder = builder.replayq_dir(room.path());
    }
    let producer = builder.start().await.expect("it starts");
    // Everything is open and connected before memory is compared.
    for partition in 0..partitions {
        let call = producer.call(record(10)).partition(PartitionId(partition));
        call.send_and_wait(SOON).await.expect("acknowledged");
    }
    kill(&cluster).await;
    let before = resident_bytes();
    let mut peak = before;
    let mut accepted = u64::try_from(partitions).expect("not negative");
    if is_on_disk {
        // Ten times the budget, three full batches in each queue; where callers are ahead of the
        // disk they wait for it.
        for number in 0..640_000 {
            let partition = PartitionId(number % partitions);
            loop {
                let call = producer.call(record(1_000)).partition(partition);
                match call.try_send() {
                    Ok(_receipt) => break,
                    Err(_full) => tokio::task::yield_now().await,
                }
            }
            accepted += 1;
            if number % 1_000 == 0 {
                peak = peak.max(resident_bytes() - leased_beyond(&budget));
            }
        }
    } else {
        accepted += fill(&producer, partitions, 1_000);
        assert!(
            budget.used_bytes() > (budget.limit_bytes() / 10) * 9,
            "{budget:?}"
        );
        let least = u64::try_from(budget.limit_bytes()).expect("it fits") / 1_100 / 3;
        assert!(accepted > least, "{accepted} records fill it");
    }
    peak = peak.max(resident_bytes() - leased_beyond(&budget));
    let growth = peak - before;
    println!(
        "{what}: {} KiB more, {accepted} records, {budget:?}",
        growth / 1024
    );
    let beside = if partitions < 1_000 {
        BESIDE_LEASES_BYTES
    } else {
        BESIDE_BYTES
    };
    let [limit, used] = [budget.limit_bytes(), budget.used_bytes()]
        .map(|bytes| u64::try_from(bytes).expect("it fits"));
    assert!(growth <= limit + beside, "{growth} bytes more");
    let leased_beyond = leased_beyond(&budget);
    assert!(used <= limit + leased_beyond, "{budget:?}");
    assert!(is_on_disk || leased_beyond == 0, "{budget:?}");
    revive(&cluster).await;
    producer.flush(SOON).await.expect("flushed");
    let stats = producer.stats();
    assert_eq!((stats.accepted, stats.acked), (accepted, accepted));
    let all_is_free = async {
        while budget.used_bytes() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, all_is_free)
        .await
        .expect("a drained producer holds nothing");
    producer.stop(SOON).await.expect("stopped");
}
