//! Each rule by its number in the table of the module's page.

use std::time::Duration;

use super::*;
use crate::partition::{ACKS_LEADER, UnknownProducers, follows_append};

const HOUR_MS: i64 = 3_600_000;

fn known(partition: &PartitionModel<Name>, broker: BrokerId) -> Vec<(i64, i32)> {
    let summaries = partition.producers(broker);
    summaries
        .map(|summary| (summary.producer_id.0, summary.last_sequence))
        .collect()
}

#[test]
fn r1_the_last_five_batches_of_each_producer_id_are_known_whoever_sends_them() {
    let mut partition = after(&[
        (0, 0, 1),
        (0, 1, 1),
        (0, 2, 1),
        (0, 3, 1),
        (0, 4, 1),
        (0, 5, 1),
    ]);
    // Another producer id has a state of its own.
    produce_facts(&mut partition, &facts(8, 0, 0, 1)).unwrap();
    assert_eq!(produce(&mut partition, (0, 0, 1)), OUT_OF_ORDER);
    for sequence in 1..=5 {
        let answer = produce(&mut partition, (0, sequence, 1));
        assert_eq!(answer, Ok((sequence.into(), true)));
    }
    assert_eq!(known(&partition, ONE), [(7, 5), (8, 0)]);
}

#[test]
fn r2_a_duplicate_has_the_same_epoch_first_and_last_sequence_and_content_is_not_compared() {
    let mut partition = after(&[(0, 0, 4), (0, 4, 4)]);
    let other_content = BatchFacts {
        size_bytes: 7,
        max_timestamp_ms: 99,
        ..facts(7, 0, 0, 4)
    };
    assert_eq!(produce_facts(&mut partition, &other_content), Ok((0, true)));
    // The same records with other boundaries are not recognised.
    assert_eq!(produce(&mut partition, (0, 0, 8)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 4, 2)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 6, 2)), OUT_OF_ORDER);
    // The last one of a range that overlaps what is new, too.
    assert_eq!(produce(&mut partition, (0, 7, 2)), OUT_OF_ORDER);
    assert_eq!(end(&partition), Offset(8));
}

#[test]
fn r3_a_duplicate_gets_the_first_offset_the_batch_s_timestamp_and_waits_for_the_high_watermark() {
    let mut partition = partition(Rules::default());
    partition.set_replicating(false);
    let batch = BatchFacts {
        max_timestamp_ms: 123,
        ..facts(7, 0, 0, 2)
    };
    let first = partition.produce(&batch, ACKS_ALL, 5_000, 0).unwrap();
    assert_eq!((first.append_time_ms, first.is_duplicate), (-1, false));
    assert!(partition.high_watermark() < first.required_high_watermark);
    let again = partition.produce(&batch, ACKS_ALL, 6_000, 0).unwrap();
    assert_eq!((again.append_time_ms, again.is_duplicate), (123, true));
    assert_eq!(again.base_offset, first.base_offset);
    assert_eq!(again.required_high_watermark, first.required_high_watermark);
    partition.replicate(TWO);
    assert!(partition.high_watermark() >= again.required_high_watermark);
}

#[test]
fn r3_a_resend_is_refused_where_in_sync_replicas_are_too_few() {
    let mut partition = after(&[(0, 0, 1)]);
    partition.rules_mut().min_insync_replicas = 2;
    partition.set_in_sync(TWO, false);
    let too_few = Err(ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(produce(&mut partition, (0, 0, 1)), too_few);
    let leader_only = partition.produce(&facts(7, 0, 0, 1), ACKS_LEADER, 0, 0);
    assert!(leader_only.unwrap().is_duplicate);
    partition.set_in_sync(TWO, true);
    assert_eq!(produce(&mut partition, (0, 0, 1)), Ok((0, true)));
}

#[test]
fn r4_a_batch_goes_on_after_the_last_and_with_zero_after_the_last_number() {
    let mut partition = after(&[(0, i32::MAX - 1, 1)]);
    assert_eq!(produce(&mut partition, (0, 0, 1)), OUT_OF_ORDER);
    // Numbers MAX, 0, 1, 2.
    assert_eq!(produce(&mut partition, (0, i32::MAX, 4)), Ok((1, false)));
    assert_eq!(produce(&mut partition, (0, i32::MAX, 4)), Ok((1, true)));
    assert_eq!(produce(&mut partition, (0, 3, 1)), Ok((5, false)));
    // A gap and what is too old look the same.
    assert_eq!(produce(&mut partition, (0, 5, 1)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 2, 1)), OUT_OF_ORDER);
    let mut partition = after(&[(0, 0, i32::MAX)]);
    assert_eq!(produce(&mut partition, (0, 0, 1)), OUT_OF_ORDER);
    assert_eq!(
        produce(&mut partition, (0, i32::MAX, 1)),
        Ok((i64::from(i32::MAX), false))
    );
    assert_eq!(produce(&mut partition, (0, 0, 1)), Ok((1 << 31, false)));
}

