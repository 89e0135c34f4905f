//! Records arrive as they were sent, where they belong.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use wolff::{Compression, CompressionLevel, Producer, Record, RequiredAcks, Strategy};

use super::workload::{all_acked, assert_exactly, flush, key, record, send};
use crate::site::{PATIENCE, Site};

const RECORDS: u64 = 4_000;

const COMPRESSIONS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

pub(crate) async fn each_compression_through_memory(site: Site) {
    each_compression(&site, None).await;
}

pub(crate) async fn each_compression_through_the_queue_on_disk(site: Site) {
    let directory = tempfile::tempdir().unwrap();
    each_compression(&site, Some(directory.path())).await;
}

async fn each_compression(site: &Site, directory: Option<&Path>) {
    let client = site.client();
    for compression in COMPRESSIONS {
        let topic = site.topic("compressions", 4).await;
        let mut builder = Producer::builder(&client, topic.as_str())
            .partitioner(Strategy::MURMUR2)
            .max_linger(Duration::from_millis(5))
            .max_batch_bytes(50_000)
            .compression(compression, CompressionLevel::default());
        if let Some(directory) = directory {
            builder = builder.replayq_dir(directory);
        }
        let producer = builder.start().await.unwrap();
        let mut receipts = Vec::new();
        for number in 0..RECORDS {
            receipts.push(producer.enqueue(record(number)).await.unwrap());
        }
        flush(&producer).await;
        all_acked(receipts).await;
        let stats = producer.stats();
        assert_eq!(
            (stats.accepted, stats.acked, stats.failed, stats.queued),
            (RECORDS, RECORDS, 0, 0),
            "{compression:?}"
        );
        producer.stop(Duration::ZERO).await.unwrap();
        let found = site.read(&topic).await;
        assert_exactly(&found, RECORDS);
        assert_eq!(found.len(), 4, "all partitions are used");
    }
}

pub(crate) async fn acks_of_all_of_the_leader_and_of_nobody(site: Site) {
    let client = site.client();
    for acks in [RequiredAcks::All, RequiredAcks::Leader, RequiredAcks::None] {
        let topic = site.topic("acks", 2).await;
        let builder = Producer::builder(&client, topic.as_str())
            .partitioner(Strategy::MURMUR2)
            .required_acks(acks);
        let producer = builder.start().await.unwrap();
        let receipts = send(&producer, 0..500).await;
        flush(&producer).await;
        for receipt in receipts {
            let ack = receipt.await.unwrap();
            assert_eq!(ack.offset.is_some(), acks != RequiredAcks::None, "{acks:?}");
        }
        producer.stop(Duration::ZERO).await.unwrap();
        // Without acknowledgements nobody says when the broker has them.
        let mut found = site.read(&topic).await;
        while acks == RequiredAcks::None && found.values().map(Vec::len).sum::<usize>() < 500 {
            found = site.read(&topic).await;
        }
        assert_exactly(&found, 500);
    }
}

pub(crate) async fn keys_land_where_librdkafka_puts_them(site: Site) {
    const PARTITIONS: i32 = 7;
    let keys: Vec<Vec<u8>> = (0_u32..600)
        .map(|number| match number % 4 {
            0 => format!("customer-{number}").into_bytes(),
            1 => number.to_be_bytes().to_vec(),
            2 => format!("ключ {number} 🔑").into_bytes(),
            _ => vec![u8::try_from(number % 251).unwrap(); usize::try_from(number / 4).unwrap()],
        })
        .collect();
    let (theirs, ours) = (
        site.topic("keys-theirs", PARTITIONS).await,
        site.topic("keys-ours", PARTITIONS).await,
    );

    let (brokers, topic, sent) = (site.brokers(), theirs.clone(), keys.clone());
    tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("partitioner", "murmur2_random");
        let producer: BaseProducer = config.create().unwrap();
        for key in &sent {
            producer
                .send(BaseRecord::to(&topic).key(&key[..]).payload(""))
                .map_err(|(error, _)| error)
                .unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    })
    .await
    .unwrap();

    let client = site.client();
    let producer = Producer::builder(&client, ours.as_str())
        .partitioner(Strategy::MURMUR2)
        .start()
        .await
        .unwrap();
    for key in &keys {
        let receipt = producer
            .enqueue(Record::new().key(key.clone()).value(""))
            .await
            .unwrap();
        drop(receipt);
    }
    flush(&producer).await;
    producer.stop(Duration::ZERO).await.unwrap();

    let placed = |found: std::collections::BTreeMap<i32, Vec<crate::site::Message>>| -> HashMap<Vec<u8>, i32> {
        found.into_values().flatten().map(|message| (message.key.unwrap(), message.partition)).collect()
    };
    let (theirs, ours) = (
        placed(site.read(&theirs).await),
        placed(site.read(&ours).await),
    );
    assert_eq!(ours, theirs);
    assert_eq!(
        ours.values()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        7
    );
}

