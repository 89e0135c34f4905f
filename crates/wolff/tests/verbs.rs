//! The verbs of a producer: what each waits for, and what comes back from a refused call.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wolff::{
    BlockingError, BlockingProducer, Client, Overflow, PartitionId, PreparedCall, Producer,
    ProducerBuilder, Receipt, Record, Rejected, SendAndWaitError, SendError, StartError, WaitError,
    WithinRuntime,
};
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

#[tokio::test]
async fn a_refused_call_comes_back_with_its_records() {
    let cluster = cluster().await;
    let builder = builder(&cluster).overflow(Overflow::Reject);
    let builder = builder.replayq_max_total_bytes(5_000).max_linger(FOR_EVER);
    let producer = builder.start().await.unwrap();
    let full = loop {
        if let Err(rejected) = producer.try_send(record()) {
            break rejected;
        }
    };
    assert_eq!(full.reason, SendError::Full);
    assert_eq!(full.into_call(), record());

    let named = producer.call(record()).partition(PartitionId(7));
    let Rejected { reason, call, .. } = named.send().await.unwrap_err();
    let (partition, count) = (PartitionId(7), Some(2));
    assert_eq!(reason, SendError::InvalidPartition { partition, count });
    assert_eq!(call, record());

    let empty = producer.enqueue(Vec::new()).await.unwrap_err();
    assert_eq!(SendError::from(empty), SendError::Empty);
    producer.stop(Duration::ZERO).await.unwrap();
    let stopped = producer.send_and_wait(record(), SOON).await.unwrap_err();
    let SendAndWaitError::Rejected(rejected) = stopped else {
        panic!("{stopped}");
    };
    assert_eq!(
        (rejected.reason, rejected.call),
        (SendError::Stopped, record())
    );
}

#[tokio::test]
async fn a_wait_that_times_out_says_whether_the_call_was_accepted() {
    let cluster = cluster().await;
    let builder = builder(&cluster).max_linger(FOR_EVER);
    let builder = builder.replayq_max_total_bytes(5_000);
    let producer = builder.start().await.unwrap();
    let timed_out = producer.send_and_wait(record(), Duration::ZERO).await;
    let Err(SendAndWaitError::TimedOut { receipt, .. }) = timed_out else {
        panic!("it lingers");
    };
    while producer
        .call(record())
        .partition(PartitionId(0))
        .try_send()
        .is_ok()
    {}
    let call = producer.call(record()).partition(PartitionId(0));
    let refused = call.send_and_wait(Duration::from_millis(1)).await;
    let Err(SendAndWaitError::Rejected(rejected)) = refused else {
        panic!("there is no room");
    };
    let timeout = Duration::from_millis(1);
    assert_eq!(rejected.reason, SendError::TimedOut(timeout));
    producer.flush(Duration::MAX).await.unwrap();
    assert_eq!(receipt.await.unwrap().partition.0 / 2, 0);
    assert!(producer.drain(SOON).await.unwrap().is_nothing());
}

#[test]
fn plain_threads_send_wait_flush_and_stop() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (cluster, producer) = runtime.block_on(async {
        let cluster = cluster().await;
        let producer = builder(&cluster).start().await.unwrap();
        (cluster, producer.blocking())
    });
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let producer = producer.clone();
            std::thread::spawn(move || {
                let receipts: Vec<Receipt> =
                    (0..100).map(|_| producer.send(record()).unwrap()).collect();
                for receipt in receipts {
                    receipt.wait(SOON).unwrap();
                }
                producer.send_and_wait(record(), Duration::MAX).unwrap();
            })
        })
        .collect();
    senders
        .into_iter()
        .for_each(|sender| sender.join().unwrap());
    drop(producer.enqueue(record()).unwrap());
    producer.flush(SOON).unwrap();
    producer.queued().unwrap();
    assert!(producer.stop(SOON).unwrap().is_nothing());
    assert_eq!(producer.stats().acked, 405);
    drop(cluster);
}

#[tokio::test]
async fn blocking_verbs_refuse_a_thread_of_a_runtime_and_hand_the_records_back() {
    let cluster = cluster().await;
    let producer = builder(&cluster).start().await.unwrap();
    let blocking = producer.blocking();
    let rejected = blocking.send(record()).unwrap_err();
    assert!(matches!(rejected.reason, SendError::WithinRuntime(_)));
    assert_eq!(rejected.call, record());
    assert!(matches!(
        blocking.stop(SOON),
        Err(BlockingError::WithinRuntime(WithinRuntime { .. }))
    ));
    let receipt = producer.send(record()).await.unwrap();
    assert!(matches!(
        receipt.wait(SOON),
        Err(WaitError::WithinRuntime(_))
    ));
    receipt.await.unwrap();
    producer.stop(Duration::ZERO).await.unwrap();
}

#[test]
fn a_start_outside_of_a_runtime_is_an_error() {
    let client = Client::builder(["localhost:9092"]).build().unwrap();
    let mut start = pin!(Producer::builder(&client, "events").start());
    let polled = start.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(StartError::NoRuntime))));
}

#[test]
fn handles_and_futures_can_be_moved_and_shared_between_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>(_: &T) {}
    is_send_and_sync::<Producer>();
    is_send_and_sync::<BlockingProducer>();
    is_send_and_sync::<ProducerBuilder>();
    is_send_and_sync::<Receipt>();
    is_send_and_sync::<SendAndWaitError<Record>>();
    is_send_and_sync::<StartError>();
    fn futures(producer: &Producer, builder: ProducerBuilder) {
        fn call(producer: &Producer) -> PreparedCall<'_, Record> {
            producer.call(Record::new()).callback(drop)
        }
        is_send(&call(producer));
        is_send(&call(producer).send());
        is_send(&call(producer).enqueue());
        is_send(&call(producer).send_and_wait(SOON));
        is_send(&producer.send(Record::new()));
        is_send(&producer.enqueue(Record::new()));
        is_send(&producer.send_and_wait(Record::new(), SOON));
        is_send(&producer.flush(SOON));
        is_send(&producer.queued());
        is_send(&producer.drain(SOON));
        is_send(&producer.stop(SOON));
        is_send(&builder.start());
    }
    let _ = futures;
}
