//! Flush and stop: who is told what, and when.

use std::time::Duration;

use wolff_core::{
    Action, AppendOperation, Config, DoubtReason, Event, FailReason, LeaseNo, LeaseOperation,
    LeasedBatches, Opening, Outcome, Partition, Recovered, Refused, Storage,
};

use crate::support::{Stage, config};

fn four_batches(storage: Storage) -> Stage {
    let mut stage = Stage::new(Config {
        max_batch_bytes: 100,
        storage,
        ..config()
    });
    for number in 0..4u8 {
        stage.send_one(&[number; 60]);
    }
    let proving = stage.next_send().unwrap();
    stage.apply(&proving);
    stage
}

fn abandon(stage: &mut Stage) {
    stage
        .driver
        .machine()
        .abandon(&FailReason::Stopped, DoubtReason::Stopped);
    stage.settle();
}

#[test]
fn a_stop_with_a_queue_on_disk_awaits_what_is_in_flight_and_leaves_the_rest() {
    let mut stage = four_batches(Storage::Disk);
    let sent = [stage.next_send().unwrap(), stage.next_send().unwrap()];
    stage.driver.machine().wind_down();
    assert_eq!(stage.send(&[b"late"]).unwrap_err(), Refused::Stopping);
    assert!(stage.next_send().is_none(), "nothing is sent any more");
    assert!(!stage.driver.machine().is_wound_down());
    for transmit in &sent {
        stage.apply(transmit);
    }
    assert!(stage.driver.machine().is_wound_down());
    abandon(&mut stage);
    for call in 0..3 {
        assert!(matches!(stage.end_of(call), Some(Outcome::Acked { .. })));
    }
    assert_eq!(stage.end_of(3), Some(Outcome::LeftInQueue));
    assert_eq!(stage.queue.len(), 1, "the acked ones are out of the queue");
    assert_eq!(stage.snapshot().held_bytes, 0);
    // The next run sends it, and nothing twice.
    let mut stage = stage.restarted();
    stage.drain();
    assert_eq!(stage.log().len(), 4);
}

#[test]
fn what_is_in_memory_ends_as_failed_or_in_doubt() {
    let mut stage = four_batches(Storage::Memory);
    stage.next_send().unwrap();
    stage.driver.machine().stop_accepting();
    assert_eq!(stage.send(&[b"late"]).unwrap_err(), Refused::Stopping);
    assert!(stage.next_send().is_some(), "it goes on until the deadline");
    abandon(&mut stage);
    for call in [1, 2] {
        assert_eq!(
            stage.end_of(call),
            Some(Outcome::InDoubt(DoubtReason::Stopped))
        );
    }
    assert_eq!(stage.end_of(3), Some(Outcome::Failed(FailReason::Stopped)));
    assert_eq!(stage.snapshot().held_bytes, 0);
}

#[test]
fn a_stop_ends_the_linger() {
    let mut stage = Stage::new(Config {
        linger: Duration::from_secs(10),
        ..config()
    });
    stage.send_one(b"one");
    assert!(stage.next_send().is_none());
    stage.driver.machine().stop_accepting();
    let transmit = stage.next_send().expect("at once");
    stage.apply(&transmit);
    assert_eq!(stage.log(), [b"one"]);
}

#[test]
fn a_flush_waits_for_the_calls_before_it_and_not_for_as_many_others() {
    let mut stage = Stage::new(config());
    for value in [b"a", b"b", b"c"] {
        stage.send_one(value);
    }
    stage.settle();
    let calls = stage.driver.machine().flush();
    assert_eq!(calls, 3);
    // Later calls end first, since the queue cannot take them.
    stage.queue.state().faults.appends = 1;
    for value in [b"d", b"e", b"f"] {
        stage.send_one(value);
    }
    stage.settle();
    assert_eq!(stage.snapshot().calls.failed, 3);
    assert!(!stage.driver.machine().is_flushed(calls));
    stage.drain();
    assert!(stage.driver.machine().is_flushed(calls));
    assert!(stage.driver.machine().is_flushed(6));
}

#[test]
fn a_flush_waits_for_what_previous_runs_left() {
    let mut stage = Stage::new(config());
    stage.send_one(b"old");
    stage.settle();
    let mut stage = stage.restarted();
    let calls = stage.driver.machine().flush();
    assert!(!stage.driver.machine().is_flushed(calls));
    stage.drain();
    assert!(stage.driver.machine().is_flushed(calls));
}

