//! Doubt across kills: what may be in the log twice is counted, by the run that was killed or by
//! the next one.

use wolff_codec::Offset;
use wolff_core::{Config, DoubtReason, Event, FailReason, Idempotence};
use wolff_testbroker::partition::UnknownProducers;

use crate::support::{Stage, in_flight, once_each, repeated, small_batches};

#[test]
fn a_kill_does_not_forget_that_a_batch_was_sent_before_under_other_numbers() {
    // Killed when so many batches have been sent under the second identity.
    for sent_again in 0..4 {
        let (mut stage, sent) = in_flight(4);
        for transmit in &sent {
            stage.broker.produce(transmit);
        }
        stage.disconnect();
        // The leader has forgotten the producer, and says so on three connections.
        stage.broker.model.forget_producers();
        stage.broker.model.rules_mut().unknown_producers = UnknownProducers::Never;
        // In the log, and never acknowledged.
        let mut unanswered = 0;
        while unanswered < sent_again {
            let Some(transmit) = stage.next_send() else {
                assert!(stage.wait_for_timer());
                continue;
            };
            let answer = stage.broker.produce(&transmit);
            let old = sent[0].stamp.unwrap();
            if transmit.stamp.unwrap().is_same_identity(&old) {
                stage.answer(&transmit, answer);
                continue;
            }
            unanswered += 1;
            if unanswered < sent_again {
                stage.answer(&transmit, answer);
            }
        }
        let before = stage.snapshot().possibly_duplicated_records;
        let mut stage = stage.restarted();
        stage.drain();
        let counted = before + stage.snapshot().possibly_duplicated_records;
        assert!(
            repeated(&stage, 4) <= counted,
            "{sent_again}: {} are there twice, {counted} are counted",
            repeated(&stage, 4)
        );
    }
}

#[test]
fn without_idempotence_what_was_in_flight_at_a_kill_is_counted_by_the_next_run() {
    let config = Config {
        idempotence: Idempotence::Off,
        max_in_flight: 1,
        ..small_batches()
    };
    for is_appended in [false, true] {
        let mut stage = Stage::new(config.clone());
        for number in 0..3u8 {
            stage.send_one(&[number; 60]);
        }
        let first = stage.next_send().unwrap();
        if is_appended {
            stage.broker.produce(&first);
        }
        let mut stage = stage.restarted();
        stage.drain();
        assert_eq!(stage.broker.count(&[0; 60]), 1 + usize::from(is_appended));
        assert_eq!(stage.snapshot().possibly_duplicated_records, 1);
    }
}

#[test]
fn without_idempotence_a_clean_stop_leaves_nothing_to_be_counted() {
    let config = Config {
        idempotence: Idempotence::Off,
        max_in_flight: 3,
        ..small_batches()
    };
    let mut stage = Stage::new(config);
    for number in 0..3u8 {
        stage.send_one(&[number; 60]);
    }
    let sent = stage.send_all();
    stage.handle(Event::RequestFailed {
        batch: sent[0].batch,
        not_sent: true,
    });
    for transmit in &sent[1..] {
        stage.handle(Event::RequestFailed {
            batch: transmit.batch,
            not_sent: true,
        });
    }
    stage
        .driver
        .machine()
        .abandon(&FailReason::Stopped, DoubtReason::Stopped);
    stage.settle();
    assert_eq!(stage.queue.open_leases(), 0);
    let mut stage = stage.restarted();
    stage.drain();
    assert_eq!(stage.log(), once_each(3));
    assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
}

#[test]
fn what_is_in_doubt_is_counted_where_deleted_records_took_the_brokers_memory_of_it() {
    for is_killed in [false, true] {
        let (mut stage, sent) = in_flight(7);
        assert_eq!(sent.len(), 5);
        for transmit in &sent {
            stage.broker.produce(transmit);
        }
        stage.disconnect();
        stage.broker.model.delete_records(Offset(6));
        stage.broker.model.forget_producers();
        if is_killed {
            stage = stage.restarted();
        }
        stage.drain();
        // They were there, were deleted, and are there again.
        assert_eq!(stage.log(), once_each(7)[1..]);
        let counted = stage.snapshot().possibly_duplicated_records;
        assert!((5..=6).contains(&counted), "{counted}, killed: {is_killed}");
    }
}

#[test]
fn a_log_whose_head_was_deleted_before_what_was_acked_last_is_no_reason_to_doubt() {
    let (mut stage, sent) = in_flight(4);
    for transmit in &sent {
        stage.broker.produce(transmit);
    }
    stage.disconnect();
    stage.broker.model.delete_records(Offset(0));
    let mut stage = stage.restarted();
    stage.drain();
    assert_eq!(stage.log(), once_each(4));
    assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
}
