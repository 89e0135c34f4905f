//! Refusals by class: split, isolate, hold, give up, go on without idempotence.

use std::sync::Arc;
use std::time::Duration;

use wolff_codec::ErrorCode;
use wolff_codec::records::Compression;
use wolff_core::{Action, Answer, Config, FailReason, OnRefused, Outcome, Storage};

use crate::support::{Stage, config, values_of};

fn first_bytes(stage: &Stage) -> Vec<u8> {
    stage.log().iter().map(|value| value[0]).collect()
}

#[test]
fn only_the_call_that_is_too_large_alone_fails() {
    let mut stage = Stage::new(config());
    stage.broker.model.rules_mut().max_batch_bytes = 261;
    for number in 0..6u8 {
        let large = if number == 3 { 300 } else { 40 };
        stage.send_one(&vec![number; large]);
    }
    stage.drain();
    assert_eq!(first_bytes(&stage), [0, 1, 2, 4, 5]);
    let Some(Outcome::Failed(FailReason::MessageTooLarge { bytes, limit })) = stage.end_of(3)
    else {
        panic!("{:?}", stage.end_of(3));
    };
    assert!((361..380).contains(&bytes), "{bytes}");
    let taken = limit.unwrap();
    assert!((100..=261).contains(&taken), "{taken}");
    let records = stage.snapshot().records;
    assert_eq!((records.acked, records.failed), (5, 1));
}

#[test]
fn a_call_is_never_cut() {
    let mut stage = Stage::new(config());
    stage.broker.model.rules_mut().max_batch_bytes = 211;
    stage.send(&[&[1; 40], &[2; 40]]).unwrap();
    stage.send(&[&[3; 60], &[4; 60], &[5; 60]]).unwrap();
    stage.send(&[&[6; 40]]).unwrap();
    stage.drain();
    assert_eq!(first_bytes(&stage), [1, 2, 6]);
    let calls = stage.snapshot().calls;
    assert_eq!((calls.acked, calls.failed), (2, 1));
}

#[test]
fn the_pieces_of_a_split_are_compressed() {
    let mut stage = Stage::new(Config {
        compression: Compression::Lz4,
        ..config()
    });
    // Each call fits compressed, and would not fit as it is.
    stage.broker.model.rules_mut().max_batch_bytes = 200;
    for number in 0..40u8 {
        let mut value = vec![7; 400];
        value[0] = number;
        value[200] = number.wrapping_mul(37);
        stage.send_one(&value);
    }
    stage.drain();
    assert_eq!(first_bytes(&stage), (0..40).collect::<Vec<u8>>());
    assert_eq!(stage.snapshot().records.failed, 0);
}

#[test]
fn a_batch_far_beyond_the_limit_costs_few_refusals_and_teaches_the_size_of_the_next() {
    let mut stage = Stage::new(config());
    stage.broker.model.rules_mut().max_batch_bytes = 1_000;
    for number in 0..2_000u32 {
        stage.send_one(&[&number.to_be_bytes()[..], &[0; 400]].concat());
    }
    let (mut refused, mut sent) = (0, 0);
    while stage.snapshot().records.queued > 0 {
        match stage.next_send() {
            Some(transmit) => {
                sent += 1;
                let code = stage.apply(&transmit);
                refused += u32::from(code == ErrorCode::MESSAGE_TOO_LARGE);
            }
            None => assert!(stage.wait_for_timer()),
        }
    }
    assert!(refused <= 12, "{refused} refusals of {sent}");
    assert_eq!(stage.snapshot().records.failed, 0);
    // Batches accepted from now on are as large as the limit.
    for number in 0..20u32 {
        stage.send_one(&[&number.to_be_bytes()[..], &[0; 400]].concat());
    }
    stage.drain();
    assert_eq!(stage.log().len(), 2_020);
    let retried = stage.snapshot().retried_batches;
    assert_eq!(retried, 0, "a split makes new batches");
}

