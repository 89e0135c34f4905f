//! A producer, in the words of these tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wolff::client::codec::records::RecordRef;
use wolff::{Call, PartitionId, Producer, Record, SendAndWaitError, SendError};

use super::ends::{Counts, End, Refusal, Stopped};
use super::waiting::within;
use super::world::{padded, with_causes};

/// A producer that runs.
#[derive(Clone, Debug)]
pub(crate) struct Handle(pub(super) Producer);

/// A call that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Receipt(wolff::Receipt);

impl Receipt {
    /// Waits for the end of the call, which must come.
    #[track_caller]
    pub(crate) fn end(self) -> impl Future<Output = End> {
        let delivery = within("the end of a call", self.0);
        async move { End::of(delivery.await) }
    }

    /// The end, as a plain future.
    pub(crate) async fn ended(self) -> End {
        End::of(self.0.await)
    }

    /// The partition, once it is known.
    pub(crate) fn partition(&self) -> Option<i32> {
        self.0.partition().map(|partition| partition.0)
    }

    /// The end, if it has come.
    pub(crate) fn end_so_far(&self) -> Option<End> {
        self.0.try_delivery().map(End::of)
    }
}

fn record(value: &str) -> Record {
    Record::new().key(value.to_owned()).value(padded(value))
}

impl Handle {
    /// Has a record accepted, and queued.
    pub(crate) async fn send(&self, value: &str) -> Result<Receipt, Refusal> {
        let sent = self.0.send(record(value)).await.map_err(SendError::from);
        sent.map(Receipt).map_err(|error| Refusal::of(&error))
    }

    /// The same to a partition of the caller's choice.
    pub(crate) async fn send_to(&self, partition: i32, value: &str) -> Result<Receipt, Refusal> {
        let call = self.0.call(record(value)).partition(PartitionId(partition));
        let sent = call.send().await.map_err(SendError::from);
        sent.map(Receipt).map_err(|error| Refusal::of(&error))
    }

    /// Has a record accepted, which must be possible at once.
    pub(crate) async fn accept(&self, value: &str) -> Receipt {
        let accepted = within("room for a call", self.0.enqueue(record(value))).await;
        Receipt(accepted.unwrap())
    }

    /// Has a record with exactly this value accepted.
    pub(crate) async fn accept_bytes(&self, value: impl Into<Vec<u8>>) -> Receipt {
        let record = Record::new().value(value.into());
        Receipt(
            within("room for a call", self.0.enqueue(record))
                .await
                .unwrap(),
        )
    }

    /// The same with a key.
    pub(crate) async fn accept_keyed(&self, key: &str, value: impl Into<Vec<u8>>) -> Receipt {
        let record = Record::new().key(key.to_owned()).value(value.into());
        Receipt(
            within("room for a call", self.0.enqueue(record))
                .await
                .unwrap(),
        )
    }

    /// Has a record with exactly this value accepted and queued.
    pub(crate) async fn send_bytes(&self, value: impl Into<Vec<u8>>) -> Result<Receipt, Refusal> {
        let sent = self.0.send(Record::new().value(value.into())).await;
        let sent = sent.map_err(SendError::from);
        sent.map(Receipt).map_err(|error| Refusal::of(&error))
    }

    /// Hands over a call of three records, of which the last panics when it is looked at for the
    /// nth time, from 0. Returns only if it is not looked at so often.
    pub(crate) async fn send_panicking(&self, value: &str, nth: usize) {
        let call = PanickingCall {
            records: [record(value), record(value), record(value)],
            looks: AtomicUsize::new(0),
            nth,
        };
        drop(self.0.send(call).await.unwrap());
    }

    /// Hands over a record for a partition of the caller's choice without waiting for anything; the
    /// error in words.
    pub(crate) fn try_send_to(&self, partition: i32, value: &str) -> Result<Receipt, String> {
        let call = self.0.call(record(value)).partition(PartitionId(partition));
        let sent = call.try_send().map_err(SendError::from);
        sent.map(Receipt).map_err(|error| with_causes(&error))
    }

    /// Hands over a record without waiting for anything.
    pub(crate) fn try_send(&self, value: &str) -> Result<Receipt, Refusal> {
        let sent = self.0.try_send(record(value)).map_err(SendError::from);
        sent.map(Receipt).map_err(|error| Refusal::of(&error))
    }

