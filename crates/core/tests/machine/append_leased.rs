//! Batches that are appended, leased and stamped in one write, and leases that are bounded.

use std::time::Duration;

use wolff_codec::ErrorCode;
use wolff_core::{
    Answer, AppendOperation, AppendedLease, Config, DoubtReason, Event, FailReason, Idempotence,
    LeaseNo, LeaseOperation, LeasedBatches, LocalQueue, Outcome,
};

use crate::support::{Fault, Stage, config, sent_later, tags, values_of};

/// A run that has an identity and a link that has proven it.
fn warm(config: Config) -> Stage {
    let mut stage = Stage::new(config);
    stage.send_one(b"first");
    stage.drain();
    stage
}

#[test]
fn a_lone_record_costs_one_write_with_stamps_and_without() {
    for idempotence in [Idempotence::Required, Idempotence::Off] {
        let mut stage = warm(Config {
            idempotence,
            ..config()
        });
        let before = stage.queue.state().writes;
        for number in 0..10u8 {
            stage.send_one(&[number; 60]);
            let transmit = stage.next_send().unwrap();
            assert_eq!(stage.apply(&transmit), ErrorCode::NONE);
        }
        assert_eq!(stage.queue.state().writes - before, 10, "{idempotence:?}");
        stage.drain();
        assert_eq!(stage.log().len(), 11);
    }
}

#[test]
fn fragments_that_wait_in_the_queue_are_leased_with_the_last_one_of_their_batch() {
    let mut stage = warm(Config {
        linger: Duration::from_millis(50),
        ..config()
    });
    let before = stage.queue.state().writes;
    for number in 0..3u8 {
        stage.send_one(&[number; 60]);
        assert!(stage.next_send().is_none(), "it lingers");
    }
    stage.send_one(b"last");
    stage.host.now.set(stage.now() + Duration::from_millis(50));
    let transmit = stage.next_send().unwrap();
    assert_eq!(values_of(&transmit).len(), 4);
    assert_eq!(stage.queue.state().writes - before, 4);
    let tag = tags(&stage).pop().unwrap();
    assert_eq!(tag.batches[0].stamp, transmit.stamp.unwrap());
    assert_eq!(tag.batches[0].record_count, 4);
    assert_eq!(tag.max_timestamp_ms, 1_000);
    stage.apply(&transmit);
    stage.drain();
    assert_eq!(stage.log().len(), 5);
}

#[test]
fn a_range_that_was_handed_over_with_an_append_that_failed_is_never_used() {
    for fault in [Fault::NotDone, Fault::DoneAndInDoubt] {
        let mut stage = warm(config());
        stage.queue.state().faults.tags.push_back(fault);
        let lost = stage.send_one(b"lost");
        assert!(stage.next_send().is_none());
        assert!(matches!(
            stage.end_of(lost),
            Some(Outcome::Failed(FailReason::QueueUnavailable(_)))
        ));
        stage.send_one(b"next");
        let transmit = stage.next_send().unwrap();
        let stamp = transmit.stamp.unwrap();
        assert_eq!((stamp.epoch.0, stamp.base_sequence), (1, 0));
        stage.apply(&transmit);
        stage.drain();
        assert_eq!(stage.log(), [b"first".to_vec(), b"next".to_vec()]);
    }
}

#[test]
fn a_stamp_that_cannot_be_written_is_tried_again_after_a_delay() {
    for idempotence in [Idempotence::Required, Idempotence::Off] {
        let mut stage = warm(Config {
            idempotence,
            ..config()
        });
        stage.queue.state().faults.unleased = 1;
        stage.queue.state().faults.tags = [Fault::NotDone; 5].into();
        stage.send_one(b"second");
        assert!(stage.next_send().is_none());
        assert_eq!(stage.queue.state().faults.tags.len(), 4, "{idempotence:?}");
        stage.drain();
        assert!(stage.queue.state().faults.tags.is_empty());
        assert_eq!(stage.log(), [b"first".to_vec(), b"second".to_vec()]);
    }
}

#[test]
fn where_the_queue_cannot_lease_with_an_append_the_range_is_used_by_the_stamp_that_follows() {
    let mut stage = warm(config());
    stage.queue.state().faults.unleased = 1;
    stage.send_one(b"second");
    let transmit = stage.next_send().unwrap();
    let stamp = transmit.stamp.unwrap();
    assert_eq!((stamp.epoch.0, stamp.base_sequence), (0, 1));
    stage.apply(&transmit);
    stage.drain();
    assert_eq!(stage.log().len(), 2);
}

#[test]
fn a_stamp_whose_identity_is_gone_when_it_is_stored_is_replaced_before_anything_is_sent() {
    let mut stage = warm(config());
    stage.send_one(b"second");
    let second = stage.next_send().unwrap();
    stage.send_one(b"third");
    let now = stage.now();
    let operation = stage.driver.machine().poll_append(now);
    let Some(AppendOperation::AppendLeased {
        payloads,
        from: None,
        tag,
    }) = operation
    else {
        panic!("{operation:?}");
    };
    // While the third is being stored the broker forgets the producer.
    stage.handle(Event::Answered(
        second.batch,
        Answer {
            code: ErrorCode::UNKNOWN_PRODUCER_ID,
            ..Answer::default()
        },
    ));
    let AppendedLease {
        first_item, items, ..
    } = stage
        .queue
        .append_leased(&payloads, None, &tag)
        .unwrap()
        .unwrap();
    // The driver does not know this lease: what it is asked to do with it succeeds.
    stage.handle(Event::AppendedLeased {
        first_item,
        lease: LeaseNo(9),
        batches: LeasedBatches::read(&items.unwrap()),
    });
    assert!(stage.wait_for_timer());
    let mut stamps = Vec::new();
    while stage.snapshot().records.queued > 0 {
        let transmit = stage.next_send().unwrap();
        stamps.push(transmit.stamp.unwrap());
        stage.apply(&transmit);
    }
    assert!(stamps.iter().all(|stamp| stamp.producer_id.0 == 2));
    let sequences: Vec<i32> = stamps.iter().map(|stamp| stamp.base_sequence).collect();
    assert_eq!(sequences, [0, 1]);
    stage.drain();
}