#[test]
fn calls_that_the_broker_names_fail_with_its_words_and_the_others_are_sent() {
    let mut stage = Stage::new(config());
    stage.broker.invalid = vec![b"bad".to_vec()];
    stage.send(&[b"a"]).unwrap();
    stage.send(&[b"b", b"bad"]).unwrap();
    stage.send(&[b"c"]).unwrap();
    stage.send(&[b"bad"]).unwrap();
    stage.send(&[b"d"]).unwrap();
    stage.drain();
    assert_eq!(stage.log(), [b"a", b"c", b"d"]);
    for (call, words) in [(1, "record 2 is bad"), (3, "record 4 is bad")] {
        let Some(Outcome::Failed(FailReason::Rejected { code, message })) = stage.end_of(call)
        else {
            panic!("{:?}", stage.end_of(call));
        };
        assert_eq!(code, ErrorCode::INVALID_RECORD);
        assert_eq!(message.as_deref(), Some(words));
    }
}

#[test]
fn a_bad_record_without_a_name_is_found_by_halving() {
    let mut stage = Stage::new(config());
    stage.broker.invalid = vec![vec![11; 10]];
    stage.broker.names_invalid = false;
    for number in 0..32u8 {
        stage.send_one(&[number; 10]);
    }
    stage.drain();
    let expected: Vec<u8> = (0..32).filter(|number| *number != 11).collect();
    assert_eq!(first_bytes(&stage), expected);
    assert_eq!(stage.snapshot().records.failed, 1);
}

#[test]
fn a_broker_that_names_records_that_are_not_there_names_none() {
    let mut stage = Stage::new(config());
    for number in 0..4u8 {
        stage.send_one(&[number; 10]);
    }
    let mut refusals = 0;
    for _ in 0..200 {
        let Some(transmit) = stage.next_send() else {
            if !stage.wait_for_timer() {
                break;
            }
            continue;
        };
        if values_of(&transmit).contains(&vec![2; 10]) {
            refusals += 1;
            let answer = Answer {
                code: ErrorCode::INVALID_RECORD,
                record_errors: vec![(9_999, Some(Arc::from("nonsense")))],
                ..Answer::default()
            };
            stage.answer(&transmit, answer);
        } else {
            stage.apply(&transmit);
        }
    }
    assert_eq!(refusals, 3, "the whole, a half, the call alone");
    assert_eq!(first_bytes(&stage), [0, 1, 3]);
}

#[test]
fn records_named_after_an_attempt_without_numbers_was_lost_end_in_doubt() {
    let mut stage = Stage::new(Config {
        idempotence: wolff_core::Idempotence::Off,
        max_in_flight: 1,
        ..config()
    });
    stage.send_one(b"good");
    stage.send_one(b"bad");
    let transmit = stage.next_send().unwrap();
    stage.broker.produce(&transmit);
    stage.disconnect();
    stage.broker.invalid = vec![b"bad".to_vec()];
    stage.drain();
    assert_eq!(
        stage.end_of(1),
        Some(Outcome::InDoubt(wolff_core::DoubtReason::Refused(
            ErrorCode::INVALID_RECORD
        )))
    );
    assert_eq!(stage.snapshot().possibly_duplicated_records, 1);
}

#[test]
fn damaged_bytes_are_sent_again_once() {
    let mut stage = Stage::new(config());
    stage.send_one(b"one");
    let transmit = stage.next_send().unwrap();
    stage.answer_code(&transmit, ErrorCode::CORRUPT_MESSAGE);
    assert!(stage.wait_for_timer());
    let again = stage.next_send().unwrap();
    assert_eq!(again.stamp, transmit.stamp);
    stage.answer_code(&again, ErrorCode::CORRUPT_MESSAGE);
    assert!(matches!(
        stage.end_of(0),
        Some(Outcome::Failed(FailReason::Rejected { .. }))
    ));
}

