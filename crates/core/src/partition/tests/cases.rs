use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wolff_codec::{ErrorCode, Offset};

use super::harness::{Harness, config};
use crate::action::{Action, QueueOperation, Refused};
use crate::config::{Config, Durability, Idempotence};
use crate::outcome::{FailReason, Outcome};

fn acked(base: i64) -> Outcome {
    Outcome::acked(Some(Offset(base)))
}

#[test]
fn a_record_goes_all_the_way() {
    let mut harness = Harness::new(config());
    let accepted = harness.send(&[b"one"]).unwrap();
    assert!(accepted.wake);
    assert_eq!(
        harness.machine.queued_calls(),
        0,
        "not queued before the queue has it"
    );
    harness.connect();
    assert_eq!(harness.machine.queued_calls(), 1);
    let transmit = harness.next_send().unwrap();
    assert_eq!(transmit.stamp.unwrap().base_sequence, 0);
    harness.apply(&transmit);
    assert_eq!(harness.completions.len(), 1);
    assert_eq!(harness.completions[0].outcome, acked(0));
    assert_eq!(harness.completions[0].token, Some(accepted.token));
    assert!(harness.machine.is_drained() && harness.leases.is_empty() && harness.queue.is_empty());
    assert_eq!(harness.machine.snapshot().held_bytes, 0);
}

#[test]
fn in_memory_a_call_is_queued_at_once() {
    let mut harness = Harness::new(Config {
        durability: Durability::Memory,
        ..config()
    });
    harness.send(&[b"one", b"two"]).unwrap();
    assert_eq!(harness.machine.queued_calls(), 1);
    harness.drain();
    assert_eq!(harness.log(), [b"one", b"two"]);
}

#[test]
fn frames_of_a_batch_that_had_to_wait_are_sent_as_one() {
    let mut harness = Harness::new(config());
    for value in [b"a", b"b", b"c"] {
        harness.send(&[value]).unwrap();
        harness.settle();
    }
    assert_eq!(harness.queue.len(), 3, "a frame for each group commit");
    harness.connect();
    let transmit = harness.next_send().unwrap();
    assert_eq!(transmit.body.record_count(), 3);
    harness.apply(&transmit);
    assert_eq!(harness.log(), [b"a", b"b", b"c"]);
}

#[test]
fn a_batch_is_filled_to_the_last_byte() {
    // A header of 61 bytes, and records of 16.
    let mut harness = Harness::new(Config {
        max_batch_bytes: 61 + 2 * 16,
        ..config()
    });
    let first = harness.send(&[b"123456789"]).unwrap();
    let second = harness.send(&[b"123456789"]).unwrap();
    let third = harness.send(&[b"123456789"]).unwrap();
    assert_eq!((second.token, second.first_record), (first.token, 1));
    assert!(second.wake, "it is full");
    assert_eq!((third.token, third.first_record), (first.token + 1, 0));
}

#[test]
fn a_small_frame_can_wait_and_a_batch_that_is_closed_does_not() {
    let mut harness = Harness::new(Config {
        max_batch_bytes: 61 + 2 * 16,
        ..config()
    });
    let now = harness.now;
    harness.send(&[b"123456789"]).unwrap();
    assert!(harness.machine.poll_queue(now, false).is_none());
    assert_eq!(harness.machine.uncut_bytes(), 16);
    harness.send(&[b"123456789"]).unwrap();
    let operation = harness.machine.poll_queue(now, false);
    assert!(matches!(operation, Some(QueueOperation::Append(frames)) if frames.len() == 1));
}

#[test]
fn the_memory_of_a_batch_comes_back_with_its_lease() {
    let mut harness = Harness::new(config());
    harness.send(&[b"one"]).unwrap();
    harness.connect();
    let transmit = harness.next_send().unwrap();
    let (batch, now) = (transmit.batch, harness.now);
    drop(transmit);
    harness
        .machine
        .handle_answer(batch, ErrorCode::NONE, Some(Offset(0)), now);
    let Some(QueueOperation::Ack(ended)) = harness.machine.poll_queue(now, true) else {
        panic!("the lease is to be acknowledged");
    };
    let bodies: Vec<_> = ended
        .into_iter()
        .filter_map(|ended| Arc::into_inner(ended.body?))
        .collect();
    assert_eq!(bodies.len(), 1, "nobody else has it");
}