/// Three records of a batch that still grows are in the queue.
fn growing() -> Stage {
    let mut stage = warm(Config {
        linger: Duration::from_millis(50),
        ..config()
    });
    for number in 0..3u8 {
        stage.send_one(&[number; 60]);
        assert!(stage.next_send().is_none(), "it lingers");
    }
    stage
}

#[test]
fn what_was_leased_with_its_append_and_cannot_be_read_is_leased_again_under_other_numbers() {
    let mut stage = growing();
    stage.queue.state().faults.unread = 1;
    stage.send_one(b"last");
    stage.host.now.set(stage.now() + Duration::from_millis(50));
    assert!(stage.next_send().is_none(), "it cannot be read");
    let written = tags(&stage).pop().unwrap().batches[0].stamp;
    let transmit = sent_later(&mut stage);
    let stamp = transmit.stamp.unwrap();
    assert!(
        !stamp.is_same_identity(&written),
        "{stamp:?} after {written:?}"
    );
    assert_eq!(values_of(&transmit).len(), 4);
    stage.apply(&transmit);
    stage.drain();
    assert_eq!(stage.log().len(), 5);
    assert_eq!(stage.snapshot().records.acked, 5);
}

#[test]
fn where_it_cannot_be_given_back_either_the_next_run_sends_it_and_nobody_is_told_that_it_failed() {
    let mut stage = growing();
    {
        let faults = &mut stage.queue.state().faults;
        // As a queue that was closed.
        (faults.unread, faults.releases, faults.leases) = (1, 1, 1_000);
    }
    let last = stage.send_one(b"last");
    stage.host.now.set(stage.now() + Duration::from_millis(50));
    assert!(stage.next_send().is_none());
    assert_eq!(
        stage.end_of(last),
        Some(Outcome::InDoubt(DoubtReason::QueueFailed))
    );
    stage
        .driver
        .machine()
        .abandon(&FailReason::Stopped, DoubtReason::Stopped);
    stage.settle();
    for call in 1..4 {
        assert_eq!(stage.end_of(call), Some(Outcome::LeftInQueue));
    }
    let mut stage = stage.restarted();
    stage.drain();
    assert_eq!(stage.log().len(), 5);
}

#[test]
fn a_batch_is_not_stamped_with_its_append_while_an_earlier_stamp_is_being_written() {
    let mut stage = warm(config());
    stage.queue.state().faults.unleased = 1;
    stage.send_one(b"second");
    stage.driver.run_appends(&stage.host);
    let now = stage.now();
    let leased = stage.driver.machine().poll_lease(now);
    assert!(matches!(
        leased,
        Some(LeaseOperation::Lease { items: Some(1) })
    ));
    let lease = stage.queue.lease(1, &mut |_| false).unwrap().unwrap();
    // The driver does not know this lease: what it is asked to do with it succeeds.
    stage.handle(Event::Leased(LeaseNo(9), LeasedBatches::read(&lease.items)));
    let stamp = stage.driver.machine().poll_lease(now);
    assert!(matches!(
        stamp,
        Some(LeaseOperation::Stamp {
            lease: LeaseNo(9),
            ..
        })
    ));
    stage.send_one(b"third");
    let append = stage.driver.machine().poll_append(now);
    let Some(AppendOperation::Append(payloads)) = append else {
        panic!("it would overtake the stamp of the second: {append:?}");
    };
    let first_item = stage.queue.append(&payloads).unwrap();
    stage.handle(Event::Appended { first_item });
    stage.handle(Event::Stamped(LeaseNo(9)));
    stage.drain();
    assert_eq!(stage.log(), [&b"first"[..], b"second", b"third"]);
}

#[test]
fn a_lease_of_a_previous_run_is_bounded_whatever_its_items_say_about_their_batch() {
    const MEBI: usize = 1024 * 1024;
    let config = Config {
        max_batch_bytes: 40 * MEBI,
        max_unqueued_bytes: 100 * MEBI,
        fragment_bytes: MEBI,
        ..config()
    };
    let mut stage = Stage::new(config);
    stage.broker.model.rules_mut().max_batch_bytes = 100 * MEBI;
    for number in 0..10u8 {
        stage.send_one(&vec![number; 2 * MEBI]);
        stage.settle();
    }
    assert_eq!(stage.queue.len(), 10);
    let mut stage = stage.restarted();
    let mut largest = 0;
    while stage.snapshot().recovered_items > 0 {
        let transmit = stage.next_send().unwrap();
        largest = largest.max(transmit.body.records_bytes());
        stage.apply(&transmit);
    }
    assert!(largest <= 16 * MEBI, "{largest} bytes in one lease");
    stage.drain();
    let values: Vec<u8> = stage.log().iter().map(|value| value[0]).collect();
    assert_eq!(values, (0..10).collect::<Vec<u8>>());
    assert_eq!(stage.snapshot().damaged_records, 0);
}