#[test]
fn what_an_operator_can_lift_is_held_and_sent_when_it_is_lifted() {
    for code in [29, 44, 76, 21] {
        let mut stage = Stage::new(config());
        stage.send_one(b"one");
        stage.send_one(b"two");
        let start = stage.now();
        let mut attempts = 0;
        while stage.now() < start + Duration::from_secs(300) {
            match stage.next_send() {
                Some(transmit) => {
                    attempts += 1;
                    stage.answer_code(&transmit, ErrorCode(code));
                    let refusal = stage.snapshot().refusal.unwrap();
                    assert!(refusal.is_held && refusal.count == attempts);
                }
                None => assert!(stage.wait_for_timer()),
            }
        }
        assert!((18..60).contains(&attempts), "{code}: {attempts} times");
        stage.drain();
        assert_eq!(stage.log(), [b"one", b"two"]);
        assert_eq!(stage.snapshot().refusal, None);
    }
}

#[test]
fn what_an_operator_could_lift_fails_where_that_is_configured() {
    let mut stage = Stage::new(Config {
        on_refused: OnRefused::Fail,
        ..config()
    });
    stage.send_one(b"one");
    let transmit = stage.next_send().unwrap();
    stage.answer_code(&transmit, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert!(matches!(
        stage.end_of(0),
        Some(Outcome::Failed(FailReason::Unauthorized { .. }))
    ));
    stage.send_one(b"two");
    stage.drain();
    assert_eq!(stage.log(), [b"two"]);
}

#[test]
fn a_cluster_that_forbids_idempotent_writes_is_served_without_unless_something_is_in_doubt() {
    for is_in_doubt in [false, true] {
        let mut stage = Stage::new(Config {
            max_batch_bytes: 80,
            ..config()
        });
        for number in 0..3u8 {
            stage.send_one(&[number; 30]);
        }
        let mut transmit = stage.next_send().unwrap();
        if is_in_doubt {
            stage.broker.produce(&transmit);
            stage.disconnect();
            transmit = stage.next_send().unwrap();
        }
        stage.answer_code(&transmit, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
        assert_eq!(stage.snapshot().is_idempotent, is_in_doubt);
        stage.drain();
        assert_eq!(first_bytes(&stage), [0, 1, 2]);
    }
}

#[test]
fn an_unknown_version_reconnects_once_and_is_held_then() {
    let mut stage = Stage::new(config());
    stage.send_one(b"one");
    let transmit = stage.next_send().unwrap();
    stage.answer_code(&transmit, ErrorCode::UNSUPPORTED_VERSION);
    assert!(matches!(stage.action(), Some(Action::Disconnect)));
    let transmit = stage.next_send().unwrap();
    stage.answer_code(&transmit, ErrorCode::UNSUPPORTED_VERSION);
    assert!(stage.action().is_none());
    assert!(stage.snapshot().refusal.unwrap().is_held);
    stage.drain();
}

#[test]
fn a_code_that_nobody_has_classified_is_tried_ever_less_often() {
    let mut stage = Stage::new(config());
    stage.send_one(b"one");
    let mut longest = Duration::ZERO;
    for _ in 0..30 {
        match stage.next_send() {
            Some(transmit) => stage.answer_code(&transmit, ErrorCode(999)),
            None => {
                let before = stage.now();
                assert!(stage.wait_for_timer());
                longest = longest.max(stage.now() - before);
            }
        }
    }
    assert!(longest > Duration::from_secs(30) && longest <= Duration::from_secs(60));
    stage.drain();
}

#[test]
fn behind_a_batch_that_is_given_up_the_next_epoch_begins() {
    for storage in [Storage::Memory, Storage::Disk] {
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
        let sent = stage.send_all();
        stage.answer_code(&sent[0], ErrorCode::INVALID_TIMESTAMP);
        stage.apply(&sent[1]);
        stage.apply(&sent[2]);
        let next = stage.next_send().unwrap();
        let (old, new) = (sent[1].stamp.unwrap(), next.stamp.unwrap());
        assert_eq!(new.producer_id, old.producer_id);
        assert_eq!(new.epoch.0, old.epoch.0 + 1);
        assert_eq!(new.base_sequence, 0);
        stage.apply(&next);
        stage.drain();
        assert_eq!(first_bytes(&stage), [0, 2, 3]);
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
    }
}
