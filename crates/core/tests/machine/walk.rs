//! Batches in doubt that a leader does not recognise: those behind them tell, on one connection.

use std::time::Duration;

use wolff_codec::{ErrorCode, Offset};
use wolff_core::{Event, Outcome, Transmit};

use crate::doubt::{LOG_OF_FOUR, three_in_flight};
use crate::support::Stage;

#[test]
fn what_a_restarted_broker_has_and_does_not_remember_makes_no_duplicate() {
    for applied in 0..=3 {
        let (mut stage, sent) = three_in_flight();
        for transmit in sent.iter().take(applied) {
            stage.broker.produce(transmit);
        }
        stage.disconnect();
        stage.broker.restart();
        stage.drain();
        assert_eq!(stage.log(), LOG_OF_FOUR);
        for call in 0..4 {
            // The offsets of what the broker forgot are not known any more.
            let is_forgotten = (1..applied).contains(&call);
            let base_offset = (!is_forgotten).then_some(Offset(i64::try_from(call).unwrap()));
            assert_eq!(stage.end_of(call), Some(Outcome::acked(base_offset)));
        }
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
    }
}

/// Two of three in doubt are in Kafka, and the broker remembers the second: the first is refused,
/// and the second is sent.
fn walking_over_the_second_of_two() -> (Stage, Transmit) {
    let (mut stage, sent) = three_in_flight();
    for transmit in sent.iter().take(2) {
        stage.broker.produce(transmit);
    }
    stage.disconnect();
    stage.broker.restart();
    stage.advance(Duration::from_secs(60));
    let first = stage.next_send().unwrap();
    assert_eq!(stage.apply(&first), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let witness = stage.next_send().unwrap();
    assert_eq!(witness.stamp, sent[1].stamp);
    assert!(stage.next_send().is_none(), "one at a time");
    (stage, witness)
}

#[test]
fn a_broker_that_calls_the_last_one_a_duplicate_has_those_before_it() {
    let (mut stage, witness) = walking_over_the_second_of_two();
    stage.answer_code(&witness, ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    assert_eq!(stage.completions.len(), 3, "all but the third in doubt");
    stage.drain();
    assert_eq!(stage.log(), LOG_OF_FOUR);
}

#[test]
fn a_leader_that_changes_during_the_walk_is_walked_from_the_start() {
    for is_lost in [false, true] {
        let (mut stage, witness) = walking_over_the_second_of_two();
        if is_lost {
            stage.handle(Event::RequestFailed {
                batch: witness.batch,
                not_sent: false,
            });
        } else {
            stage.answer_code(&witness, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let first = loop {
            match stage.next_send() {
                Some(transmit) => break transmit,
                None => assert!(stage.wait_for_timer()),
            }
        };
        assert!(first.stamp.unwrap().base_sequence < witness.stamp.unwrap().base_sequence);
        stage.apply(&first);
        stage.drain();
        assert_eq!(stage.log(), LOG_OF_FOUR);
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
    }
}

#[test]
fn a_walk_that_an_answer_of_a_lost_connection_began_is_begun_again_on_the_next() {
    let (mut stage, _) = three_in_flight();
    stage.disconnect();
    stage.advance(Duration::from_secs(60));
    let first = stage.next_send().unwrap();
    stage.apply(&first);
    let sent = stage.send_all();
    assert_eq!(sent.len(), 2, "both in doubt, behind a success");
    // The second is refused, and the third has no answer: only the third could tell.
    stage.answer_code(&sent[0], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    stage.disconnect();
    // A leader that knows no producer takes any of them for the first.
    stage.broker.model.forget_producers();
    stage.drain();
    assert_eq!(stage.log(), LOG_OF_FOUR);
}

#[test]
fn a_witness_of_an_earlier_connection_does_not_prove_the_next_leader() {
    let (mut stage, sent) = three_in_flight();
    stage.handle(Event::RequestFailed {
        batch: sent[0].batch,
        not_sent: true,
    });
    // The broker answers the others as if they followed the first.
    for transmit in &sent[1..] {
        stage.answer_code(transmit, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    }
    let again = stage.send_all();
    assert_eq!(again.len(), 1, "the new connection has proven nothing");
    stage.apply(&again[0]);
    stage.drain();
    assert_eq!(stage.log(), LOG_OF_FOUR);
}