#[test]
fn r5_the_first_batch_of_an_unknown_producer_is_judged_by_the_release() {
    use UnknownProducers::{Accept, AcceptOnUsedLog, Never, Refuse};
    let unknown = Err(ErrorCode::UNKNOWN_PRODUCER_ID);
    let cases: [(_, bool, i32, Answer); 12] = [
        (Accept, false, 0, Ok((0, false))),
        (Accept, false, 5, Ok((0, false))),
        (Accept, true, 5, Ok((1, false))),
        (AcceptOnUsedLog, false, 0, Ok((0, false))),
        (AcceptOnUsedLog, false, 5, OUT_OF_ORDER),
        (AcceptOnUsedLog, true, 5, Ok((1, false))),
        (Refuse, false, 0, Ok((0, false))),
        (Refuse, true, 0, Ok((1, false))),
        (Refuse, true, 5, unknown),
        (Never, false, 0, Ok((0, false))),
        (Never, true, 0, Ok((1, false))),
        (Never, true, 5, OUT_OF_ORDER),
    ];
    for (unknown_producers, log_was_used, sequence, answer) in cases {
        let mut partition = partition(Rules {
            unknown_producers,
            ..Rules::default()
        });
        if log_was_used {
            produce_facts(&mut partition, &facts(8, 0, 0, 1)).unwrap();
        }
        // Any epoch does.
        assert_eq!(
            produce(&mut partition, (9, sequence, 1)),
            answer,
            "{unknown_producers:?}, used: {log_was_used}, sequence {sequence}"
        );
    }
}

#[test]
fn r5_the_second_of_two_batches_in_flight_to_a_broker_that_forgot_shuts_out_the_first() {
    let mut partition = after(&[(0, 0, 1)]);
    partition.forget_producers();
    assert_eq!(produce(&mut partition, (0, 2, 1)), Ok((1, false)));
    assert_eq!(produce(&mut partition, (0, 1, 1)), OUT_OF_ORDER);
}

#[test]
fn r6_a_lower_epoch_is_fenced_and_a_higher_one_begins_at_zero() {
    let mut partition = after(&[(1, 0, 3), (1, 3, 3)]);
    assert_eq!(produce(&mut partition, (0, 6, 3)), FENCED);
    assert_eq!(produce(&mut partition, (2, 6, 3)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (i16::MAX, 0, 3)), Ok((6, false)));
    // The batches of the older epoch are not known any more.
    assert_eq!(produce(&mut partition, (1, 0, 3)), FENCED);
    assert_eq!(produce(&mut partition, (i16::MAX, 3, 3)), Ok((9, false)));
    // To a broker that forgot the producer the lower epoch is fine again.
    partition.forget_producers();
    assert_eq!(produce(&mut partition, (0, 6, 3)), Ok((12, false)));
}

#[test]
fn r8_producers_expire_by_the_timestamp_of_their_last_batch_and_not_by_its_arrival() {
    let expiration = Duration::from_secs(24 * 3600);
    let mut partition = partition(Rules {
        producer_expiration: expiration,
        ..Rules::default()
    });
    let now_ms = 100 * HOUR_MS;
    // A backlog: sent now, with old timestamps.
    let old = BatchFacts {
        max_timestamp_ms: now_ms - 24 * HOUR_MS,
        ..facts(7, 0, 0, 1)
    };
    let young = BatchFacts {
        max_timestamp_ms: now_ms - 24 * HOUR_MS + 1,
        ..facts(8, 0, 0, 1)
    };
    for batch in [&old, &young] {
        partition.produce(batch, ACKS_ALL, now_ms, 0).unwrap();
    }
    assert_eq!(known(&partition, ONE), [(7, 0), (8, 0)]);
    partition.expire_producers(ONE, now_ms);
    assert_eq!(known(&partition, ONE), [(8, 0)]);
    // Each replica looks at its own moment: an election brings the state back.
    assert_eq!(known(&partition, TWO), [(7, 0), (8, 0)]);
    partition.elect(TWO, now_ms);
    assert!(
        partition
            .produce(&old, ACKS_ALL, now_ms, 0)
            .unwrap()
            .is_duplicate
    );
}