pub(crate) async fn null_and_empty_stay_apart_and_headers_and_timestamps_intact(site: Site) {
    let directory = tempfile::tempdir().unwrap();
    for directory in [None, Some(directory.path())] {
        let topic = site.topic("null-and-empty", 1).await;
        let client = site.client();
        let mut builder = Producer::builder(&client, topic.as_str());
        if let Some(directory) = directory {
            builder = builder.replayq_dir(directory);
        }
        let producer = builder.start().await.unwrap();
        let records = [
            Record::new().timestamp_ms(1_700_000_000_001),
            Record::new()
                .key("")
                .value("")
                .timestamp_ms(1_700_000_000_000),
            Record::new().key("k").timestamp_ms(1_700_000_000_500),
            Record::new().value("v").timestamp_ms(1_600_000_000_000),
            Record::new()
                .key("k")
                .value("v")
                .header("a", "1")
                .header("a", "2")
                .header("", "")
                .timestamp_ms(1),
        ];
        for record in &records {
            producer.send_and_wait(record, PATIENCE).await.unwrap();
        }
        // The same as one call, where offsets and timestamps are deltas within a batch.
        producer.send_and_wait(&records, PATIENCE).await.unwrap();
        let before = now_ms();
        producer
            .send_and_wait(Record::new().value("now"), PATIENCE)
            .await
            .unwrap();
        let after = now_ms();
        producer.stop(Duration::ZERO).await.unwrap();

        let mut found = site.read(&topic).await.remove(&0).unwrap();
        let now = found.pop().unwrap().timestamp_ms.unwrap();
        // The producer's clock is coarse.
        assert!(
            (before - 50..=after).contains(&now),
            "{before} {now} {after}"
        );
        assert_eq!(found.len(), 2 * records.len());
        for (message, record) in found.iter().zip(records.iter().chain(&records)) {
            assert_eq!(message.key.as_deref(), record.key.as_deref());
            assert_eq!(message.value.as_deref(), record.value.as_deref());
            assert_eq!(message.timestamp_ms, record.timestamp_ms);
        }
        let headers = [("a", "1"), ("a", "2"), ("", "")]
            .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())));
        assert_eq!(found[4].headers, headers);
        assert!(found[0].headers.is_empty());
    }
}

fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since_epoch.as_millis()).unwrap()
}

pub(crate) async fn an_ack_says_where_the_record_is(site: Site) {
    let topic = site.topic("acks-say-where", 3).await;
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .max_batch_bytes(3_000);
    let producer = builder.start().await.unwrap();
    let receipts = send(&producer, 0..1_000).await;
    flush(&producer).await;
    let mut acks = Vec::new();
    for receipt in receipts {
        let partition = receipt.partition();
        let ack = receipt.await.unwrap();
        assert_eq!(partition, Some(ack.partition));
        acks.push(ack);
    }
    producer.stop(Duration::ZERO).await.unwrap();
    let found = site.read(&topic).await;
    assert_exactly(&found, 1_000);
    for message in found.values().flatten() {
        let ack = acks[usize::try_from(message.number()).unwrap()];
        assert_eq!(
            (ack.partition.0, ack.offset.map(|offset| offset.0)),
            (message.partition, Some(message.offset))
        );
    }
}

pub(crate) async fn the_records_of_a_call_stay_together(site: Site) {
    let topic = site.topic("calls", 4).await;
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::Random)
        .max_batch_bytes(4_000);
    let producer = builder.start().await.unwrap();
    let mut receipts = Vec::new();
    for call in 0..300_u64 {
        let size = call % 7 + 1;
        let records: Vec<Record> = (0..size)
            .map(|index| {
                Record::new()
                    .key(key(call * 10 + index))
                    .value(format!("{} of call", call * 10 + index))
            })
            .collect();
        receipts.push(producer.enqueue(records).await.unwrap());
    }
    flush(&producer).await;
    all_acked(receipts).await;
    producer.stop(Duration::ZERO).await.unwrap();
    let mut calls = 0;
    for messages in site.read(&topic).await.values() {
        let mut left: &[crate::site::Message] = messages;
        while let Some(first) = left.first() {
            let call = first.number() / 10;
            let size = usize::try_from(call % 7 + 1).unwrap();
            for (index, message) in left[..size].iter().enumerate() {
                assert_eq!(message.number(), call * 10 + u64::try_from(index).unwrap());
            }
            left = &left[size..];
            calls += 1;
        }
    }
    assert_eq!(calls, 300);
}
