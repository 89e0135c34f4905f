//! Proofs by answers, and the handling of a batch that was perhaps appended.

use std::time::Duration;

use wolff_codec::{ErrorCode, Offset};
use wolff_core::{
    Answer, Config, DoubtReason, Event, FailReason, Idempotence, Leader, Outcome, Storage, Transmit,
};

use crate::support::{Stage, config, repeated};

pub(crate) const LOG_OF_FOUR: [[u8; 60]; 4] = [[0; 60], [1; 60], [2; 60], [3; 60]];

/// Four batches of one call each: the first acked, the others in flight.
pub(crate) fn three_in_flight() -> (Stage, Vec<Transmit>) {
    three_in_flight_with(config())
}

fn three_in_flight_with(config: Config) -> (Stage, Vec<Transmit>) {
    let mut stage = Stage::new(Config {
        max_batch_bytes: 100,
        ..config
    });
    for number in 0..4u8 {
        stage.send_one(&[number; 60]);
    }
    let proving = stage.next_send().unwrap();
    stage.apply(&proving);
    let sent = stage.send_all();
    assert_eq!(sent.len(), 3);
    (stage, sent)
}

fn stamps(batches: &[Transmit]) -> Vec<Option<wolff_core::Stamp>> {
    batches.iter().map(|batch| batch.stamp).collect()
}

#[test]
fn a_retriable_error_resends_the_same_batches_in_order() {
    let (mut stage, sent) = three_in_flight();
    stage.answer_code(&sent[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    let gap = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
    assert_eq!(stage.apply(&sent[1]), gap);
    assert!(stage.action().is_none(), "not before the last answer is in");
    assert_eq!(stage.apply(&sent[2]), gap);
    assert!(stage.action().is_none(), "not at once");
    assert!(stage.wait_for_timer());
    let again = stage.send_all();
    assert_eq!(stamps(&again), stamps(&sent), "numbered as before");
    for transmit in &again {
        assert_eq!(stage.apply(transmit), ErrorCode::NONE);
    }
    assert_eq!(stage.log(), LOG_OF_FOUR);
}

#[test]
fn an_answer_lost_with_the_link_makes_no_duplicate() {
    let mut stage = Stage::new(config());
    stage.send_one(b"one");
    let transmit = stage.next_send().unwrap();
    stage.broker.produce(&transmit);
    stage.disconnect();
    stage.drain();
    assert_eq!(stage.log(), [b"one"]);
    assert_eq!(stage.end_of(0), Some(Outcome::acked(Some(Offset(0)))));
    let snapshot = stage.snapshot();
    assert_eq!(snapshot.possibly_duplicated_records, 0);
    assert_eq!(snapshot.retried_batches, 1);
}

#[test]
fn errors_after_an_append_leave_one_record_in_the_log_and_no_count() {
    for code in [3, 6, 7, 20, 56, -1] {
        let (mut stage, sent) = three_in_flight();
        for transmit in &sent {
            stage.apply_then_answer(transmit, ErrorCode(code));
        }
        // The leader knows the last one only.
        stage.disconnect();
        stage.broker.restart();
        stage.drain();
        assert_eq!(stage.log(), LOG_OF_FOUR, "{code}");
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0, "{code}");
    }
}

#[test]
fn without_numbers_an_error_after_an_append_is_counted_as_a_possible_duplicate() {
    for code in [3, 6, 7, 20, 56, -1] {
        let mut stage = Stage::new(Config {
            idempotence: Idempotence::Off,
            max_in_flight: 1,
            ..config()
        });
        stage.send_one(b"one");
        let transmit = stage.next_send().unwrap();
        stage.apply_then_answer(&transmit, ErrorCode(code));
        stage.drain();
        assert_eq!(stage.log(), [b"one", b"one"], "{code}");
        assert_eq!(stage.snapshot().possibly_duplicated_records, 1, "{code}");
    }
}

#[test]
fn what_a_cluster_lost_after_acking_it_is_sent_anew_and_counted() {
    let (mut stage, _) = three_in_flight();
    stage.disconnect();
    // It knows the producer as of an earlier state, from which the acked batch is missing.
    stage.broker.model.lose_beyond(Offset(0), 1_000);
    stage.broker.model.rules_mut().unknown_producers =
        wolff_testbroker::partition::UnknownProducers::Never;
    stage.drain();
    assert_eq!(stage.log(), [[1u8; 60], [2; 60], [3; 60]]);
    assert_eq!(stage.snapshot().possibly_duplicated_records, 3);
}

#[test]
fn a_later_batch_acked_behind_a_proof_shows_that_one_in_doubt_is_there() {
    let (mut stage, sent) = three_in_flight();
    stage.apply_then_answer(&sent[0], ErrorCode::REQUEST_TIMED_OUT);
    stage.apply(&sent[1]);
    assert_eq!(stage.end_of(1), Some(Outcome::acked(None)), "no offset");
    assert_eq!(stage.end_of(2), Some(Outcome::acked(Some(Offset(2)))));
    stage.apply(&sent[2]);
    stage.drain();
    assert_eq!(
        stage.snapshot().retried_batches,
        0,
        "nothing was sent twice"
    );
}

#[test]
fn where_the_topic_is_in_question_a_later_batch_proves_nothing() {
    for code in [3, 100, 103] {
        let (mut stage, sent) = three_in_flight();
        stage.answer_code(&sent[0], ErrorCode(code));
        stage.answer(
            &sent[1],
            Answer {
                base_offset: Some(Offset(0)),
                ..Answer::default()
            },
        );
        assert_eq!(stage.end_of(1), None, "{code}");
    }
}

#[test]
fn a_definitive_refusal_of_a_batch_in_doubt_fails_nothing_and_renumbers_nothing() {
    for code in [10, 29, 32, 87, 2, 44, 17, 43] {
        let (mut stage, sent) = three_in_flight();
        for transmit in &sent {
            stage.broker.produce(transmit);
        }
        stage.disconnect();
        let first = stage.next_send().unwrap();
        stage.answer_code(&first, ErrorCode(code));
        assert_eq!(stage.end_of(1), None, "{code}");
        stage.drain();
        assert_eq!(stage.log(), LOG_OF_FOUR, "{code}");
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0, "{code}");
        assert_eq!(stage.snapshot().records.failed, 0, "{code}");
    }
}

