//! Every accepted call ends once, for everybody who waits for it, whatever becomes of the producer.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::tempdir;
use tokio::runtime::{Handle, Runtime};
use wolff::{Client, DeliveryError, PartitionId, Producer, ProducerBuilder, Receipt, Record};
use wolff_testbroker::Cluster;

const SOON: Duration = Duration::from_secs(30);

/// So long that nothing is sent before a flush.
const FOR_EVER: Duration = Duration::from_secs(3600);

async fn cluster() -> Cluster {
    let cluster = Cluster::builder().topic("events", 2).start().await;
    cluster.expect("a cluster on loopback")
}

fn builder(cluster: &Cluster) -> ProducerBuilder {
    let client = Client::builder([cluster.bootstrap()]).build().unwrap();
    Producer::builder(&client, "events")
}

fn record() -> Record {
    Record::new().key("key").value("value")
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

#[tokio::test]
async fn clones_of_a_receipt_resolve_in_every_task() {
    let cluster = cluster().await;
    let producer = builder(&cluster)
        .max_linger(FOR_EVER)
        .start()
        .await
        .unwrap();
    let receipt = producer.send(record()).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (started, has_started) = tokio::sync::oneshot::channel();
            let mut receipt = receipt.clone();
            let task = tokio::spawn(async move {
                // Polled once before the flush, so that it is woken by the end.
                let first = std::future::poll_fn(|context| {
                    let polled = std::pin::Pin::new(&mut receipt).poll(context);
                    std::task::Poll::Ready(polled.is_pending())
                });
                started.send(first.await).unwrap();
                receipt.await
            });
            (task, has_started)
        })
        .collect();
    let mut ends = Vec::new();
    for (task, has_started) in tasks {
        assert!(in_time(has_started).await.unwrap(), "it lingers");
        ends.push(task);
    }
    producer.flush(SOON).await.unwrap();
    let first = in_time(receipt).await.unwrap();
    for end in ends {
        assert_eq!(in_time(end).await.unwrap(), Ok(first));
    }
    producer.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn calls_of_a_dropped_producer_end() {
    let base = tempdir().unwrap();
    for directory in [None, Some(base.path())] {
        let cluster = cluster().await;
        let mut builder = builder(&cluster).max_linger(FOR_EVER);
        if let Some(directory) = directory {
            builder = builder.replayq_dir(directory);
        }
        let producer = builder.start().await.unwrap();
        let (sender, receiver) = mpsc::channel();
        let call = producer.call(record()).callback(move |delivery| {
            sender.send(delivery).unwrap();
        });
        let receipt = call.send().await.unwrap();
        drop(producer);
        let end = in_time(receipt).await.unwrap_err();
        let expected = match directory {
            Some(_) => matches!(end, DeliveryError::LeftInQueue),
            None => matches!(end, DeliveryError::Failed(_) | DeliveryError::InDoubt(_)),
        };
        assert!(expected, "{end:?}");
        let called = tokio::task::spawn_blocking(move || receiver.recv_timeout(SOON));
        assert_eq!(called.await.unwrap().unwrap(), Err(end));
    }
}

#[test]
fn calls_of_a_producer_whose_runtime_has_ended_end() {
    let base = tempdir().unwrap();
    let brokers = Runtime::new().unwrap();
    let cluster = brokers.block_on(cluster());
    for directory in [None, Some(base.path())] {
        let runtime = Runtime::new().unwrap();
        let (sender, receiver) = mpsc::channel();
        let (producer, receipt): (Producer, Receipt) = runtime.block_on(async {
            let mut builder = builder(&cluster).max_linger(FOR_EVER);
            if let Some(directory) = directory {
                builder = builder.replayq_dir(directory);
            }
            let producer = builder.start().await.unwrap();
            let call = producer.call(record()).callback(move |delivery| {
                sender.send(delivery).unwrap();
            });
            let receipt = call.send().await.unwrap();
            (producer, receipt)
        });
        drop(runtime);
        drop(producer);
        let end = receipt.wait(SOON).unwrap_err();
        assert!(!matches!(end, wolff::WaitError::TimedOut(_)), "{end:?}");
        assert!(receiver.recv_timeout(SOON).unwrap().is_err());
    }
}

#[test]
fn callbacks_run_in_the_producers_runtime_and_delay_no_other_partition() {
    let base = tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = cluster().await;
        let builder = builder(&cluster).replayq_dir(base.path());
        let producer = builder.start().await.unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        let home = Handle::current().id();
        let (sender, receiver) = mpsc::channel();
        let slow = move |_| {
            sender.send(Handle::current().id()).unwrap();
            wait.recv_timeout(SOON).unwrap();
        };
        let to = |partition| producer.call(record()).partition(PartitionId(partition));
        let blocked = to(0).callback(slow).send().await.unwrap();
        in_time(blocked).await.unwrap();
        let called_in = tokio::task::spawn_blocking(move || receiver.recv_timeout(SOON));
        assert_eq!(called_in.await.unwrap().unwrap(), home);
        // The callback of partition 0 has not returned: appends and acknowledgements of both go on.
        for number in 0..50 {
            let receipt = in_time(to(number % 2).send()).await.unwrap();
            in_time(receipt).await.unwrap();
        }
        go_on.send(()).unwrap();
        assert!(producer.stop(SOON).await.unwrap().is_nothing());
    });
}

#[tokio::test]
async fn a_callback_that_panics_is_counted_and_hurts_nobody_else() {
    let cluster = cluster().await;
    let producer = builder(&cluster).start().await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    for number in 0..20 {
        let calls = calls.clone();
        let call = producer.call(record()).callback(move |_| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert_ne!(number, 7, "the application's");
        });
        drop(call.enqueue().await.unwrap());
    }
    producer.flush(SOON).await.unwrap();
    producer.stop(Duration::ZERO).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 20);
    let stats = producer.stats();
    assert_eq!((stats.acked, stats.callback_panics), (20, 1));
}
