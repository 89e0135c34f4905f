//! Limits: what is too large, too much, or not there.

use std::time::Duration;

use wolff::{
    DeliveryError, FailReason, Overflow, Producer, Record, SendError, StartError, Strategy,
};

use super::workload::{FOR_EVER, assert_exactly, flush, record, send};
use crate::site::{PATIENCE, Site};

pub(crate) async fn only_the_call_that_is_too_large_fails(site: Site) {
    let topic = site
        .topic_with("too-large", 1, &[("max.message.bytes", "20000")])
        .await;
    let client = site.client();
    // Batches far beyond the topic's limit: they have to be split.
    let builder = Producer::builder(&client, topic.as_str())
        .max_linger(FOR_EVER)
        .max_batch_bytes(500_000);
    let producer = builder.start().await.unwrap();
    let mut receipts = send(&producer, 0..1_000).await;
    let too_large = producer
        .send(Record::new().value(vec![b'x'; 40_000]))
        .await
        .unwrap();
    receipts.extend(send(&producer, 1_000..2_000).await);
    flush(&producer).await;
    let error = too_large.await.unwrap_err();
    assert!(
        matches!(
            error,
            DeliveryError::Failed(FailReason::MessageTooLarge { .. })
        ),
        "{error}"
    );
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let stats = producer.stats();
    assert_eq!(
        (stats.accepted, stats.acked, stats.failed),
        (2_001, 2_000, 1)
    );
    assert_eq!(
        stats
            .failures
            .iter()
            .map(|count| count.records)
            .sum::<u64>(),
        1
    );
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, 2_000);
}

pub(crate) async fn an_unknown_topic_is_said_at_the_start(site: Site) {
    let topic = format!("no-such-topic-{}", std::process::id());
    let started = Producer::builder(&site.client(), topic.as_str())
        .start()
        .await;
    let error = started.expect_err("there is no such topic");
    assert!(
        matches!(&error, StartError::UnknownTopic { topic: name } if *name == topic),
        "{error}"
    );
}

pub(crate) async fn a_full_queue_refuses_or_blocks_as_told(site: Site) {
    let topic = site.topic("full", 1).await;
    let client = site.client();
    let builder = || {
        let builder = Producer::builder(&client, topic.as_str())
            .partitioner(Strategy::Fixed(0))
            .replayq_max_total_bytes(10_000);
        builder.max_linger(FOR_EVER)
    };
    let producer = builder().overflow(Overflow::Reject).start().await.unwrap();
    let mut accepted = 0;
    let refused = loop {
        match producer.send(record(accepted)).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.reason, SendError::Full);
    assert_eq!(
        producer.try_send(record(accepted)).unwrap_err().reason,
        SendError::Full
    );
    assert!(
        (30..200).contains(&accepted),
        "{accepted} records in 10,000 bytes"
    );
    flush(&producer).await;
    let receipt = producer.send(record(accepted)).await.unwrap();
    flush(&producer).await;
    receipt.await.unwrap();
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, accepted + 1);

    let producer = builder().overflow(Overflow::Block).start().await.unwrap();
    let mut number = accepted + 1;
    while producer.try_send(record(number)).is_ok() {
        number += 1;
    }
    let blocked = producer.send(record(number));
    tokio::pin!(blocked);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut blocked).await;
    assert!(early.is_err(), "there is no room");
    flush(&producer).await;
    let receipt = tokio::time::timeout(PATIENCE, blocked)
        .await
        .unwrap()
        .unwrap();
    flush(&producer).await;
    receipt.await.unwrap();
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, number + 1);
}
