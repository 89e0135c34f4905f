//! Number of writes to the disk, counted at the seam to the file system.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use replayq::vfs::sim::{Change, SimVfs};
use wolff::{Client, Durability, Environment, Idempotence, Producer, ProducerBuilder, Record};
use wolff_testbroker::Cluster;

const SOON: Duration = Duration::from_secs(30);
const QUEUE: &str = "/queues/client/tests/events/0";

async fn cluster() -> Cluster {
    Cluster::builder()
        .topic("events", 1)
        .start()
        .await
        .expect("a cluster on loopback")
}

fn client(cluster: &Cluster) -> Client {
    Client::builder([cluster.bootstrap()])
        .client_id("tests")
        .build()
        .expect("a valid configuration")
}

fn builder(client: &Client, disk: &SimVfs) -> ProducerBuilder {
    let seen = disk.clone();
    let list = move |_: &Path| {
        let has_queue = (seen.files().iter()).any(|file| file.starts_with(QUEUE));
        Ok(has_queue.then(|| "0".to_owned()).into_iter().collect())
    };
    let environment = Environment::default()
        .vfs(Arc::new(disk.clone()))
        .directories(list);
    Producer::builder(client, "events")
        .environment(environment)
        .replayq_dir("/queues")
}

/// Position of the first lease slot in a control file (see FORMAT.md of replayq): what is written
/// before it is a commit record, behind it a lease with its tag.
const LEASE_SLOTS_AT: u64 = 28_672;

/// Writes so far to the queue's files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Writes {
    segments: usize,
    acks: usize,
    tags: usize,
}

fn writes(disk: &SimVfs) -> Writes {
    let mut writes = Writes {
        segments: 0,
        acks: 0,
        tags: 0,
    };
    for change in disk.history() {
        let Change::Write(path, position, _) = change else {
            continue;
        };
        // It is written under another name first.
        let is_control = path.file_stem().is_some_and(|name| name == "control");
        match is_control {
            false => writes.segments += 1,
            true if position < LEASE_SLOTS_AT => writes.acks += 1,
            true => writes.tags += 1,
        }
    }
    writes
}

fn syncs(disk: &SimVfs) -> usize {
    let is_sync = |change: &&Change| matches!(change, Change::Sync(_));
    disk.history().iter().filter(is_sync).count()
}

/// Waits for the acknowledgement in the queue that follows the end of a call.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lone_record_costs_as_many_writes_with_stamps_as_without() {
    for durability in [
        Durability::Os,
        Durability::Fsync {
            max_delay: Duration::ZERO,
        },
    ] {
        let mut counted = Vec::new();
        for idempotence in [Idempotence::Off, Idempotence::Required] {
            let cluster = cluster().await;
            let disk = SimVfs::new();
            let producer = builder(&client(&cluster), &disk)
                .durability(durability)
                .idempotence(idempotence)
                .start()
                .await
                .unwrap();
            let send = || producer.send_and_wait(Record::new().value("lone"), SOON);
            let made = writes(&disk).acks;
            send().await.unwrap();
            until("it is acknowledged", || writes(&disk).acks > made).await;
            let (before, synced) = (writes(&disk), syncs(&disk));
            for number in 1..=100 {
                send().await.unwrap();
                until("it is acknowledged", || {
                    writes(&disk).acks >= before.acks + number
                })
                .await;
            }
            let after = writes(&disk);
            counted.push((
                after.segments - before.segments,
                after.acks - before.acks,
                after.tags - before.tags,
                syncs(&disk) - synced,
            ));
            producer.stop(SOON).await.unwrap();
        }
        for (segments, acks, tags, synced) in counted {
            assert_eq!((segments, acks), (100, 100), "{durability:?}");
            // The stamp of a record that comes before the state after the first one is settled is
            // written apart.
            assert!(tags <= 1, "{durability:?}: {tags}");
            let least = if durability == Durability::Os { 0 } else { 100 };
            assert!(
                (least..=least + tags).contains(&synced),
                "{durability:?}: {synced}"
            );
        }
    }
}