#[test]
fn linger_waits_for_more_unless_the_batch_is_full_or_flushed() {
    let linger = Duration::from_millis(50);
    let mut harness = Harness::new(Config {
        linger,
        max_batch_bytes: 400,
        ..config()
    });
    harness.send(&[b"first"]).unwrap();
    harness.connect();
    assert!(harness.action().is_none());
    assert_eq!(
        harness.machine.poll_timeout(harness.now),
        Some(harness.now + linger)
    );
    harness.advance(linger);
    let transmit = harness.next_send().expect("the time is over");
    harness.apply(&transmit);

    harness.send(&[&[7u8; 300]]).unwrap();
    let transmit = harness.next_send().expect("full, no need to wait");
    harness.apply(&transmit);

    harness.send(&[b"last"]).unwrap();
    assert!(harness.action().is_none());
    let calls = harness.machine.flush();
    let transmit = harness.next_send().expect("flushed");
    harness.apply(&transmit);
    assert!(harness.machine.is_flushed(calls));
}

#[test]
fn one_batch_at_a_time_until_a_new_leader_has_taken_one() {
    let mut harness = Harness::new(Config {
        max_batch_bytes: 100,
        ..config()
    });
    for _ in 0..8 {
        harness.send(&[&[1u8; 60]]).unwrap();
    }
    harness.connect();
    let first = harness.next_send().unwrap();
    assert!(harness.next_send().is_none());
    harness.apply(&first);
    let several: Vec<_> = std::iter::from_fn(|| harness.next_send()).collect();
    assert_eq!(several.len(), 5);
}

