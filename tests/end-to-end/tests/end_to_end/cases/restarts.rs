//! Restarts: the next producer sends what the last one left on disk.

use std::time::Duration;

use wolff::{DeliveryError, Producer, ProducerConfig, Strategy};

use super::workload::{FOR_EVER, assert_exactly, flush, record, send};
use crate::site::Site;

const RECORDS: u64 = 2_000;

/// The next producer on the directory sends what it finds and then its own.
async fn carry_on(site: &Site, topic: &str, directory: &std::path::Path, left: u64) {
    let client = site.client();
    let builder = Producer::builder(&client, topic)
        .partitioner(Strategy::MURMUR2)
        .replayq_dir(directory);
    let producer = builder.start().await.unwrap();
    let receipts = send(&producer, RECORDS..RECORDS + 100).await;
    flush(&producer).await;
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let stats = producer.stats();
    assert_eq!((stats.accepted, stats.acked, stats.failed), (100, 100, 0));
    assert_eq!((stats.replayed, stats.replay_failed), (left, 0));
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(topic).await, RECORDS + 100);

    // Nothing is left for a third one.
    let producer = Producer::builder(&client, topic)
        .replayq_dir(directory)
        .start()
        .await
        .unwrap();
    flush(&producer).await;
    assert_eq!(producer.stats().replayed, 0);
    producer.stop(Duration::ZERO).await.unwrap();
}

async fn left_in_queue(receipts: Vec<wolff::Receipt>) {
    for receipt in receipts {
        assert_eq!(receipt.await, Err(DeliveryError::LeftInQueue));
    }
}

async fn lingering(site: &Site, topic: &str, directory: &std::path::Path) -> Producer {
    let client = site.client();
    let builder = Producer::builder(&client, topic)
        .partitioner(Strategy::MURMUR2)
        .replayq_dir(directory)
        .max_linger(FOR_EVER);
    builder.start().await.unwrap()
}

pub(crate) async fn what_stop_leaves_on_disk_is_sent_by_the_next_producer(site: Site) {
    let topic = site.topic("left-by-stop", 3).await;
    let directory = tempfile::tempdir().unwrap();
    let producer = lingering(&site, &topic, directory.path()).await;
    let receipts = send(&producer, 0..RECORDS).await;
    producer.stop(Duration::ZERO).await.unwrap();
    left_in_queue(receipts).await;
    assert!(site.read(&topic).await.is_empty());
    carry_on(&site, &topic, directory.path(), RECORDS).await;
}

pub(crate) async fn what_an_outage_leaves_on_disk_is_sent_by_the_next_producer(site: Site) {
    let topic = site.topic("left-by-outage", 3).await;
    let directory = tempfile::tempdir().unwrap();
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .replayq_dir(directory.path());
    let producer = builder.start().await.unwrap();
    let acked = send(&producer, 0..RECORDS / 2).await;
    flush(&producer).await;
    for receipt in acked {
        receipt.await.unwrap();
    }
    site.go_down().await;
    let receipts = send(&producer, RECORDS / 2..RECORDS).await;
    producer.stop(Duration::ZERO).await.unwrap();
    left_in_queue(receipts).await;
    site.come_back().await;
    carry_on(&site, &topic, directory.path(), RECORDS / 2).await;
}

pub(crate) async fn what_a_dropped_runtime_leaves_on_disk_is_sent_by_the_next_producer(site: Site) {
    let topic = site.topic("left-by-drop", 3).await;
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (client, path, name) = (site.client(), directory.path().to_owned(), topic.clone());
    let produced = runtime.spawn(async move {
        let builder = Producer::builder(&client, name)
            .partitioner(Strategy::MURMUR2)
            .replayq_dir(path)
            .max_linger(FOR_EVER);
        let producer = builder.start().await.unwrap();
        // Queued, but nobody waits for the end of it.
        drop(send(&producer, 0..RECORDS).await);
        producer
    });
    let producer = produced.await.unwrap();
    tokio::task::spawn_blocking(move || drop(runtime))
        .await
        .unwrap();
    drop(producer);
    carry_on(&site, &topic, directory.path(), RECORDS).await;
}

pub(crate) async fn a_queue_without_routes_survives_a_restart(site: Site) {
    let topic = site.topic("unrouted-restart", 3).await;
    let directory = tempfile::tempdir().unwrap();
    site.go_down().await;
    let mut config = ProducerConfig::default();
    config.start_timeout = Duration::from_millis(200);
    config.partitioner = Strategy::MURMUR2;
    config.replayq_dir = Some(directory.path().to_owned());
    let client = site.client();
    let producer = Producer::builder(&client, topic.as_str())
        .config(config)
        .start()
        .await
        .unwrap();
    let mut receipts = Vec::new();
    for number in 0..RECORDS {
        receipts.push(producer.send(record(number)).await.unwrap());
    }
    producer.stop(Duration::ZERO).await.unwrap();
    left_in_queue(receipts).await;
    site.come_back().await;
    carry_on(&site, &topic, directory.path(), RECORDS).await;
}