#[test]
fn r8_a_broker_that_loads_a_snapshot_expires_at_once_and_append_time_is_immune() {
    for (has_log_append_time, left) in [(false, vec![]), (true, vec![(7, 0)])] {
        let mut partition = partition(Rules {
            has_log_append_time,
            ..Rules::default()
        });
        let now_ms = 100 * HOUR_MS;
        // Its timestamp is 0.
        partition
            .produce(&facts(7, 0, 0, 1), ACKS_ALL, now_ms, 0)
            .unwrap();
        partition.restart(ONE, now_ms);
        assert_eq!(known(&partition, ONE), left);
    }
}

#[test]
fn r9_after_a_clean_restart_the_last_batch_of_each_producer_is_known() {
    let mut partition = after(&[(0, 0, 1), (0, 1, 1), (0, 2, 1)]);
    partition.restart(ONE, 0);
    assert_eq!(produce(&mut partition, (0, 1, 1)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 2, 1)), Ok((2, true)));
    assert_eq!(produce(&mut partition, (0, 3, 1)), Ok((3, false)));
    // The other replica stayed up.
    partition.elect(TWO, 0);
    assert_eq!(produce(&mut partition, (0, 0, 1)), Ok((0, true)));
}

#[test]
fn r9_after_a_kill_the_last_of_the_snapshot_and_every_batch_after_it_is_known() {
    let mut partition = after(&[(0, 0, 1), (0, 1, 1)]);
    partition.take_snapshot(ONE);
    for sequence in 2..4 {
        produce(&mut partition, (0, sequence, 1)).unwrap();
    }
    partition.restart_after_kill(ONE, 0);
    assert_eq!(produce(&mut partition, (0, 0, 1)), OUT_OF_ORDER);
    for sequence in 1..4 {
        let answer = produce(&mut partition, (0, sequence, 1));
        assert_eq!(answer, Ok((sequence.into(), true)));
    }
    // Without a snapshot the whole log is read, and five batches are known.
    for sequence in 4..7 {
        produce(&mut partition, (0, sequence, 1)).unwrap();
    }
    partition.restart_after_kill(TWO, 0);
    partition.elect(TWO, 0);
    assert_eq!(produce(&mut partition, (0, 1, 1)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 2, 1)), Ok((2, true)));
}

#[test]
fn r9_the_state_is_gone_after_deletion_to_the_end_and_a_restart() {
    let mut partition = after(&[(0, 0, 1), (0, 1, 1)]);
    partition.delete_records(Offset(2));
    assert_eq!(
        produce(&mut partition, (0, 1, 1)),
        Ok((1, true)),
        "not before"
    );
    partition.restart(ONE, 0);
    assert_eq!(known(&partition, ONE), []);
    assert_eq!(
        produce(&mut partition, (0, 1, 1)),
        Ok((2, false)),
        "a silent repetition"
    );
}

#[test]
fn r9_the_state_is_gone_after_truncation_to_the_start_and_cut_back_after_less() {
    let mut partition = after(&[(0, 0, 1), (0, 1, 1), (0, 2, 1)]);
    partition.take_snapshot(ONE);
    partition.lose_beyond(Offset(2), 0);
    assert_eq!(produce(&mut partition, (0, 1, 1)), Ok((1, true)));
    assert_eq!(produce(&mut partition, (0, 3, 1)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 2, 1)), Ok((2, false)));
    partition.lose_beyond(Offset(0), 0);
    assert_eq!(known(&partition, ONE), []);
}

#[test]
fn r9_a_replica_that_is_rebuilt_from_a_log_without_its_head_knows_what_is_left() {
    let mut partition = after(&[(0, 0, 1)]);
    produce_facts(&mut partition, &facts(8, 0, 0, 1)).unwrap();
    partition.delete_records(Offset(1));
    let three = BrokerId(3);
    partition.elect(three, 0);
    assert_eq!(known(&partition, three), [(8, 0)]);
    assert_eq!(known(&partition, ONE), [(7, 0), (8, 0)]);
}

#[test]
fn r11_every_replica_describes_the_producers_that_it_knows_itself() {
    let mut partition = partition(Rules::default());
    partition.set_replicating(false);
    produce(&mut partition, (0, 0, 3)).unwrap();
    assert_eq!(
        known(&partition, ONE),
        [(7, 2)],
        "the uncommitted tail counts"
    );
    assert_eq!(known(&partition, TWO), []);
    assert_eq!(known(&partition, BrokerId(9)), []);
}

