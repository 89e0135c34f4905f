//! Tests: the ends of a batch's calls, and their receipts and callbacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use wolff_codec::{Offset, PartitionId};
use wolff_core::{DoubtReason, FailReason, Outcome, StorageError};

use super::batch::BatchCompletion;
use super::delivery::{Callback, Delivery, Observer};
use crate::error::DeliveryError;

fn acked(offset: i64) -> Outcome {
    Outcome::acked(Some(Offset(offset)))
}

fn not_stored() -> Outcome {
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    Outcome::Failed(FailReason::QueueUnavailable(StorageError::new(full)))
}

fn end(batch: &BatchCompletion, first_record: u32) -> Option<Delivery> {
    match batch.poll(first_record, &mut None, None) {
        Poll::Ready(delivery) => Some(delivery),
        Poll::Pending => None,
    }
}

fn offset(batch: &BatchCompletion, first_record: u32) -> Option<i64> {
    Some(end(batch, first_record)?.unwrap().offset?.0)
}

/// Observes the call at `first_record`; the counter counts its calls.
fn observe(batch: &BatchCompletion, first_record: u32, sender_waits: bool) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let observer = Observer::new(Box::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    let observer = if sender_waits {
        observer.sender_waits()
    } else {
        observer
    };
    batch.observe(first_record, observer);
    count
}

fn call(called: impl IntoIterator<Item = (Callback, Delivery)>) {
    called
        .into_iter()
        .for_each(|(callback, delivery)| callback(delivery));
}

#[test]
fn each_call_gets_its_own_offset() {
    let batch = BatchCompletion::new(Some(PartitionId(3)));
    assert!(end(&batch, 0).is_none());
    call(batch.complete(0, 5, &acked(100)).0);
    assert_eq!(
        (offset(&batch, 0), offset(&batch, 4)),
        (Some(100), Some(104))
    );
    assert!(end(&batch, 5).is_none());
}

#[test]
fn pieces_of_a_batch_end_each_in_its_own_way() {
    let batch = BatchCompletion::new(Some(PartitionId(0)));
    call(batch.complete(0, 2, &acked(7)).0);
    let too_large = FailReason::MessageTooLarge {
        bytes: 9,
        limit: None,
    };
    call(batch.complete(2, 1, &Outcome::Failed(too_large.clone())).0);
    call(batch.complete(5, 2, &Outcome::LeftInQueue).0);
    call(batch.complete(3, 2, &acked(9)).0);
    assert_eq!(offset(&batch, 1), Some(8));
    assert_eq!(end(&batch, 2), Some(Err(DeliveryError::Failed(too_large))));
    assert_eq!(offset(&batch, 4), Some(10));
    assert_eq!(end(&batch, 6), Some(Err(DeliveryError::LeftInQueue)));
    assert!(end(&batch, 7).is_none());
}

#[test]
fn a_possible_duplicate_is_said_to_be_one() {
    let batch = BatchCompletion::new(Some(PartitionId(0)));
    let outcome = Outcome::Acked {
        base_offset: None,
        possibly_duplicated: true,
    };
    call(batch.complete(0, 2, &outcome).0);
    let ack = end(&batch, 1).unwrap().unwrap();
    assert_eq!((ack.offset, ack.possibly_duplicated), (None, true));
}

#[test]
fn calls_that_were_routed_late_know_their_partition_at_their_end() {
    let batch = BatchCompletion::new(None);
    assert_eq!(batch.partition(4), None);
    call(batch.complete_in(Some(PartitionId(2)), 4, 2, &acked(30)).0);
    assert_eq!(
        (batch.partition(5), batch.partition(6)),
        (Some(PartitionId(2)), None)
    );
    assert_eq!(end(&batch, 5).unwrap().unwrap().partition, PartitionId(2));
}

#[test]
fn a_callback_is_not_called_where_the_verb_returns_the_error() {
    let batch = BatchCompletion::new(Some(PartitionId(0)));
    let counts: Vec<_> = (0..3)
        .map(|first| observe(&batch, first, first != 1))
        .collect();
    call(batch.complete(0, 3, &not_stored()).0);
    // The first verb returns the error; the third was dropped and returns nothing.
    drop(batch.sender_left(0));
    call(batch.sender_left(2));
    let counts: Vec<_> = counts
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .collect();
    assert_eq!(counts, [0, 1, 1]);
    assert!(!batch.is_observed());
}

#[test]
fn what_is_given_up_ends_for_everybody_once() {
    let batch = BatchCompletion::new(Some(PartitionId(0)));
    let counts: Vec<_> = (0..2).map(|first| observe(&batch, first, true)).collect();
    assert!(batch.sender_left(0).is_none());
    call(batch.complete(0, 1, &acked(5)).0);
    call(batch.give_up(&Outcome::InDoubt(DoubtReason::Dropped)).0);
    call(batch.give_up(&Outcome::LeftInQueue).0);
    call(batch.complete(1, 1, &acked(6)).0);
    assert_eq!(offset(&batch, 0), Some(5));
    let in_doubt = Some(Err(DeliveryError::InDoubt(DoubtReason::Dropped)));
    assert_eq!(end(&batch, 1), in_doubt);
    let counts: Vec<_> = counts
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .collect();
    assert_eq!(counts, [1, 1]);
}