#[test]
fn a_retriable_error_resends_the_same_batches_in_order() {
    let (mut harness, sent) = three_on_their_way();
    harness.answer(&sent[0], ErrorCode::NOT_ENOUGH_REPLICAS, None);
    assert_eq!(
        harness.apply(&sent[1]),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    assert!(
        harness.action().is_none(),
        "not before the last answer is in"
    );
    assert_eq!(
        harness.apply(&sent[2]),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    assert!(harness.action().is_none(), "not at once");
    let at = harness.machine.poll_timeout(harness.now).unwrap();
    harness.now = at;
    let again: Vec<_> = std::iter::from_fn(|| harness.next_send()).collect();
    let stamps =
        |batches: &[crate::Transmit]| batches.iter().map(|batch| batch.stamp).collect::<Vec<_>>();
    assert_eq!(stamps(&again), stamps(&sent), "numbered as before");
    for transmit in &again {
        assert_eq!(harness.apply(transmit), ErrorCode::NONE);
    }
    assert_eq!(harness.log(), [[0u8; 60], [1; 60], [2; 60], [3; 60]]);
}

#[test]
fn an_answer_lost_with_the_link_makes_no_duplicate() {
    let mut harness = Harness::new(config());
    harness.send(&[b"one"]).unwrap();
    harness.connect();
    let transmit = harness.next_send().unwrap();
    harness.broker.produce(&transmit);
    harness.machine.handle_disconnected(harness.now);
    harness.drain();
    assert_eq!(harness.log(), [b"one"]);
    assert_eq!(harness.completions[0].outcome, acked(0));
    assert_eq!(harness.machine.snapshot().possibly_duplicated_records, 0);
    assert_eq!(harness.machine.snapshot().retried_batches, 1);
}

/// Four batches, the first of which is acked, the others on their way.
fn three_on_their_way() -> (Harness, Vec<crate::Transmit>) {
    let mut harness = Harness::new(Config {
        max_batch_bytes: 100,
        ..config()
    });
    for number in 0..4u8 {
        harness.send(&[&[number; 60]]).unwrap();
    }
    harness.connect();
    let proving = harness.next_send().unwrap();
    harness.apply(&proving);
    let sent: Vec<_> = std::iter::from_fn(|| harness.next_send()).collect();
    assert_eq!(sent.len(), 3);
    (harness, sent)
}

#[test]
fn what_a_restarted_broker_has_and_does_not_remember_makes_no_duplicate() {
    for applied in 0..=3 {
        let (mut harness, sent) = three_on_their_way();
        for transmit in sent.iter().take(applied) {
            harness.broker.produce(transmit);
        }
        harness.machine.handle_disconnected(harness.now);
        harness.broker.reload();
        harness.drain();
        assert_eq!(harness.log(), [[0u8; 60], [1; 60], [2; 60], [3; 60]]);
        let outcomes: Vec<_> = harness
            .completions
            .iter()
            .map(|completion| completion.outcome.clone())
            .collect();
        assert_eq!(outcomes.len(), 4, "{applied} applied: {outcomes:?}");
        for (number, outcome) in (0i64..).zip(&outcomes) {
            // The offsets of what the broker forgot are not known any more.
            let is_forgotten = (1..i64::try_from(applied).unwrap()).contains(&number);
            let base_offset = (!is_forgotten).then_some(wolff_codec::Offset(number));
            assert_eq!(*outcome, Outcome::acked(base_offset));
        }
        let snapshot = harness.machine.snapshot();
        assert_eq!(snapshot.possibly_duplicated_records, 0);
    }
}

#[test]
fn a_broker_that_has_lost_what_it_acked_is_sent_everything_anew() {
    let (mut harness, sent) = three_on_their_way();
    harness.machine.handle_disconnected(harness.now);
    // What was acked is gone; the identity is known from before that.
    let mut earlier = sent[0].clone();
    if let Some(stamp) = &mut earlier.stamp {
        stamp.base_sequence = 100;
    }
    harness.broker = super::broker::Broker::default();
    harness.broker.new_producer_id();
    harness.broker.produce(&earlier);
    harness.drain();
    assert_eq!(
        harness.log(),
        [[1u8; 60], [1; 60], [2; 60], [3; 60]],
        "the three in doubt, behind what was there"
    );
    let snapshot = harness.machine.snapshot();
    assert_eq!(snapshot.possibly_duplicated_records, 3);
}

/// Two of three in doubt are in Kafka, and the broker remembers the second; the first was refused, and the second is sent.
fn second_of_two_is_asked_about() -> (Harness, crate::Transmit) {
    let (mut harness, sent) = three_on_their_way();
    for transmit in sent.iter().take(2) {
        harness.broker.produce(transmit);
    }
    harness.machine.handle_disconnected(harness.now);
    harness.broker.reload();
    harness.advance(Duration::from_secs(60));
    assert!(matches!(harness.action(), Some(Action::Connect { .. })));
    harness.machine.handle_connected();
    let first = harness.next_send().unwrap();
    assert_eq!(
        harness.apply(&first),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    let witness = harness.next_send().unwrap();
    assert_eq!(witness.stamp, sent[1].stamp);
    assert!(harness.next_send().is_none(), "one at a time");
    (harness, witness)
}

#[test]
fn a_broker_that_calls_the_last_one_a_duplicate_has_those_before_it() {
    let (mut harness, witness) = second_of_two_is_asked_about();
    harness.answer(&witness, ErrorCode::DUPLICATE_SEQUENCE_NUMBER, None);
    assert_eq!(harness.completions.len(), 3, "all but the third in doubt");
    harness.drain();
    assert_eq!(harness.log(), [[0u8; 60], [1; 60], [2; 60], [3; 60]]);
}

#[test]
fn a_leader_that_changes_while_batches_are_in_question_is_asked_from_the_start() {
    let (mut harness, witness) = second_of_two_is_asked_about();
    harness.answer(&witness, ErrorCode::NOT_LEADER_OR_FOLLOWER, None);
    harness.drain();
    assert_eq!(harness.log(), [[0u8; 60], [1; 60], [2; 60], [3; 60]]);
    assert_eq!(harness.completions.len(), 4);
}

#[test]
fn a_change_of_leader_drops_the_link_and_asks_for_metadata() {
    let mut harness = Harness::new(config());
    harness.send(&[b"one"]).unwrap();
    harness.connect();
    let transmit = harness.next_send().unwrap();
    harness.answer(&transmit, ErrorCode::NOT_LEADER_OR_FOLLOWER, None);
    assert!(matches!(harness.action(), Some(Action::Disconnect)));
    harness.machine.handle_disconnected(harness.now);
    assert!(matches!(
        harness.action(),
        Some(Action::Connect {
            refresh_metadata: true
        })
    ));
}

#[test]
fn only_the_call_that_is_too_large_alone_fails() {
    let mut harness = Harness::new(config());
    harness.broker.max_batch_bytes = Some(200);
    let mut tokens = Vec::new();
    for number in 0..6u8 {
        let large = if number == 3 { 300 } else { 40 };
        tokens.push(harness.send(&[&vec![number; large]]).unwrap());
    }
    harness.drain();
    let log: Vec<u8> = harness.log().iter().map(|value| value[0]).collect();
    assert_eq!(log, [0, 1, 2, 4, 5]);
    let failed: Vec<_> = harness
        .completions
        .iter()
        .filter(|completion| matches!(completion.outcome, Outcome::Failed(_)))
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].first_record, failed[0].record_count), (3, 1));
    assert!(matches!(
        failed[0].outcome,
        Outcome::Failed(FailReason::MessageTooLarge { .. })
    ));
    let snapshot = harness.machine.snapshot();
    assert_eq!(
        (
            snapshot.acked_records,
            snapshot.failed_records,
            snapshot.held_bytes
        ),
        (5, 1, 0)
    );
}

