//! Invariants of the model that hold after every step of random histories.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::partition::{Appended, Refusal, UnknownProducers};

/// One step of a history. Small numbers, so that collisions are frequent.
#[derive(Clone, Debug)]
enum Step {
    Produce {
        producer_id: i64,
        epoch: i16,
        base_sequence: i32,
        record_count: i32,
    },
    /// The batch that a well-behaved producer would send next.
    Continue {
        producer_id: i64,
        record_count: i32,
    },
    /// The n-th last batch of the log again.
    Resend(usize),
    Elect(i32),
    SetReplicating(bool),
    Replicate(i32),
    SetInSync(i32, bool),
    TakeSnapshot(i32),
    Restart(i32),
    Kill(i32),
    Expire(i32),
    Forget,
    DeleteRecords(i64),
    Lose(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let broker = 1..4_i32;
    let produce = (1..4_i64, 0..3_i16, 0..6_i32, 1..4_i32).prop_map(
        |(producer_id, epoch, base_sequence, record_count)| Step::Produce {
            producer_id,
            epoch,
            base_sequence,
            record_count,
        },
    );
    let go_on = (1..4_i64, 1..4_i32).prop_map(|(producer_id, record_count)| Step::Continue {
        producer_id,
        record_count,
    });
    let step = prop_oneof![
        4 => produce,
        8 => go_on,
        4 => (0..7_usize).prop_map(Step::Resend),
        1 => broker.clone().prop_map(Step::Elect),
        1 => any::<bool>().prop_map(Step::SetReplicating),
        1 => broker.clone().prop_map(Step::Replicate),
        1 => (broker.clone(), any::<bool>()).prop_map(|(broker, is)| Step::SetInSync(broker, is)),
        1 => broker.clone().prop_map(Step::TakeSnapshot),
        1 => broker.clone().prop_map(Step::Restart),
        1 => broker.clone().prop_map(Step::Kill),
        1 => broker.prop_map(Step::Expire),
        1 => Just(Step::Forget),
        1 => (0..20_i64).prop_map(Step::DeleteRecords),
        1 => (0..20_i64).prop_map(Step::Lose),
    ];
    vec(step, 1..80)
}

fn rules() -> impl Strategy<Value = Rules> {
    let unknown = prop_oneof![
        Just(UnknownProducers::Accept),
        Just(UnknownProducers::AcceptOnUsedLog),
        Just(UnknownProducers::Refuse),
        Just(UnknownProducers::Never),
    ];
    (unknown, prop_oneof![Just(5_usize), Just(1)], 0..3_usize).prop_map(
        |(unknown_producers, remembered_batches, min_insync_replicas)| Rules {
            unknown_producers,
            remembered_batches,
            min_insync_replicas,
            ..Rules::default()
        },
    )
}

/// The log as the test compares it.
fn contents(partition: &PartitionModel<Name>) -> Vec<(i64, Name)> {
    let batches = partition.log().batches();
    batches
        .map(|batch| (batch.base_offset().0, *batch.payload()))
        .collect()
}

fn next_batch(partition: &PartitionModel<Name>, producer_id: i64, count: i32) -> BatchFacts {
    let mut producers = partition.producers(partition.leader());
    let known = producers.find(|known| known.producer_id.0 == producer_id);
    let (epoch, sequence) = known.map_or((0, 0), |known| {
        (known.epoch.0, known.last_sequence.wrapping_add(1).max(0))
    });
    facts(producer_id, epoch, sequence, count)
}

fn resent(partition: &PartitionModel<Name>, age: usize) -> Option<BatchFacts> {
    let batch = partition.log().batches().rev().nth(age)?;
    let stamp = batch.stamp()?;
    Some(facts(
        stamp.producer_id.0,
        stamp.epoch.0,
        stamp.base_sequence,
        batch.record_count(),
    ))
}

/// Properties that must hold between a batch, its answer, and the log before and after.
fn check_answer(
    partition: &PartitionModel<Name>,
    before: &[(i64, Name)],
    batch: &BatchFacts,
    name: Name,
    answer: &Result<Appended, Refusal>,
) -> Result<(), TestCaseError> {
    let after = contents(partition);
    match answer {
        Err(_) => prop_assert_eq!(&after, before, "a refusal changes nothing"),
        Ok(appended) if appended.is_duplicate => {
            prop_assert_eq!(&after, before, "a duplicate is not appended");
            let mut batches = partition.log().batches();
            let found = batches.find(|stored| stored.base_offset() == appended.base_offset);
            // Retention may have removed it; else it is the same range of the same producer.
            if let Some(stored) = found {
                prop_assert_eq!(stored.stamp(), batch.stamp);
                prop_assert_eq!(stored.record_count(), batch.record_count);
            } else {
                prop_assert!(appended.base_offset < partition.log().start_offset());
            }
        }
        Ok(appended) => {
            let mut expected = before.to_vec();
            expected.push((appended.base_offset.0, name));
            prop_assert_eq!(after, expected, "appended once, at the end");
        }
    }
    Ok(())
}

/// Properties that must hold always.
fn check_state(partition: &PartitionModel<Name>) -> Result<(), TestCaseError> {
    let log = partition.log();
    prop_assert!(log.start_offset() <= log.end_offset());
    prop_assert!(partition.high_watermark() <= log.end_offset());
    let mut next = None;
    for batch in log.batches() {
        prop_assert!(
            next.is_none_or(|next| next == batch.base_offset()),
            "no gaps"
        );
        next = Some(batch.next_offset());
    }
    prop_assert_eq!(next.unwrap_or(log.end_offset()), log.end_offset());
    for broker in 1..4 {
        for known in partition.producers(BrokerId(broker)) {
            prop_assert!(known.last_sequence >= 0);
        }
    }
    Ok(())
}

fn run(rules: Rules, steps: &[Step]) -> Result<Vec<(i64, Name)>, TestCaseError> {
    let mut partition = PartitionModel::new(rules, [ONE, TWO, BrokerId(3)]);
    for (name, step) in (0..).zip(steps) {
        let broker = |number: &i32| BrokerId(*number);
        let watermark = partition.high_watermark();
        let batch = match step {
            Step::Produce {
                producer_id,
                epoch,
                base_sequence,
                record_count,
            } => Some(facts(*producer_id, *epoch, *base_sequence, *record_count)),
            Step::Continue {
                producer_id,
                record_count,
            } => Some(next_batch(&partition, *producer_id, *record_count)),
            Step::Resend(age) => resent(&partition, *age),
            _ => None,
        };
        if let Some(batch) = batch {
            let before = contents(&partition);
            let answer = partition.produce(&batch, ACKS_ALL, 0, name);
            check_answer(&partition, &before, &batch, name, &answer)?;
            if answer.is_ok() {
                // Whatever was answered with success is a duplicate at once.
                let again = partition.produce(&batch, ACKS_ALL, 0, name);
                prop_assert!(again.is_ok_and(|again| again.is_duplicate));
            }
        }
        match step {
            Step::Produce { .. } | Step::Continue { .. } | Step::Resend(_) => {}
            Step::Elect(number) => partition.elect(broker(number), 0),
            Step::SetReplicating(is) => partition.set_replicating(*is),
            Step::Replicate(number) => partition.replicate(broker(number)),
            Step::SetInSync(number, is) => partition.set_in_sync(broker(number), *is),
            Step::TakeSnapshot(number) => partition.take_snapshot(broker(number)),
            Step::Restart(number) => partition.restart(broker(number), 0),
            Step::Kill(number) => partition.restart_after_kill(broker(number), 0),
            Step::Expire(number) => partition.expire_producers(broker(number), i64::MAX),
            Step::Forget => partition.forget_producers(),
            Step::DeleteRecords(offset) => partition.delete_records(Offset(*offset)),
            Step::Lose(offset) => partition.lose_beyond(Offset(*offset), 0),
        }
        check_state(&partition)?;
        if !matches!(step, Step::Lose(_) | Step::Elect(_)) {
            prop_assert!(partition.high_watermark() >= watermark, "commits are final");
        }
    }
    Ok(contents(&partition))
}

proptest! {
    #[test]
    fn answers_log_and_high_watermark_agree_after_every_step(rules in rules(), steps in steps()) {
        let log = run(rules, &steps)?;
        prop_assert_eq!(log, run(rules, &steps)?, "the same history, the same log");
    }

    /// Five in flight, sent again after lost answers, with restarts and elections in between: as
    /// long as nothing is lost, expired or deleted, every batch is in the log once and in order.
    #[test]
    fn a_producer_that_resends_its_last_five_is_in_the_log_once_and_in_order(
        windows in vec((1..=5_usize, 0..4_u8, 0..4_u8), 1..12),
    ) {
        let mut partition = partition(Rules::default());
        let mut sequence = 0;
        for (window, before_answers, after_answers) in windows {
            let first = sequence;
            for attempt in [before_answers, after_answers] {
                let mut next = first;
                for _ in 0..window {
                    prop_assert!(produce(&mut partition, (0, next, 2)).is_ok());
                    next += 2;
                }
                sequence = next;
                match attempt {
                    0 => partition.elect(TWO, 0),
                    1 => partition.elect(ONE, 0),
                    2 => partition.restart_after_kill(ONE, 0),
                    _ => {}
                }
            }
        }
        let mut expected = 0;
        for batch in partition.log().batches() {
            prop_assert_eq!(batch.stamp().map(|stamp| stamp.base_sequence), Some(expected));
            expected += 2;
        }
        prop_assert_eq!(expected, sequence);
    }

    /// A follower that has a batch when it is elected keeps it: nothing below the high watermark is
    /// lost by an election among in-sync replicas.
    #[test]
    fn a_clean_election_loses_nothing_that_is_committed(
        steps in vec((0..4_u8, 1..4_i32), 1..60),
    ) {
        let mut partition = PartitionModel::new(Rules::default(), [ONE, TWO, BrokerId(3)]);
        partition.set_replicating(false);
        for (name, (step, broker)) in (0..).zip(steps) {
            match step {
                0 => partition.replicate(BrokerId(broker)),
                1 => {
                    let committed = contents(&partition);
                    let watermark = partition.high_watermark().0;
                    partition.elect(BrokerId(broker), 0);
                    prop_assert_eq!(partition.high_watermark().0, watermark);
                    let kept = contents(&partition);
                    for batch in committed.iter().filter(|(offset, _)| *offset < watermark) {
                        prop_assert!(kept.contains(batch));
                    }
                }
                _ => {
                    let batch = next_batch(&partition, 1, 1);
                    prop_assert!(partition.produce(&batch, ACKS_ALL, 0, name).is_ok());
                }
            }
        }
    }
}
