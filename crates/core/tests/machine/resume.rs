//! Resume: records that a killed run left in doubt are finished under their old sequence numbers,
//! each once.

use wolff_codec::records::Compression;
use wolff_codec::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicId};
use wolff_core::{
    Action, Config, DoubtReason, Event, FailReason, Leader, LeaseOperation, LeasedBatches, Outcome,
    Transmit,
};
use wolff_testbroker::partition::UnknownProducers;

use crate::support::{Stage, config, in_flight, once_each, values_of, with_batches};

fn leader(topic: u8, cluster: u64) -> Leader {
    Leader {
        broker: BrokerId(1),
        epoch: LeaderEpoch(0),
        topic_id: TopicId([topic; 16]),
        cluster,
        now_ms: 1_000,
    }
}

/// Connects to this leader.
fn connect(stage: &mut Stage, leader: Leader) {
    assert!(matches!(stage.action(), Some(Action::Connect { .. })));
    stage.handle(Event::Connected(leader));
}

#[test]
fn whatever_part_of_the_window_was_appended_each_record_is_there_once_and_in_order() {
    // The broker remembers all of them, or after a restart the very last one.
    for restarts in [false, true] {
        for appended in 0..=5 {
            let (mut stage, sent) = in_flight(7);
            assert_eq!(sent.len(), 5);
            for transmit in &sent[..appended] {
                stage.broker.produce(transmit);
            }
            if restarts {
                stage.broker.restart();
            }
            let mut stage = stage.restarted();
            stage.drain();
            assert_eq!(stage.log(), once_each(7), "{restarts} {appended}");
            let snapshot = stage.snapshot();
            assert_eq!(snapshot.possibly_duplicated_records, 0);
            assert_eq!(snapshot.replay.acked, 6);
            assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
        }
    }
}

#[test]
fn one_is_in_flight_until_the_first_success_and_five_after_it() {
    let (stage, sent) = in_flight(9);
    let mut stage = stage.restarted();
    let again = stage.send_all();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].stamp, sent[0].stamp);
    stage.apply(&again[0]);
    let rest = stage.send_all();
    let stamps = |sent: &[Transmit]| -> Vec<_> { sent.iter().map(|sent| sent.stamp).collect() };
    assert_eq!(stamps(&rest), stamps(&sent[1..]));
    for transmit in &rest {
        stage.apply(transmit);
    }
    // What was never stamped belongs to this run's identity.
    let new = stage.next_send().unwrap().stamp.unwrap();
    assert!(!new.is_same_identity(&sent[0].stamp.unwrap()));
    assert_eq!(new.base_sequence, 0);
}

#[test]
fn a_batch_that_is_not_recognised_is_proven_by_the_next_one_on_the_same_connection() {
    let (mut stage, sent) = in_flight(4);
    for transmit in &sent {
        stage.broker.produce(transmit);
    }
    stage.broker.restart();
    let mut stage = stage.restarted();
    for transmit in &sent[..2] {
        let again = stage.send_all();
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].stamp, transmit.stamp);
        assert_eq!(
            stage.apply(&again[0]),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        );
    }
    // Another connection proves nothing of this: it begins with the oldest.
    stage.disconnect();
    let mut codes = Vec::new();
    while let Some(again) = stage.next_send() {
        assert_eq!(again.stamp, sent[codes.len()].stamp);
        codes.push(stage.apply(&again));
    }
    let unknown = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
    assert_eq!(codes, [unknown, unknown, ErrorCode::NONE]);
    assert_eq!(stage.snapshot().replay.acked, 3);
    assert_eq!(stage.log(), once_each(4));
}

#[test]
fn a_kill_in_the_middle_of_it_changes_nothing() {
    for second_kill in 0..6 {
        let (mut stage, sent) = in_flight(7);
        stage.broker.produce(&sent[0]);
        let mut stage = stage.restarted();
        for _ in 0..second_kill {
            if let Some(transmit) = stage.next_send() {
                stage.broker.produce(&transmit);
                if second_kill % 2 == 0 {
                    stage.apply(&transmit);
                }
            }
        }
        let mut stage = stage.restarted();
        stage.drain();
        assert_eq!(stage.log(), once_each(7), "{second_kill}");
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
    }
}