#[test]
fn a_call_is_never_cut() {
    let mut harness = Harness::new(config());
    harness.broker.max_batch_bytes = Some(150);
    harness.send(&[&[1; 40], &[2; 40]]).unwrap();
    harness.send(&[&[3; 60], &[4; 60], &[5; 60]]).unwrap();
    harness.send(&[&[6; 40]]).unwrap();
    harness.drain();
    let log: Vec<u8> = harness.log().iter().map(|value| value[0]).collect();
    assert_eq!(log, [1, 2, 6]);
    assert_eq!(harness.machine.snapshot().finished_calls, 3);
}

#[test]
fn what_the_queue_cannot_take_fails_and_the_rest_goes_on() {
    let mut harness = Harness::new(config());
    harness.send(&[b"kept"]).unwrap();
    harness.settle();
    harness.queue_is_broken = true;
    harness.send(&[b"lost"]).unwrap();
    harness.settle();
    assert!(matches!(
        harness.completions[0].outcome,
        Outcome::Failed(FailReason::QueueUnavailable(_))
    ));
    assert_eq!(
        (
            harness.completions[0].first_record,
            harness.completions[0].record_count
        ),
        (1, 1)
    );
    harness.queue_is_broken = false;
    harness.send(&[b"after"]).unwrap();
    harness.drain();
    assert_eq!(harness.log(), [&b"kept"[..], b"after"]);
}

#[test]
fn an_earlier_life_is_sent_first_and_in_order() {
    let mut first_life = Harness::new(config());
    for value in [b"a", b"b", b"c"] {
        first_life.send(&[value]).unwrap();
        first_life.settle();
    }
    let left: VecDeque<_> = std::mem::take(&mut first_life.queue);
    let mut harness = Harness::reopened(config(), left);
    harness.send(&[b"d"]).unwrap();
    harness.drain();
    assert_eq!(harness.log(), [b"a", b"b", b"c", b"d"]);
    let snapshot = harness.machine.snapshot();
    assert_eq!((snapshot.replayed_records, snapshot.acked_records), (3, 1));
    assert_eq!(
        harness
            .completions
            .iter()
            .filter(|completion| completion.token.is_none())
            .count(),
        1
    );
}

#[test]
fn a_frame_that_the_queue_lost_costs_only_its_records() {
    let mut first_life = Harness::new(config());
    for value in [b"a", b"b", b"c", b"d"] {
        first_life.send(&[value]).unwrap();
        first_life.settle();
    }
    let mut left: VecDeque<_> = std::mem::take(&mut first_life.queue);
    left.remove(1);
    let mut harness = Harness::reopened(config(), left);
    harness.drain();
    assert_eq!(harness.log(), [b"a", b"c", b"d"]);
}

