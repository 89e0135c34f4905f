//! Promises of the producer's methods.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wolff::{DeliveryError, FailReason, Producer, SendError, Strategy};

use super::workload::{FOR_EVER, assert_exactly, flush, record, send};
use crate::site::{PATIENCE, Site};

pub(crate) async fn flush_ends_linger_and_waits_for_the_acknowledgements(site: Site) {
    let topic = site.topic("flush", 3).await;
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .max_linger(FOR_EVER);
    let producer = builder.start().await.unwrap();
    let receipts = send(&producer, 0..100).await;
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.try_delivery().is_none()),
        "they linger"
    );
    flush(&producer).await;
    assert!(
        receipts
            .iter()
            .all(|receipt| matches!(receipt.try_delivery(), Some(Ok(_)))),
        "all have ended"
    );
    assert_exactly(&site.read(&topic).await, 100);
    // A flush is over: what comes later lingers again.
    let later = producer.send(record(100)).await.unwrap();
    let early = producer.flush(Duration::ZERO).await;
    assert!(early.is_err() || later.try_delivery().is_some());
    flush(&producer).await;
    later.await.unwrap();
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, 101);
}

pub(crate) async fn nothing_is_accepted_or_called_back_after_stop(site: Site) {
    let topic = site.topic("stop", 2).await;
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .max_linger(FOR_EVER);
    let producer = builder.start().await.unwrap();
    let receipts = send(&producer, 0..50).await;
    let calls = Arc::new(AtomicU64::new(0));
    for number in 50..100 {
        let calls = calls.clone();
        let count = move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
        };
        let _receipt = producer
            .call(record(number))
            .callback(count)
            .send()
            .await
            .unwrap();
    }
    producer.stop(Duration::ZERO).await.unwrap();
    let called = calls.load(Ordering::SeqCst);
    assert_eq!(called, 50, "every call has come to its end");
    for receipt in receipts {
        assert_eq!(
            receipt.await,
            Err(DeliveryError::Failed(FailReason::Stopped))
        );
    }
    assert_eq!(
        producer.send(record(0)).await.unwrap_err().reason,
        SendError::Stopped
    );
    assert_eq!(
        producer.enqueue(record(0)).await.unwrap_err().reason,
        SendError::Stopped
    );
    assert_eq!(
        producer.try_send(record(0)).unwrap_err().reason,
        SendError::Stopped
    );
    let counting = calls.clone();
    let refused = producer.call(record(0)).callback(move |_| {
        counting.fetch_add(1, Ordering::SeqCst);
    });
    let rejected = refused.send().await.unwrap_err();
    assert_eq!(rejected.reason, SendError::Stopped);
    assert_eq!(rejected.call, record(0), "the records come back");
    // Stopping again changes nothing.
    producer.stop(Duration::ZERO).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), called);
}

pub(crate) async fn callbacks_come_once_each_and_in_order(site: Site) {
    const RECORDS: u64 = 2_000;
    let directory = tempfile::tempdir().unwrap();
    for directory in [None, Some(directory.path())] {
        let topic = site.topic("callbacks", 1).await;
        let client = site.client();
        let mut builder = Producer::builder(&client, topic.as_str()).max_batch_bytes(3_000);
        if let Some(directory) = directory {
            builder = builder.replayq_dir(directory);
        }
        let producer = builder.start().await.unwrap();
        let called = Arc::new(Mutex::new(Vec::new()));
        for number in 0..RECORDS {
            let called = called.clone();
            let tell = move |delivery: wolff::Delivery| {
                called
                    .lock()
                    .push((number, delivery.unwrap().offset.unwrap().0))
            };
            let _receipt = producer
                .call(record(number))
                .callback(tell)
                .send()
                .await
                .unwrap();
        }
        flush(&producer).await;
        producer.stop(Duration::ZERO).await.unwrap();
        let expected: Vec<(u64, i64)> = (0..RECORDS).zip(0..).collect();
        assert_eq!(*called.lock(), expected);
        assert_exactly(&site.read(&topic).await, RECORDS);
    }
}

pub(crate) async fn send_sync_returns_with_the_acknowledgement(site: Site) {
    let topic = site.topic("send-sync", 1).await;
    let producer = Producer::builder(&site.client(), topic.as_str())
        .start()
        .await
        .unwrap();
    for number in 0..20 {
        let ack = producer
            .send_and_wait(record(number), PATIENCE)
            .await
            .unwrap();
        assert_eq!(
            (ack.partition.0, ack.offset.map(|offset| offset.0)),
            (0, i64::try_from(number).ok())
        );
    }
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, 20);
}

pub(crate) async fn dropped_futures_lose_nothing(site: Site) {
    let topic = site.topic("dropped", 2).await;
    let directory = tempfile::tempdir().unwrap();
    let client = site.client();
    let builder = Producer::builder(&client, topic.as_str())
        .partitioner(Strategy::MURMUR2)
        .replayq_dir(directory.path());
    let producer = builder.start().await.unwrap();
    for number in 0..1_000 {
        // Polled once: the call is accepted, and whatever it waits for then is left alone.
        let send = producer.send(record(number));
        tokio::pin!(send);
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(send.as_mut().poll(context)))
            .await;
    }
    flush(&producer).await;
    assert_eq!(producer.stats().acked, 1_000);
    producer.stop(Duration::ZERO).await.unwrap();
    assert_exactly(&site.read(&topic).await, 1_000);
}