    /// Has a record accepted and queued, with a callback for its end.
    pub(crate) async fn send_with(
        &self,
        value: &str,
        callback: impl FnOnce(End) + Send + 'static,
    ) -> Result<(), Refusal> {
        let callback = move |delivery| callback(End::of(delivery));
        let call = self.0.call(record(value)).callback(callback);
        let sent = call.send().await.map_err(SendError::from);
        sent.map(drop).map_err(|error| Refusal::of(&error))
    }

    /// Waits for the ack that long; the error in words, with its causes.
    pub(crate) async fn send_and_wait(&self, value: &str, limit: Duration) -> Result<End, String> {
        match self.0.send_and_wait(record(value), limit).await {
            Ok(ack) => Ok(End::of(Ok(ack))),
            Err(SendAndWaitError::Delivery(error)) => Ok(End::of(Err(error))),
            Err(error) => Err(with_causes(&error)),
        }
    }

    /// Returns whether all that was accepted before has ended in time.
    pub(crate) async fn flush(&self, limit: Duration) -> bool {
        self.0.flush(limit).await.is_ok()
    }

    /// Flushes, which must come to its end.
    pub(crate) async fn flushed(&self) {
        assert!(self.flush(super::SOON).await, "{:#?}", self.counts());
    }

    /// Waits until what was accepted is queued.
    pub(crate) async fn queued(&self) {
        self.0.queued().await;
    }

    /// Stops, waiting a moment for what can still be answered.
    pub(crate) async fn stop(&self) -> Stopped {
        self.stop_within(Duration::from_millis(500)).await
    }

    /// Stops, waiting that long for what can still be answered.
    pub(crate) async fn stop_within(&self, deadline: Duration) -> Stopped {
        let errors = match within("a stop", self.0.stop(deadline)).await {
            Ok(_) => Vec::new(),
            Err(error) => error
                .errors
                .iter()
                .map(|error| with_causes(error))
                .collect(),
        };
        Stopped { errors }
    }

    /// Stops, and returns how many items of earlier runs it leaves.
    pub(crate) async fn left_by_stop(&self) -> u64 {
        let stopped = within("a stop", self.0.stop(Duration::from_millis(500))).await;
        stopped.unwrap().recovered_items
    }

    /// Has a record accepted, as a plain future.
    pub(crate) async fn enqueue(&self, value: &str) {
        drop(self.0.enqueue(record(value)).await);
    }

    /// A call with a partition and a callback, handed over by another verb each, as a plain future.
    pub(crate) async fn prepared(&self, verb: usize, value: &str) {
        let call = self.0.call(record(value)).partition(PartitionId(0));
        let call = call.callback(|_| ());
        match verb {
            0 => drop(call.send().await),
            1 => drop(call.enqueue().await),
            _ => drop(call.send_and_wait(super::SOON).await),
        }
    }

    /// A drain, as a plain future.
    pub(crate) async fn draining(&self) {
        drop(self.0.drain(super::SOON).await);
    }

    /// A stop, as a plain future.
    pub(crate) async fn stopping(&self) {
        drop(self.0.stop(Duration::from_millis(500)).await);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts::of(&self.0.stats())
    }

    pub(crate) fn connected_partitions(&self) -> usize {
        self.0.stats().connected_partitions
    }

    pub(crate) fn partition_count(&self) -> Option<usize> {
        self.0.partition_count()
    }
}

/// A call of three records, of which the last cannot always be had.
struct PanickingCall {
    records: [Record; 3],
    looks: AtomicUsize,
    nth: usize,
}

impl Call for PanickingCall {
    fn records(&self, now_ms: i64) -> impl Iterator<Item = RecordRef<'_>> + Clone {
        self.records
            .iter()
            .enumerate()
            .map(move |(number, record)| {
                if number == 2 && self.looks.fetch_add(1, Ordering::Relaxed) == self.nth {
                    forced_panic();
                }
                RecordRef {
                    timestamp_ms: now_ms,
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    headers: &[],
                }
            })
    }
}

/// A panic of a user's code.
pub(crate) fn forced_panic() -> ! {
    std::panic::panic_any("a panic that a test has asked for")
}
