//! The producer against the embedded broker: from the call to the log, through memory and through
//! disk.
#![allow(
    clippy::disallowed_methods,
    reason = "these tests run in the real world"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use tempfile::tempdir;
use wolff::client::ConnectionStrategy;
use wolff::client::codec::ApiKey;
use wolff::{Client, Compression, CompressionLevel, PartitionId, Producer, Record, Strategy};
use wolff_testbroker::{Cluster, Fault};

const SOON: Duration = Duration::from_secs(30);

async fn cluster(partitions: i32) -> Cluster {
    Cluster::builder()
        .topic("events", partitions)
        .start()
        .await
        .expect("a cluster on loopback")
}

fn client(bootstrap: &str) -> Client {
    Client::builder([bootstrap])
        .client_id("tests")
        .build()
        .expect("a valid configuration")
}

/// The values in a partition's log, in order.
fn values(cluster: &Cluster, partition: i32) -> Vec<String> {
    let records = cluster
        .records("events", partition)
        .expect("the topic exists");
    records
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap())
        .collect()
}

async fn cast_numbers(producer: &Producer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let record = Record::new()
            .key(format!("key-{}", number % 7))
            .value(format!("value-{number}"));
        let _receipt = producer.enqueue(record).await.expect("accepted");
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("value-{number}")).collect()
}