#[test]
fn a_link_that_is_lost_during_a_stop_is_not_made_again() {
    let mut stage = four_batches(Storage::Disk);
    stage.next_send().unwrap();
    stage.driver.machine().wind_down();
    stage.disconnect();
    assert!(stage.driver.machine().is_wound_down());
    assert!(stage.action().is_none());
    assert!(!stage.wait_for_timer());
    abandon(&mut stage);
    assert_eq!(stage.end_of(1), Some(Outcome::LeftInQueue));
}

#[test]
fn ends_are_reported_before_their_items_are_acknowledged() {
    let mut stage = Stage::new(config());
    stage.reports = false;
    stage.send_one(b"one");
    let transmit = stage.next_send().unwrap();
    stage.apply(&transmit);
    assert!(stage.end_of(0).is_some());
    stage.settle();
    assert_eq!((stage.queue.len(), stage.queue.state().acks), (1, 0));
    stage.report();
    stage.settle();
    assert_eq!((stage.queue.len(), stage.queue.state().acks), (0, 1));
}

/// A machine without a driver, so that operations can be under way while other things happen.
fn bare(storage: Storage) -> (Partition<u32>, std::time::Instant) {
    let config = Config {
        storage,
        ..config()
    };
    let machine = Partition::new(&config, Recovered::default());
    (machine, std::time::Instant::now())
}

fn accept(machine: &mut Partition<u32>, now: std::time::Instant, value: &[u8]) {
    let record = wolff_codec::records::RecordRef {
        timestamp_ms: 1_000,
        value: Some(value),
        ..wolff_codec::records::RecordRef::default()
    };
    let opening = || Opening {
        token: 1,
        now,
        now_ms: 1_000,
    };
    let memory = |_| bytes::BytesMut::new();
    machine
        .accept(std::iter::once(record), true, opening, memory)
        .unwrap();
}

fn outcomes(machine: &mut Partition<u32>) -> Vec<Outcome> {
    std::iter::from_fn(|| machine.poll_end())
        .filter_map(|ended| Some(ended.completion?.outcome))
        .collect()
}

#[test]
fn an_append_that_is_under_way_at_the_end_decides_what_its_records_come_to() {
    let give_up = |machine: &mut Partition<u32>| {
        machine.abandon(&FailReason::Stopped, DoubtReason::Stopped);
    };
    for succeeds in [true, false] {
        let (mut machine, now) = bare(Storage::Disk);
        accept(&mut machine, now, b"one");
        let operation = machine.poll_append(now);
        assert!(matches!(operation, Some(AppendOperation::Append(_))));
        accept(&mut machine, now, b"two");
        give_up(&mut machine);
        assert!(outcomes(&mut machine).is_empty(), "nobody can say yet");
        if succeeds {
            machine.handle(Event::Appended { first_item: 0 }, now);
        } else {
            let error = wolff_core::StorageError::new(std::io::Error::other("full"));
            machine.handle(Event::AppendFailed(error), now);
        }
        let outcomes = outcomes(&mut machine);
        if succeeds {
            let stopped = Outcome::Failed(FailReason::Stopped);
            assert_eq!(outcomes, [Outcome::LeftInQueue, stopped]);
        } else {
            assert!(
                outcomes.iter().all(|outcome| matches!(
                    outcome,
                    Outcome::Failed(FailReason::QueueUnavailable(_))
                )) && outcomes.len() == 2
            );
        }
        assert_eq!(machine.snapshot().records.queued, 0);
        assert_eq!(machine.snapshot().held_bytes, 0);
    }
}

/// Connects a machine that has something to send, and gives it an identity.
fn let_it_send(machine: &mut Partition<u32>, now: std::time::Instant) {
    let Some(Action::Connect { .. }) = machine.poll_action(now) else {
        panic!("it needs a leader");
    };
    machine.handle(Event::Connected(Stage::leader()), now);
    let Some(Action::Request(_)) = machine.poll_action(now) else {
        panic!("it needs an identity");
    };
    let (producer_id, epoch) = (wolff_codec::ProducerId(1), wolff_codec::ProducerEpoch(0));
    machine.handle(Event::IdentityGranted { producer_id, epoch }, now);
}

/// A machine with a batch that is being appended and leased in one; what the end of that is.
fn appending_leased() -> (Partition<u32>, std::time::Instant, Event) {
    let (mut machine, now) = bare(Storage::Disk);
    accept(&mut machine, now, b"one");
    let_it_send(&mut machine, now);
    let Some(AppendOperation::AppendLeased { payloads, from, .. }) = machine.poll_append(now)
    else {
        panic!("it can be sent at once");
    };
    assert_eq!(from, None);
    let items = [(7, payloads[0].clone())];
    let leased = Event::AppendedLeased {
        first_item: 7,
        lease: LeaseNo(0),
        batches: LeasedBatches::read(&items),
    };
    (machine, now, leased)
}