#[test]
fn a_fresh_identity_has_one_batch_in_flight_until_its_first_success() {
    let (mut stage, sent) = three_in_flight();
    // The leader says that it does not know the producer.
    for transmit in &sent {
        stage.answer_code(transmit, ErrorCode::UNKNOWN_PRODUCER_ID);
    }
    assert!(stage.wait_for_timer());
    let again = stage.send_all();
    assert_eq!(again.len(), 1, "the second could shut out the first");
    let (old, new) = (sent[0].stamp.unwrap(), again[0].stamp.unwrap());
    assert!(!old.is_same_identity(&new));
    stage.answer_code(&again[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    stage.drain();
    assert_eq!(stage.log(), LOG_OF_FOUR);
}

#[test]
fn requests_that_were_not_sent_are_not_in_doubt_however_many_failed_before() {
    let (mut stage, sent) = three_in_flight_with(Config {
        idempotence: Idempotence::Auto,
        ..config()
    });
    stage.broker.produce(&sent[0]);
    for (transmit, not_sent) in sent.iter().zip([false, true, true]) {
        stage.handle(Event::RequestFailed {
            batch: transmit.batch,
            not_sent,
        });
    }
    // Whoever gives up idempotence now counts the first only.
    stage.settle();
    stage
        .driver
        .machine()
        .abandon(&FailReason::Stopped, DoubtReason::Stopped);
    stage.settle();
    let left = (1..4).map(|call| stage.end_of(call).unwrap());
    assert!(left.into_iter().all(|end| end == Outcome::LeftInQueue));
}

#[test]
fn in_memory_only_what_was_perhaps_appended_ends_in_doubt() {
    let (mut stage, sent) = three_in_flight_with(Config {
        storage: Storage::Memory,
        ..config()
    });
    for (transmit, not_sent) in sent.iter().zip([false, true, true]) {
        stage.handle(Event::RequestFailed {
            batch: transmit.batch,
            not_sent,
        });
    }
    stage
        .driver
        .machine()
        .abandon(&FailReason::Stopped, DoubtReason::Stopped);
    stage.settle();
    assert_eq!(
        stage.end_of(1),
        Some(Outcome::InDoubt(DoubtReason::Stopped))
    );
    for call in [2, 3] {
        assert_eq!(
            stage.end_of(call),
            Some(Outcome::Failed(FailReason::Stopped))
        );
    }
}

#[test]
fn answers_that_are_due_on_a_link_are_awaited_when_one_request_fails() {
    let (mut stage, sent) = three_in_flight();
    stage.broker.produce(&sent[0]);
    stage.handle(Event::RequestFailed {
        batch: sent[0].batch,
        not_sent: false,
    });
    assert!(stage.action().is_none(), "the link is not dropped yet");
    assert_eq!(stage.apply(&sent[1]), ErrorCode::NONE);
    assert_eq!(stage.apply(&sent[2]), ErrorCode::NONE);
    assert!(matches!(
        stage.action(),
        Some(wolff_core::Action::Disconnect)
    ));
    stage.drain();
    assert_eq!(stage.log(), LOG_OF_FOUR);
    assert_eq!(stage.snapshot().retried_batches, 1);
}

#[test]
fn an_answer_that_is_not_believed_takes_no_numbers_from_what_is_in_flight() {
    for answered_first in [true, false] {
        let (mut stage, sent) = three_in_flight();
        let answers: Vec<Answer> = sent
            .iter()
            .map(|transmit| stage.broker.produce(transmit))
            .collect();
        // Where the first record is: another batch was taken for it.
        let impossible = Answer {
            base_offset: Some(Offset(0)),
            ..Answer::default()
        };
        if answered_first {
            stage.answer(&sent[0], impossible.clone());
            assert!(stage.next_send().is_none(), "not before all is quiet");
        }
        for (transmit, answer) in sent.iter().zip(answers).skip(1) {
            stage.answer(transmit, answer);
        }
        if !answered_first {
            stage.answer(&sent[0], impossible);
        }
        assert_eq!(stage.snapshot().broker_data_loss, 1);
        stage.drain();
        let counted = stage.snapshot().possibly_duplicated_records;
        assert_eq!(repeated(&stage, 4), counted, "{answered_first}");
        assert_eq!(stage.snapshot().records.acked, 4);
    }
}

#[test]
fn behind_a_batch_that_was_perhaps_appended_and_is_given_up_nothing_is_disproved() {
    const DAY_MS: i64 = 24 * 3_600_000;
    for names_it in [false, true] {
        let (mut stage, sent) = three_in_flight();
        for transmit in &sent {
            stage.broker.produce(transmit);
        }
        stage.disconnect();
        // So old now that the broker may have forgotten them, and it has.
        assert!(matches!(
            stage.action(),
            Some(wolff_core::Action::Connect { .. })
        ));
        stage.handle(Event::Connected(Leader {
            now_ms: 1_000 + DAY_MS,
            ..Stage::leader()
        }));
        let first = stage.next_send().unwrap();
        let code = if names_it { 87 } else { 10 };
        stage.answer_code(&first, ErrorCode(code));
        stage.drain();
        let snapshot = stage.snapshot();
        assert_eq!(snapshot.records.in_doubt, 1);
        assert!(
            repeated(&stage, 4) <= snapshot.possibly_duplicated_records,
            "{} records are there twice: {snapshot:?}",
            repeated(&stage, 4)
        );
    }
}

#[test]
fn what_is_so_old_that_its_producer_may_be_forgotten_proves_nothing() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let mut stage = Stage::new(Config {
        max_batch_bytes: 100,
        ..config()
    });
    for number in 0..4u8 {
        stage.send_one(&[number; 60]);
    }
    assert!(matches!(
        stage.action(),
        Some(wolff_core::Action::Connect { .. })
    ));
    stage.handle(Event::Connected(Leader {
        now_ms: 1_000 + DAY_MS,
        ..Stage::leader()
    }));
    let first = stage.next_send().unwrap();
    stage.apply(&first);
    // Its producer may be forgotten at once: a second batch in flight could shut out the next.
    let sent = stage.send_all();
    assert_eq!(sent.len(), 1);
    stage.broker.model.forget_producers();
    stage.answer_code(&sent[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    stage.drain();
    assert_eq!(stage.log(), LOG_OF_FOUR);
}

#[test]
fn an_old_batch_is_not_proven_by_one_that_was_acked_behind_a_fresh_one() {
    const DAY_MS: i64 = 24 * 3_600_000;
    let (mut stage, sent) = three_in_flight();
    // The last answer comes when the others have become old.
    stage.answer_code(&sent[0], ErrorCode::REQUEST_TIMED_OUT);
    stage
        .host
        .now
        .set(stage.now() + Duration::from_millis(u64::try_from(DAY_MS).unwrap()));
    stage.answer(
        &sent[1],
        Answer {
            base_offset: Some(Offset(1)),
            ..Answer::default()
        },
    );
    assert_eq!(stage.end_of(1), None, "its producer was perhaps forgotten");
}

#[test]
fn what_is_no_identity_is_requested_again_after_a_delay() {
    for (id, epoch) in [(-1, 0), (7, -1), (i64::MIN, i16::MIN)] {
        let mut stage = Stage::new(config());
        stage.send_one(b"one");
        let mut requests = 0;
        while requests < 3 {
            match stage.action() {
                Some(wolff_core::Action::Connect { .. }) => stage.connected(),
                Some(wolff_core::Action::Request(_)) => {
                    requests += 1;
                    stage.handle(Event::IdentityGranted {
                        producer_id: wolff_codec::ProducerId(id),
                        epoch: wolff_codec::ProducerEpoch(epoch),
                    });
                    assert!(stage.action().is_none(), "not at once");
                }
                None => assert!(stage.wait_for_timer()),
                other => panic!("{other:?}"),
            }
        }
        stage.drain();
        assert_eq!(stage.log(), [b"one"]);
    }
}