#[test]
fn a_run_that_is_stopped_while_it_reads_them_leaves_them_as_they_were() {
    let (stage, sent) = in_flight(4);
    let mut stage = stage.restarted();
    stage.broker.produce(&sent[0]);
    assert!(matches!(
        stage.driver.machine().poll_action(stage.now()),
        Some(Action::Connect { .. })
    ));
    let now = stage.now();
    stage
        .driver
        .machine()
        .handle(Event::Connected(Stage::leader()), now);
    let reload = stage.driver.machine().poll_lease(now);
    let Some(LeaseOperation::Reload { lease, .. }) = reload else {
        panic!("{reload:?}");
    };
    stage
        .driver
        .machine()
        .abandon(&FailReason::Stopped, DoubtReason::Stopped);
    stage.handle(Event::Leased(lease, LeasedBatches::read(&[])));
    stage.settle();
    let mut stage = stage.restarted();
    assert_eq!(stage.next_send().unwrap().stamp, sent[0].stamp);
    stage.disconnect();
    stage.drain();
    assert_eq!(stage.log(), once_each(4));
}

#[test]
fn a_batch_whose_tag_was_lost_is_sent_although_later_ones_have_theirs() {
    let (stage, sent) = in_flight(4);
    assert_eq!(sent.len(), 3);
    stage.queue.state().lose_oldest_tag();
    let mut stage = stage.restarted();
    stage.drain();
    let mut log = stage.log();
    log.sort();
    assert_eq!(log, once_each(4));
    assert_eq!(stage.snapshot().damaged_records, 0);
    assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
}

/// A later tag may say that the batch is acked, or that another one is to be sent first.
#[test]
fn nothing_is_sent_before_all_of_them_were_read() {
    let (stage, sent) = in_flight(4);
    let mut stage = stage.restarted();
    let now = stage.now();
    let action = stage.driver.machine().poll_action(now);
    assert!(matches!(action, Some(Action::Connect { .. })));
    let connected = Event::Connected(Stage::leader());
    stage.driver.machine().handle(connected, now);
    for read in 0..sent.len() {
        let reload = stage.driver.machine().poll_lease(now);
        let Some(LeaseOperation::Reload { lease, .. }) = reload else {
            panic!("{reload:?}");
        };
        let action = stage.driver.machine().poll_action(now);
        assert!(action.is_none(), "{read} were read: {action:?}");
        let item = stage
            .queue
            .state()
            .items
            .iter()
            .nth(read)
            .map(|(id, item)| (*id, item.clone()));
        let batches = LeasedBatches::read(&[item.unwrap()]);
        stage
            .driver
            .machine()
            .handle(Event::Leased(lease, batches), now);
    }
    assert_eq!(stage.next_send().unwrap().stamp, sent[0].stamp);
    stage.disconnect();
    stage.drain();
    assert_eq!(stage.log(), once_each(4));
}

#[test]
fn what_a_later_stamp_says_is_acked_is_not_sent_again() {
    let mut stage = with_batches(8);
    // Ends are not reported, and so the queue's items are not acknowledged.
    stage.reports = false;
    let mut sent = Vec::new();
    for _ in 0..3 {
        let transmit = stage.next_send().unwrap();
        stage.apply(&transmit);
        sent.push(transmit);
    }
    let last = stage.next_send().unwrap();
    stage.broker.model.forget_producers();
    let mut stage = stage.restarted();
    let again = stage.next_send().unwrap();
    assert_eq!(again.stamp, last.stamp);
    stage.apply(&again);
    stage.drain();
    assert_eq!(stage.log(), once_each(8));
    assert_eq!(stage.snapshot().replay.acked, 8);
}

#[test]
fn the_pieces_of_a_split_keep_their_boundaries_and_their_compression() {
    for compression in [Compression::None, Compression::Lz4] {
        for done in 0..3 {
            let mut stage = Stage::new(Config {
                compression,
                ..config()
            });
            stage.broker.model.rules_mut().max_batch_bytes = 600;
            let values: Vec<Vec<u8>> = (0..16u32)
                .map(|number| {
                    let digest = |at: u32| (number * 31 + at * 7919).wrapping_mul(2_654_435_761);
                    (0..100).map(|at| digest(at).to_be_bytes()[1]).collect()
                })
                .collect();
            for value in &values {
                stage.send_one(value);
            }
            let whole = stage.next_send().unwrap();
            assert_eq!(stage.apply(&whole), ErrorCode::MESSAGE_TOO_LARGE);
            for _ in 0..20 {
                let Some(piece) = stage.next_send() else {
                    assert!(stage.wait_for_timer());
                    continue;
                };
                if stage.snapshot().records.acked > 4 * done {
                    stage.broker.produce(&piece);
                    break;
                }
                stage.apply(&piece);
            }
            let mut next = stage.restarted();
            next.drain();
            assert_eq!(next.log(), values);
            assert_eq!(next.snapshot().possibly_duplicated_records, 0);
        }
    }
}

