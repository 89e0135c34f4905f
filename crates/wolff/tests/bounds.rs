//! Numbers and names from outside: none sizes anything before it is believed, and none stops the
//! next run.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::path::Path;
use std::time::Duration;

use tempfile::tempdir;
use wolff::{Client, PartitionId, Producer, ProducerBuilder, Record, SendError, StartError};
use wolff_testbroker::Cluster;

const SOON: Duration = Duration::from_secs(30);

async fn cluster() -> Cluster {
    let cluster = Cluster::builder().topic("events", 2).start().await;
    cluster.expect("a cluster on loopback")
}

fn builder(cluster: &Cluster, base: &Path, client_id: &str) -> ProducerBuilder {
    let client = Client::builder([cluster.bootstrap()]).client_id(client_id);
    let client = client.build().unwrap();
    Producer::builder(&client, "events")
        .replayq_dir(base)
        .start_timeout(Duration::from_millis(100))
}

fn record() -> Record {
    Record::new().value("value")
}

#[tokio::test]
async fn a_partition_that_no_topic_has_is_refused_while_no_broker_answers() {
    let cluster = cluster().await;
    cluster.kill(1).await.unwrap();
    let base = tempdir().unwrap();
    let producer = builder(&cluster, base.path(), "c").start().await.unwrap();
    for number in [i32::MAX, 1_000_000, -1] {
        let named = producer.call(record()).partition(PartitionId(number));
        let reason = tokio::time::timeout(SOON, named.send()).await.unwrap();
        let reason = reason.unwrap_err().reason;
        assert!(
            matches!(reason, SendError::InvalidPartition { .. }),
            "{reason}"
        );
    }
    producer.stop(Duration::ZERO).await.unwrap();
    let topic = base.path().join("client/c/events");
    let stray = topic.join(i32::MAX.to_string());
    assert!(!replayq::Queue::is_in(&stray).unwrap());
}

#[tokio::test]
async fn a_queue_directory_with_a_number_that_no_partition_has_stops_no_start() {
    let cluster = cluster().await;
    let base = tempdir().unwrap();
    let stray = base.path().join("client/c/events/2147483647");
    drop(replayq::Queue::open(replayq::Config::disk(&stray)).unwrap());
    let producer = builder(&cluster, base.path(), "c").start().await.unwrap();
    producer.send_and_wait(record(), SOON).await.unwrap();
    assert_eq!(producer.stats().partitions, 2);
    producer.stop(Duration::ZERO).await.unwrap();
    assert!(replayq::Queue::is_in(&stray).unwrap(), "it is left alone");
}

#[tokio::test]
async fn the_longest_client_id_can_have_queues_on_disk() {
    let cluster = cluster().await;
    let base = tempdir().unwrap();
    let id = "a client id, as long as they may be ".repeat(28);
    let producer = builder(&cluster, base.path(), &id).start().await.unwrap();
    producer.send_and_wait(record(), SOON).await.unwrap();
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn what_is_left_is_counted_in_records_also_while_the_queue_is_open() {
    let cluster = cluster().await;
    cluster.kill(1).await.unwrap();
    let base = tempdir().unwrap();
    let producer = builder(&cluster, base.path(), "c").start().await.unwrap();
    for _ in 0..3 {
        let call = vec![record(), record(), record()];
        drop(producer.send(call).await.unwrap());
    }
    let named = producer.call(record()).partition(PartitionId(1));
    drop(named.send().await.unwrap());
    let left = || wolff::records_left(base.path(), "c", "events").unwrap();
    assert_eq!(left(), 10);
    let leftover = producer.stop(Duration::ZERO).await.unwrap();
    assert_eq!((leftover.in_queue, left()), (10, 10));
    assert_eq!(wolff::records_left(base.path(), "c", "other").unwrap(), 0);
}

#[tokio::test]
async fn an_option_out_of_range_is_named_at_the_start() {
    let cluster = cluster().await;
    let base = tempdir().unwrap();
    let builder = builder(&cluster, base.path(), "c").max_linger(Duration::MAX);
    let error = builder.start().await.unwrap_err();
    let StartError::Config(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.option, "max_linger");
}
