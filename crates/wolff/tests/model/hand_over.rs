//! The end of a batch, handed over from the partition to receipts and callbacks.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::future::block_on;
use shuttle::thread;
use wolff_codec::{Offset, PartitionId};
use wolff_core::{DoubtReason, FailReason, Outcome, StorageError};

use crate::check;
use crate::completion::batch::BatchCompletion;
use crate::completion::delivery::{Delivery, Observer};

fn batch() -> Arc<BatchCompletion> {
    BatchCompletion::new(Some(PartitionId(0)))
}

fn acked(offset: i64) -> Outcome {
    Outcome::acked(Some(Offset(offset)))
}

/// Waits for a call as a receipt does; a lost waking is a deadlock, which the checker reports.
fn wait(batch: &BatchCompletion, first_record: u32) -> Delivery {
    let mut waiter = None;
    block_on(poll_fn(|context| {
        batch.poll(first_record, &mut waiter, Some(context.waker()))
    }))
}

#[test]
fn receipts_and_their_clones_are_woken_whenever_they_began_to_wait() {
    check(|| {
        let batch = batch();
        let waiting: Vec<_> = [0, 0, 1, 2]
            .into_iter()
            .map(|first| {
                let batch = batch.clone();
                thread::spawn(move || wait(&batch, first).unwrap().offset)
            })
            .collect();
        let _ = batch.complete(0, 2, &acked(10));
        let _ = batch.complete(2, 1, &acked(20));
        let ends: Vec<_> = waiting
            .into_iter()
            .map(|waits| waits.join().unwrap())
            .collect();
        let expected = [10, 10, 11, 20].map(|offset| Some(Offset(offset)));
        assert_eq!(ends, expected);
    });
}

#[test]
fn a_receipt_that_leaves_takes_no_waking_from_another() {
    check(|| {
        let batch = batch();
        let (stays, leaves) = (batch.clone(), batch.clone());
        let stays = thread::spawn(move || wait(&stays, 0).is_ok());
        let leaves = thread::spawn(move || {
            let mut waiter = None;
            block_on(poll_fn(|context| {
                let _ = leaves.poll(0, &mut waiter, Some(context.waker()));
                std::task::Poll::Ready(())
            }));
            if let Some(waiter) = waiter {
                leaves.leave(0, waiter);
            }
        });
        let _ = batch.complete(0, 1, &acked(1));
        leaves.join().unwrap();
        assert!(stays.join().unwrap());
    });
}

#[test]
fn a_batch_that_is_given_up_while_it_ends_ends_once() {
    check(|| {
        let batch = batch();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        batch.observe(
            0,
            Observer::new(Box::new(move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
            })),
        );
        let (given_up, waits) = (batch.clone(), batch.clone());
        let gives_up = thread::spawn(move || {
            let called = given_up.give_up(&Outcome::InDoubt(DoubtReason::Dropped));
            called
                .0
                .into_iter()
                .for_each(|(callback, end)| callback(end));
        });
        let waits = thread::spawn(move || wait(&waits, 0));
        let called = batch.complete(0, 1, &acked(1));
        called
            .0
            .into_iter()
            .for_each(|(callback, end)| callback(end));
        gives_up.join().unwrap();
        let seen = waits.join().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!(seen, wait(&batch, 0), "the end stays what it was");
    });
}

#[test]
fn a_call_that_is_not_stored_ends_by_its_verb_or_by_its_callback_and_never_by_both() {
    check(|| {
        let batch = batch();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let observer = Observer::new(Box::new(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        }));
        batch.observe(0, observer.sender_waits());
        let dropped = batch.clone();
        // The verb is dropped while the queue fails to store the call.
        let verb = thread::spawn(move || {
            let called = dropped.sender_left(0);
            called.into_iter().for_each(|(callback, end)| callback(end));
        });
        let full = StorageError::new(std::io::Error::other("full"));
        let failed = Outcome::Failed(FailReason::QueueUnavailable(full));
        let called = batch.complete(0, 1, &failed);
        called
            .0
            .into_iter()
            .for_each(|(callback, end)| callback(end));
        verb.join().unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}