#[test]
fn r13_kafka_0_11_knows_one_batch_of_each_producer() {
    let mut partition = partition(Rules {
        remembered_batches: 1,
        ..Rules::default()
    });
    for sequence in 0..2 {
        produce(&mut partition, (0, sequence, 1)).unwrap();
    }
    assert_eq!(produce(&mut partition, (0, 0, 1)), OUT_OF_ORDER);
    assert_eq!(produce(&mut partition, (0, 1, 1)), Ok((1, true)));
}

#[test]
fn r14_what_was_appended_can_be_refused_when_it_is_sent_again() {
    type Change = fn(&mut PartitionModel<Name>);
    let refused = |change: Change| {
        let mut partition = after(&[(0, 0, 1)]);
        change(&mut partition);
        let batch = BatchFacts {
            keyless_records: vec![0],
            ..facts(7, 0, 0, 1)
        };
        let answer = produce_facts(&mut partition, &batch);
        assert_eq!(end(&partition), Offset(1));
        answer.unwrap_err()
    };
    let cases: [(Change, ErrorCode); 3] = [
        (
            |it| it.elect(BrokerId::NONE, 0),
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ),
        (
            |it| it.rules_mut().max_batch_bytes = 99,
            ErrorCode::MESSAGE_TOO_LARGE,
        ),
        (
            |it| it.rules_mut().is_compacted = true,
            ErrorCode::INVALID_RECORD,
        ),
    ];
    for (change, code) in cases {
        assert_eq!(refused(change), code);
    }
    let mut partition = after(&[(0, 0, 1)]);
    let refusal = partition.produce(&facts(7, 0, 0, 1), 2, 0, 0).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::INVALID_REQUIRED_ACKS);
}

#[test]
fn a_compacted_topic_blames_every_record_without_a_key() {
    let mut partition = partition(Rules {
        is_compacted: true,
        ..Rules::default()
    });
    let batch = BatchFacts {
        keyless_records: vec![1, 3],
        ..facts(7, 0, 0, 4)
    };
    let refusal = partition.produce(&batch, ACKS_ALL, 0, 0).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::INVALID_RECORD);
    let blamed: Vec<_> = refusal
        .record_errors
        .iter()
        .map(|error| error.index)
        .collect();
    assert_eq!(blamed, [1, 3]);
    assert_eq!(end(&partition), Offset(0));
    // The rest of the batch can be sent with the same sequence numbers.
    assert_eq!(produce(&mut partition, (0, 0, 2)), Ok((0, false)));
}

#[test]
fn r16_an_error_after_the_append_leaves_the_batch_in_the_log_to_be_kept_or_lost() {
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    for is_replicated in [true, false] {
        let mut partition = partition(Rules::default());
        partition.set_replicating(is_replicated);
        let batch = facts(7, 0, 0, 1);
        let answer = partition.produce_then_fail(&batch, ACKS_ALL, 0, 0, code);
        assert_eq!(answer.unwrap().code, code);
        assert_eq!(end(&partition), Offset(1));
        partition.elect(TWO, 0);
        // A follower that had it keeps it; one that had not has it truncated everywhere.
        assert_eq!(produce(&mut partition, (0, 0, 1)), Ok((0, is_replicated)));
        assert_eq!(end(&partition), Offset(1));
    }
}

#[test]
fn r16_only_these_codes_follow_an_append() {
    let after_append = |acks| {
        let codes = (-1..=130).map(ErrorCode);
        let codes = codes.filter(|code| follows_append(*code, acks));
        codes.map(|code| code.0).collect::<Vec<i16>>()
    };
    assert_eq!(after_append(ACKS_ALL), [-1, 3, 6, 7, 20, 56]);
    assert_eq!(after_append(ACKS_LEADER), [-1, 56]);
}

#[test]
fn r17_the_latest_offset_hides_nothing_of_earlier_leaders() {
    let mut partition = partition(Rules::default());
    partition.set_replicating(false);
    produce(&mut partition, (0, 0, 1)).unwrap();
    assert_eq!(partition.latest_offset(), Ok(Offset(0)));
    // The same leader again: what it had appended before is its own, but not committed yet.
    partition.elect(ONE, 0);
    assert_eq!(
        partition.latest_offset(),
        Err(ErrorCode::OFFSET_NOT_AVAILABLE)
    );
    partition.replicate(TWO);
    assert_eq!(partition.latest_offset(), Ok(Offset(1)));
}