#[test]
fn a_batch_is_compressed_as_it_was_whatever_the_new_configuration_says() {
    let mut stage = Stage::new(Config {
        compression: Compression::Lz4,
        ..config()
    });
    stage.send_one(&[7; 2_000]);
    let first = stage.next_send().unwrap();
    assert_eq!(first.body.compression(), Compression::Lz4);
    stage.config.compression = Compression::None;
    let mut stage = stage.restarted();
    let again = stage.next_send().unwrap();
    assert_eq!(again.body.compression(), Compression::Lz4);
    assert_eq!(values_of(&again), values_of(&first));
}

#[test]
fn a_topic_that_was_created_anew_gets_everything_and_what_was_in_doubt_is_counted() {
    let mut stage = with_batches(4);
    connect(&mut stage, leader(1, 0));
    stage.send_all();
    let mut stage = stage.restarted();
    connect(&mut stage, leader(2, 0));
    let first = stage.next_send().unwrap();
    assert_eq!(first.stamp.unwrap().base_sequence, 0);
    stage.apply(&first);
    stage.drain();
    assert_eq!(stage.log(), once_each(4));
    assert_eq!(
        stage.snapshot().possibly_duplicated_records,
        4,
        "all that was stamped"
    );
}

#[test]
fn nothing_is_sent_to_another_cluster_while_something_is_in_doubt() {
    let mut stage = with_batches(4);
    connect(&mut stage, leader(1, 77));
    stage.send_all();
    let mut stage = stage.restarted();
    connect(&mut stage, leader(1, 78));
    assert!(stage.action().is_none());
    assert!(stage.snapshot().is_other_cluster);
    // The right one is found again.
    stage.disconnect();
    while stage.next_send().is_none() {
        assert!(stage.wait_for_timer());
    }
    assert!(!stage.snapshot().is_other_cluster);
    stage.disconnect();
    stage.drain();
    assert_eq!(stage.log(), once_each(4));
}

#[test]
fn an_acknowledgement_in_the_place_of_an_earlier_one_is_not_believed() {
    let mut stage = with_batches(3);
    for _ in 0..2 {
        let transmit = stage.next_send().unwrap();
        stage.apply(&transmit);
    }
    // Another batch with the same numbers is there: the broker takes the third one for it.
    let third = stage.next_send().unwrap();
    stage.answer(
        &third,
        wolff_core::Answer {
            base_offset: Some(Offset(1)),
            ..wolff_core::Answer::default()
        },
    );
    assert_eq!(stage.snapshot().records.acked, 2);
    assert_eq!(stage.snapshot().broker_data_loss, 1);
    stage.drain();
    assert_eq!(stage.log(), once_each(3));
    assert!(matches!(
        stage.end_of(2),
        Some(Outcome::Acked {
            possibly_duplicated: true,
            ..
        })
    ));
}

#[test]
fn what_is_so_old_that_its_producer_may_be_forgotten_is_sent_and_counted() {
    const HOUR_MS: i64 = 3_600_000;
    for (hours, counted) in [(11, 0), (13, 3)] {
        let (mut stage, sent) = in_flight(4);
        for transmit in &sent {
            stage.broker.produce(transmit);
        }
        let mut stage = stage.restarted();
        let later = Leader {
            now_ms: 1_000 + hours * HOUR_MS,
            ..Stage::leader()
        };
        connect(&mut stage, later);
        stage.drain();
        // The broker has forgotten nothing: it is there once, which nobody here can know.
        assert_eq!(stage.log(), once_each(4));
        assert_eq!(stage.snapshot().possibly_duplicated_records, counted);
    }
}

#[test]
fn a_leader_that_knows_nothing_is_believed_after_fresh_metadata_only() {
    let (mut stage, sent) = in_flight(4);
    for transmit in &sent {
        stage.broker.produce(transmit);
    }
    let mut stage = stage.restarted();
    // A broker that leads no more refuses all of them.
    for _ in 0..3 {
        let again = stage.next_send().unwrap();
        stage.answer_code(&again, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    }
    while stage.next_send().is_none() {
        assert!(stage.wait_for_timer());
    }
    assert_eq!(stage.refreshes, 1);
    stage.disconnect();
    stage.drain();
    assert_eq!(stage.log(), once_each(4));
    assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
}

#[test]
fn a_broker_that_knows_nothing_of_it_gets_it_anew_and_it_is_counted() {
    let (mut stage, sent) = in_flight(4);
    stage.broker.produce(&sent[0]);
    stage.broker.model.forget_producers();
    stage.broker.model.rules_mut().unknown_producers = UnknownProducers::Never;
    let mut stage = stage.restarted();
    stage.drain();
    assert_eq!(stage.broker.count(&[1; 60]), 2);
    assert_eq!(stage.snapshot().possibly_duplicated_records, 3);
}