#[tokio::test]
async fn a_record_is_acknowledged_with_its_partition_and_offset() {
    let cluster = cluster(1).await;
    let producer = Producer::builder(&client(&cluster.bootstrap()), "events")
        .start()
        .await
        .unwrap();
    let first = producer
        .send_and_wait(Record::new().value("one"), SOON)
        .await
        .unwrap();
    assert_eq!(
        (first.partition, first.offset.map(|offset| offset.0)),
        (PartitionId(0), Some(0))
    );
    let call = vec![Record::new().value("two"), Record::new().value("three")];
    let second = producer.send_and_wait(call, SOON).await.unwrap();
    assert_eq!(second.offset.map(|offset| offset.0), Some(1));
    assert_eq!(values(&cluster, 0), ["one", "two", "three"]);
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn thousands_of_calls_arrive_once_and_in_order_through_memory_and_disk() {
    for on_disk in [false, true] {
        let cluster = cluster(1).await;
        let base = tempdir().unwrap();
        let mut builder = Producer::builder(&client(&cluster.bootstrap()), "events");
        if on_disk {
            builder = builder.replayq_dir(base.path());
        }
        let producer = builder.start().await.unwrap();
        cast_numbers(&producer, 0..5_000).await;
        producer.flush(SOON).await.unwrap();
        assert_eq!(values(&cluster, 0), numbers(0..5_000), "on disk: {on_disk}");
        let stats = producer.stats();
        assert_eq!(
            (stats.accepted, stats.acked, stats.failed, stats.queued),
            (5_000, 5_000, 0, 0)
        );
        producer.stop(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn every_compression_carries_the_same_records() {
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        let cluster = cluster(1).await;
        let builder =
            Producer::builder(&client(&cluster.bootstrap()), "events").max_batch_bytes(20_000);
        let producer = builder
            .compression(compression, CompressionLevel::default())
            .start()
            .await
            .unwrap();
        cast_numbers(&producer, 0..3_000).await;
        producer.flush(SOON).await.unwrap();
        assert_eq!(values(&cluster, 0), numbers(0..3_000), "{compression:?}");
        producer.stop(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn records_of_one_key_stay_in_order_over_several_partitions() {
    let cluster = cluster(6).await;
    let producer = Producer::builder(&client(&cluster.bootstrap()), "events")
        .partitioner(Strategy::MURMUR2)
        .start()
        .await
        .unwrap();
    cast_numbers(&producer, 0..2_000).await;
    producer.flush(SOON).await.unwrap();
    let mut total = 0;
    for partition in 0..6 {
        let found: Vec<u32> = values(&cluster, partition)
            .iter()
            .map(|value| value.trim_start_matches("value-").parse().unwrap())
            .collect();
        assert!(found.is_sorted());
        total += found.len();
    }
    assert_eq!(total, 2_000);
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn partitions_of_one_broker_share_requests_and_keep_their_order() {
    let cluster = cluster(16).await;
    let client = Client::builder([cluster.bootstrap()])
        .connection_strategy(ConnectionStrategy::PerBroker)
        .build()
        .unwrap();
    let producer = Producer::builder(&client, "events")
        .partitioner(Strategy::RoundRobin)
        .start()
        .await
        .unwrap();
    // While the first answers are held, everything else comes together.
    let hold = cluster.inject(Fault::hold().api(ApiKey::PRODUCE));
    cast_numbers(&producer, 0..3_200).await;
    cluster.remove_fault(hold);
    producer.flush(SOON).await.unwrap();

    let mut total = 0;
    for partition in 0..16 {
        let of_partition: Vec<_> = (0..3_200)
            .filter(|number| number % 16 == partition)
            .map(|number| format!("value-{number}"))
            .collect();
        assert_eq!(values(&cluster, partition), of_partition);
        total += cluster.batches("events", partition).unwrap().len();
    }
    let requests = cluster.stats().requests(ApiKey::PRODUCE);
    let total = u64::try_from(total).unwrap();
    assert!(requests < total, "{requests} requests for {total} batches");
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_broker_that_dies_and_comes_back_gets_everything_once() {
    let cluster = cluster(1).await;
    let base = tempdir().unwrap();
    let producer = Producer::builder(&client(&cluster.bootstrap()), "events")
        .replayq_dir(base.path())
        .start()
        .await
        .unwrap();
    cast_numbers(&producer, 0..1_000).await;
    let receipt = producer
        .send(Record::new().value("value-1000"))
        .await
        .unwrap();
    receipt.await.unwrap();
    let broker = *cluster.addresses().keys().next().unwrap();
    cluster.kill(broker).await.unwrap();
    cast_numbers(&producer, 1_001..3_000).await;
    producer.queued().await;
    cluster.revive(broker).await.unwrap();
    producer.flush(SOON).await.unwrap();
    assert_eq!(values(&cluster, 0), numbers(0..3_000));
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn what_a_stopped_producer_left_on_disk_is_sent_by_the_next_first() {
    let cluster = cluster(1).await;
    let base = tempdir().unwrap();
    let bootstrap = cluster.bootstrap();
    let broker = *cluster.addresses().keys().next().unwrap();
    let first = Producer::builder(&client(&bootstrap), "events")
        .replayq_dir(base.path())
        .start()
        .await
        .unwrap();
    cluster.kill(broker).await.unwrap();
    cast_numbers(&first, 0..500).await;
    first.stop(Duration::ZERO).await.unwrap();
    cluster.revive(broker).await.unwrap();
    let second = Producer::builder(&client(&bootstrap), "events")
        .replayq_dir(base.path())
        .start()
        .await
        .unwrap();
    cast_numbers(&second, 500..600).await;
    second.flush(SOON).await.unwrap();
    assert_eq!(values(&cluster, 0), numbers(0..600));
    let stats = second.stats();
    assert_eq!(
        (stats.accepted, stats.acked, stats.replayed),
        (100, 100, 500)
    );
    second.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn records_are_accepted_before_any_broker_was_ever_there() {
    let cluster = cluster(3).await;
    let base = tempdir().unwrap();
    let broker = *cluster.addresses().keys().next().unwrap();
    cluster.kill(broker).await.unwrap();
    let builder =
        Producer::builder(&client(&cluster.bootstrap()), "events").replayq_dir(base.path());
    let producer = builder
        .partitioner(Strategy::MURMUR2)
        .start()
        .await
        .unwrap();
    cast_numbers(&producer, 0..300).await;
    producer.queued().await;
    assert_eq!(producer.partition_count(), None);
    cluster.revive(broker).await.unwrap();
    producer.flush(SOON).await.unwrap();
    let total: usize = (0..3)
        .map(|partition| values(&cluster, partition).len())
        .sum();
    assert_eq!(total, 300);
    let stats = producer.stats();
    assert_eq!((stats.accepted, stats.acked, stats.failed), (300, 300, 0));
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn only_the_record_that_is_too_large_fails() {
    let cluster = Cluster::builder()
        .topic("events", 1)
        .max_message_bytes(2_000)
        .start()
        .await
        .unwrap();
    let producer = Producer::builder(&client(&cluster.bootstrap()), "events")
        .start()
        .await
        .unwrap();
    let mut receipts = Vec::new();
    for number in 0..50u32 {
        let size = if number == 20 { 5_000 } else { 100 };
        receipts.push(
            producer
                .enqueue(Record::new().value(vec![b'x'; size]))
                .await
                .unwrap(),
        );
    }
    for (number, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(receipt.await.is_err(), number == 20, "record {number}");
    }
    assert_eq!(values(&cluster, 0).len(), 49);
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn an_unknown_topic_is_said_at_the_start() {
    let cluster = cluster(1).await;
    let error = Producer::builder(&client(&cluster.bootstrap()), "nowhere")
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn a_topic_that_grows_gets_calls_in_its_new_partitions() {
    let cluster = cluster(1).await;
    let client = Client::builder([cluster.bootstrap()])
        .min_metadata_refresh_interval(Duration::ZERO)
        .build()
        .unwrap();
    let producer = Producer::builder(&client, "events")
        .partitioner(Strategy::RoundRobin)
        .partition_count_refresh_interval(Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    cast_numbers(&producer, 0..10).await;
    cluster.add_partitions("events", 3).unwrap();
    let grown = async {
        while producer.partition_count() != Some(3) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, grown).await.unwrap();
    cast_numbers(&producer, 10..40).await;
    producer.flush(SOON).await.unwrap();
    let counts: Vec<usize> = (0..3)
        .map(|partition| values(&cluster, partition).len())
        .collect();
    assert_eq!(counts, [20, 10, 10]);
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_record_for_a_partition_that_is_not_there_holds_up_nobody_else() {
    let cluster = cluster(1).await;
    cluster.kill(1).await.unwrap();
    let directory = tempdir().unwrap();
    let start = async || {
        let mut config = wolff::ProducerConfig::default();
        config.start_timeout = Duration::from_millis(100);
        config.replayq_dir = Some(directory.path().to_owned());
        let client = client(&cluster.bootstrap());
        Producer::builder(&client, "events")
            .config(config)
            .start()
            .await
            .unwrap()
    };
    let producer = start().await;
    let nowhere = Record::new().value("nowhere");
    let named = producer.call(nowhere).partition(PartitionId(9));
    let _receipt = named.send().await.unwrap();
    cast_numbers(&producer, 0..10).await;
    producer.stop(Duration::ZERO).await.unwrap();

    cluster.revive(1).await.unwrap();
    let producer = start().await;
    let arrived = cluster.wait_for(|stats| stats.records() == 10);
    tokio::time::timeout(SOON, arrived).await.unwrap();
    assert_eq!(values(&cluster, 0), numbers(0..10));
    producer.stop(Duration::ZERO).await.unwrap();
}