#[test]
fn a_batch_that_was_leased_with_its_append_after_the_end_is_left_in_the_queue() {
    let (mut machine, now, leased) = appending_leased();
    machine.abandon(&FailReason::Stopped, DoubtReason::Stopped);
    assert!(outcomes(&mut machine).is_empty(), "nobody can say yet");
    machine.handle(leased, now);
    assert_eq!(outcomes(&mut machine), [Outcome::LeftInQueue]);
    let operation = machine.poll_lease(now);
    assert!(matches!(
        operation,
        Some(LeaseOperation::Release(LeaseNo(0)))
    ));
    assert!(
        machine.poll_append(now).is_none(),
        "nothing is acknowledged"
    );
    assert!(machine.poll_action(now).is_none(), "nothing is sent");
}

#[test]
fn while_a_batch_is_stamped_with_its_append_nothing_overtakes_it() {
    let (mut machine, now, leased) = appending_leased();
    let body = {
        let Event::AppendedLeased { batches, .. } = &leased else {
            panic!("{leased:?}");
        };
        batches.bodies().next().unwrap().1.clone()
    };
    let foreign = Event::Foreign {
        ticket: wolff_core::Ticket(3),
        body,
        was_sent: false,
    };
    machine.handle(foreign, now);
    assert!(machine.poll_lease(now).is_none());
    assert!(machine.poll_action(now).is_none());
    machine.handle(leased, now);
    let Some(Action::Send(first)) = machine.poll_action(now) else {
        panic!("it is stamped");
    };
    assert_eq!(first.stamp.unwrap().base_sequence, 0);
    let batch = first.batch;
    machine.handle(Event::Answered(batch, wolff_core::Answer::default()), now);
    let Some(Action::Send(second)) = machine.poll_action(now) else {
        panic!("then the other");
    };
    assert_eq!(second.stamp.unwrap().base_sequence, 1);
}

#[test]
fn a_lease_that_comes_after_the_end_is_given_back() {
    let (mut machine, now) = bare(Storage::Disk);
    accept(&mut machine, now, b"one");
    let Some(AppendOperation::Append(payloads)) = machine.poll_append(now) else {
        panic!("it is to be stored");
    };
    machine.handle(Event::Appended { first_item: 7 }, now);
    let_it_send(&mut machine, now);
    assert!(machine.poll_append(now).is_none());
    let operation = machine.poll_lease(now);
    assert!(matches!(
        operation,
        Some(LeaseOperation::Lease { items: Some(1) })
    ));
    machine.abandon(&FailReason::Stopped, DoubtReason::Stopped);
    assert_eq!(outcomes(&mut machine), [Outcome::LeftInQueue]);
    let items = [(7, payloads[0].clone())];
    machine.handle(Event::Leased(LeaseNo(0), LeasedBatches::read(&items)), now);
    assert!(outcomes(&mut machine).is_empty());
    let operation = machine.poll_lease(now);
    assert!(matches!(
        operation,
        Some(LeaseOperation::Release(LeaseNo(0)))
    ));
    assert!(
        machine.poll_append(now).is_none(),
        "nothing is acknowledged"
    );
}

#[test]
fn what_can_never_be_delivered_fails_unless_it_was_perhaps_appended() {
    let mut stage = four_batches(Storage::Disk);
    stage.next_send().unwrap();
    let reason = FailReason::Stopped;
    stage.driver.machine().reject(&reason);
    stage.settle();
    assert_eq!(
        stage.end_of(1),
        Some(Outcome::InDoubt(DoubtReason::Stopped))
    );
    assert_eq!(stage.end_of(3), Some(Outcome::Failed(reason)));
}

#[test]
fn the_rest_of_a_batch_that_is_stored_after_the_end_ends_once() {
    let (mut machine, now) = bare(Storage::Disk);
    accept(&mut machine, now, b"one");
    machine.poll_append(now).unwrap();
    machine.handle(Event::Appended { first_item: 0 }, now);
    accept(&mut machine, now, b"two");
    machine.poll_append(now).unwrap();
    machine.abandon(&FailReason::Stopped, DoubtReason::Stopped);
    machine.handle(Event::Appended { first_item: 1 }, now);
    let ends: Vec<_> = std::iter::from_fn(|| machine.poll_end())
        .map(|ended| ended.completion.unwrap())
        .map(|end| (end.first_record, end.record_count, end.outcome))
        .collect();
    let left = Outcome::LeftInQueue;
    assert_eq!(ends, [(0, 1, left.clone()), (1, 1, left)]);
}