#[test]
fn a_lost_frame_of_this_life_is_reported() {
    let mut harness = Harness::new(config());
    for value in [b"a", b"b", b"c"] {
        harness.send(&[value]).unwrap();
        harness.settle();
    }
    harness.queue.remove(1);
    harness.drain();
    assert_eq!(harness.log(), [b"a", b"c"]);
    let snapshot = harness.machine.snapshot();
    assert_eq!((snapshot.acked_records, snapshot.failed_records), (2, 1));
    let ends: u32 = harness
        .completions
        .iter()
        .map(|completion| completion.record_count)
        .sum();
    assert_eq!(ends, 3);
}

#[test]
fn a_full_queue_refuses_and_takes_again_when_it_has_room() {
    let mut harness = Harness::new(Config {
        max_queue_bytes: 200,
        ..config()
    });
    harness.send(&[&[1; 120]]).unwrap();
    assert_eq!(harness.send(&[&[2; 120]]).unwrap_err(), Refused::Full);
    harness.drain();
    harness
        .send(&[&[3; 500]])
        .expect("an empty queue takes what is larger than its limit");
    harness.drain();
}

#[test]
fn calls_without_records_or_beyond_all_limits_are_refused() {
    let mut harness = Harness::new(Config {
        max_call_bytes: 1000,
        ..config()
    });
    assert_eq!(harness.send(&[]).unwrap_err(), Refused::Empty);
    assert!(matches!(
        harness.send(&[&[0; 2000]]).unwrap_err(),
        Refused::TooLarge { .. }
    ));
    harness.machine.stop_accepting();
    assert_eq!(harness.send(&[b"x"]).unwrap_err(), Refused::Stopping);
    assert!(harness.machine.is_drained());
}

#[test]
fn a_cluster_that_gives_no_producer_id_is_served_without() {
    let mut harness = Harness::new(config());
    harness.send(&[b"one"]).unwrap();
    assert!(matches!(harness.action(), Some(Action::Connect { .. })));
    harness.machine.handle_connected();
    assert!(matches!(harness.action(), Some(Action::InitProducerId)));
    assert!(harness.machine.handle_producer_id_failed(true, harness.now));
    assert!(harness.next_send().unwrap().stamp.is_none());

    let mut strict = Harness::new(Config {
        idempotence: Idempotence::Required,
        ..config()
    });
    strict.send(&[b"one"]).unwrap();
    assert!(matches!(strict.action(), Some(Action::Connect { .. })));
    strict.machine.handle_connected();
    assert!(matches!(strict.action(), Some(Action::InitProducerId)));
    assert!(!strict.machine.handle_producer_id_failed(true, strict.now));
    assert!(strict.action().is_none(), "asked again only after a while");
    assert!(strict.machine.poll_timeout(strict.now).is_some());
}

#[test]
fn a_forgotten_identity_is_replaced_and_what_was_in_doubt_is_counted() {
    let mut harness = Harness::new(config());
    harness.send(&[b"one"]).unwrap();
    harness.connect();
    let transmit = harness.next_send().unwrap();
    harness.machine.handle_disconnected(harness.now);
    harness.connect_again();
    let again = harness.next_send().unwrap();
    assert_eq!(again.stamp, transmit.stamp);
    harness.answer(&again, ErrorCode::UNKNOWN_PRODUCER_ID, None);
    harness.drain();
    assert_eq!(harness.machine.snapshot().possibly_duplicated_records, 1);
    assert_eq!(harness.log(), [b"one"]);
}

#[test]
fn stopping_tells_everybody_what_became_of_it() {
    let mut harness = Harness::new(config());
    harness.send(&[b"queued"]).unwrap();
    harness.settle();
    harness.send(&[b"not queued"]).unwrap();
    harness.machine.abandon();
    harness
        .completions
        .extend(std::iter::from_fn(|| harness.machine.poll_outcome()));
    let outcomes: Vec<_> = harness
        .completions
        .iter()
        .map(|completion| completion.outcome.clone())
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::LeftInQueue, Outcome::Failed(FailReason::Stopped)]
    );
}

impl Harness {
    fn connect_again(&mut self) {
        assert!(matches!(self.action(), Some(Action::Connect { .. })));
        self.machine.handle_connected();
    }
}
