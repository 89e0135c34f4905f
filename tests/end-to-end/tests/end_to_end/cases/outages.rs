//! Brokers that die, come back, and hand over leadership.

use std::path::Path;
use std::time::Duration;

use wolff::{Producer, ProducerBuilder, Strategy};

use super::workload::{all_acked, assert_exactly, flush, record, send};
use crate::site::Site;

pub(crate) async fn an_outage_neither_loses_nor_doubles_nor_reorders_in_memory(site: Site) {
    outage(&site, None).await;
}

pub(crate) async fn an_outage_neither_loses_nor_doubles_nor_reorders_on_disk(site: Site) {
    let directory = tempfile::tempdir().unwrap();
    outage(&site, Some(directory.path())).await;
}

fn on_disk(builder: ProducerBuilder, directory: Option<&Path>) -> ProducerBuilder {
    match directory {
        Some(directory) => builder.replayq_dir(directory),
        None => builder,
    }
}

async fn outage(site: &Site, directory: Option<&Path>) {
    const THIRD: u64 = 5_000;
    let topic = site.topic("outage", 3).await;
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .max_batch_bytes(20_000);
    let producer = on_disk(builder, directory).start().await.unwrap();
    let mut receipts = send(&producer, 0..100).await;
    receipts.remove(0).await.unwrap();

    // The brokers die while requests are on their way.
    let sender = producer.clone();
    let sending = tokio::spawn(async move { send(&sender, 100..THIRD).await });
    site.go_down().await;
    receipts.extend(sending.await.unwrap());
    receipts.extend(send(&producer, THIRD..2 * THIRD).await);
    site.come_back().await;
    receipts.extend(send(&producer, 2 * THIRD..3 * THIRD).await);

    flush(&producer).await;
    all_acked(receipts).await;
    let stats = producer.stats();
    assert_eq!(
        (stats.accepted, stats.acked, stats.failed),
        (3 * THIRD, 3 * THIRD, 0)
    );
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, 3 * THIRD);
}

pub(crate) async fn the_leader_moves_again_and_again(site: Site) {
    const STEP: u64 = 500;
    let topic = site.topic("leader-moves", 2).await;
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .max_batch_bytes(5_000);
    let producer = builder.start().await.unwrap();
    let mut receipts = Vec::new();
    for step in 0..10 {
        receipts.extend(send(&producer, step * STEP..(step + 1) * STEP).await);
        site.move_leader(&topic, i32::try_from(step % 2).unwrap());
    }
    flush(&producer).await;
    all_acked(receipts).await;
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, 10 * STEP);
}

pub(crate) async fn started_while_nobody_answers(site: Site) {
    start_without_brokers(&site, None).await;
}

pub(crate) async fn started_while_nobody_answers_with_a_queue_on_disk(site: Site) {
    let directory = tempfile::tempdir().unwrap();
    start_without_brokers(&site, Some(directory.path())).await;
}

async fn start_without_brokers(site: &Site, directory: Option<&Path>) {
    const RECORDS: u64 = 3_000;
    let topic = site.topic("started-alone", 5).await;
    site.go_down().await;
    let client = site.client();
    let mut config = wolff::ProducerConfig::default();
    config.start_timeout = Duration::from_millis(200);
    let builder = Producer::builder(&client, topic.as_str())
        .config(config)
        .partitioner(Strategy::MURMUR2);
    let producer = on_disk(builder, directory).start().await.unwrap();
    assert_eq!(producer.partition_count(), None);
    let mut receipts = send(&producer, 0..RECORDS / 2).await;
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.try_delivery().is_none())
    );
    site.come_back().await;
    for number in RECORDS / 2..RECORDS {
        receipts.push(producer.enqueue(record(number)).await.unwrap());
    }
    flush(&producer).await;
    assert_eq!(producer.partition_count(), Some(5));
    let mut partitions = Vec::new();
    for receipt in receipts {
        partitions.push(receipt.await.unwrap().partition.0);
    }
    let stats = producer.stats();
    assert_eq!(
        (stats.accepted, stats.acked, stats.failed, stats.unrouted),
        (RECORDS, RECORDS, 0, 0)
    );
    producer.stop(Duration::ZERO).await.unwrap();
    let found = site.read(&topic).await;
    assert_exactly(&found, RECORDS);
    for message in found.values().flatten() {
        assert_eq!(
            partitions[usize::try_from(message.number()).unwrap()],
            message.partition
        );
    }
}
