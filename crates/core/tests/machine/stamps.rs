//! Sequence ranges are durable before they are used, and are never used for other records.

use std::collections::BTreeMap;

use wolff_codec::ErrorCode;
use wolff_core::{Config, Outcome, Stamp};

use crate::support::{Fault, Stage, config, sent_later, small_batches, tags, values_of};

fn outcome_offset(outcome: &Outcome) -> Option<wolff_codec::Offset> {
    match outcome {
        Outcome::Acked { base_offset, .. } => *base_offset,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stamp_is_in_the_lease_before_the_batch_is_sent() {
    let mut stage = Stage::new(small_batches());
    for number in 0..12u8 {
        stage.send_one(&[number; 60]);
    }
    let mut sent = 0;
    while stage.snapshot().records.queued > 0 {
        let transmit = stage.next_send().unwrap();
        let stamp = transmit.stamp.unwrap();
        let is_written = tags(&stage).iter().any(|tag| {
            tag.batches
                .iter()
                .any(|batch| batch.stamp == stamp && batch.record_count == 1)
        });
        assert!(is_written, "{stamp:?}");
        stage.apply(&transmit);
        sent += 1;
    }
    assert_eq!(sent, 12);
    assert_eq!(tags(&stage).len(), 12, "one write for each batch");
}

#[test]
fn a_range_whose_writing_failed_is_never_used() {
    for fault in [Fault::NotDone, Fault::DoneAndInDoubt] {
        let mut stage = Stage::new(small_batches());
        for number in 0..6u8 {
            stage.send_one(&[number; 60]);
        }
        let first = stage.next_send().unwrap();
        stage.queue.state().faults.tags.push_back(fault);
        stage.apply(&first);
        let mut sent = vec![first];
        while stage.snapshot().records.queued > 0 {
            match stage.next_send() {
                Some(transmit) => {
                    assert_eq!(stage.apply(&transmit), ErrorCode::NONE);
                    sent.push(transmit);
                }
                None => assert!(stage.wait_for_timer()),
            }
        }
        // The same numbers always come with the same records, and never those of the failed write.
        let mut contents: BTreeMap<(i64, i16, i32), Vec<Vec<u8>>> = BTreeMap::new();
        for transmit in &sent {
            let stamp = transmit.stamp.unwrap();
            let key = (stamp.producer_id.0, stamp.epoch.0, stamp.base_sequence);
            let values = values_of(transmit);
            assert_eq!(
                contents.entry(key).or_insert_with(|| values.clone()),
                &values
            );
        }
        let epochs: Vec<i16> = contents.keys().map(|key| key.1).collect();
        assert!(
            epochs.contains(&1),
            "the window drains, the epoch is raised"
        );
        assert_eq!(stage.log().len(), 6);
        stage.drain();
    }
}

#[test]
fn a_tag_says_what_of_its_identity_was_acked_and_nothing_of_another() {
    let mut stage = Stage::new(small_batches());
    for number in 0..3u8 {
        stage.send_one(&[number; 60]);
    }
    let first = stage.next_send().unwrap();
    assert!(
        tags(&stage)
            .iter()
            .all(|tag| tag.batches[0].acked_through == -1)
    );
    stage.apply(&first);
    for number in 3..6u8 {
        stage.send_one(&[number; 60]);
    }
    stage.send_all();
    let acked: Vec<i32> = tags(&stage)
        .iter()
        .map(|tag| tag.batches[0].acked_through)
        .collect();
    assert_eq!(acked.last(), Some(&0));
    // A fresh identity has acked nothing.
    let in_flight = stage.send_all();
    assert!(in_flight.is_empty());
    stage.disconnect();
    // The leader has to say so on several connections.
    for _ in 0..3 {
        let transmit = sent_later(&mut stage);
        stage.answer_code(&transmit, ErrorCode::UNKNOWN_PRODUCER_ID);
    }
    let again = sent_later(&mut stage);
    let of_new: Vec<i32> = tags(&stage)
        .iter()
        .flat_map(|tag| tag.batches.clone())
        .filter(|batch| batch.stamp.is_same_identity(&again.stamp.unwrap()))
        .map(|batch| batch.acked_through)
        .collect();
    assert!(!of_new.is_empty() && of_new.iter().all(|acked| *acked == -1));
}

#[test]
fn the_pieces_of_a_lease_share_one_tag() {
    let mut stage = Stage::new(config());
    stage.broker.model.rules_mut().max_batch_bytes = 600;
    for number in 0..8u8 {
        stage.send_one(&[number; 100]);
    }
    let whole = stage.next_send().unwrap();
    assert_eq!(stage.apply(&whole), ErrorCode::MESSAGE_TOO_LARGE);
    stage.next_send().unwrap();
    let last = tags(&stage).pop().unwrap();
    assert_eq!(last.batches.len(), 2);
    assert_eq!(last.batches[1].first_record, last.batches[0].record_count);
    assert_eq!(
        tags(&stage).len(),
        2,
        "one for the whole, one for both pieces"
    );
}

#[test]
fn a_piece_that_is_split_again_gets_its_numbers_before_those_behind_it() {
    for (size, max_batch_bytes) in (1..40).flat_map(|size| [(size, 250), (size, 400)]) {
        let mut stage = Stage::new(Config {
            max_batch_bytes,
            ..config()
        });
        stage.broker.model.rules_mut().max_batch_bytes = 200;
        // They are in batches before the limit is known: later ones are split before they are sent.
        for number in 0..120u8 {
            stage.send_one(&vec![number; size]);
        }
        while stage.snapshot().records.queued > 0 {
            let in_flight = stage.send_all();
            let sequences: Vec<_> = in_flight.iter().filter_map(|sent| sent.stamp).collect();
            let is_in_order = |pair: &[Stamp]| {
                let [one, next] = pair else { return false };
                !one.is_same_identity(next) || one.base_sequence < next.base_sequence
            };
            assert!(sequences.windows(2).all(is_in_order), "{sequences:?}");
            for transmit in &in_flight {
                stage.apply(transmit);
            }
            if in_flight.is_empty() {
                assert!(stage.wait_for_timer());
            }
        }
        let log: Vec<_> = (0..120u8).map(|number| vec![number; size]).collect();
        assert_eq!(stage.log(), log, "values of {size} bytes");
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
    }
}

#[test]
fn what_a_killed_run_left_in_doubt_is_sent_again_under_its_old_numbers_first() {
    for is_appended in [false, true] {
        let mut stage = Stage::new(small_batches());
        for number in 0..4u8 {
            stage.send_one(&[number; 60]);
        }
        let first = stage.next_send().unwrap();
        if is_appended {
            stage.broker.produce(&first);
        }
        let mut stage = stage.restarted();
        let again = stage.next_send().unwrap();
        assert_eq!(
            (again.stamp, values_of(&again)),
            (first.stamp, values_of(&first))
        );
        assert!(stage.next_send().is_none(), "alone until it is taken");
        stage.apply(&again);
        stage.drain();
        let snapshot = stage.snapshot();
        assert_eq!(snapshot.replay.acked, 4);
        assert_eq!(snapshot.possibly_duplicated_records, 0);
        let log: Vec<_> = (0..4u8).map(|number| vec![number; 60]).collect();
        assert_eq!(stage.log(), log, "each once, in order");
        let is_sure = |outcome: &Outcome| *outcome == Outcome::acked(outcome_offset(outcome));
        assert!(stage.others.iter().all(|end| is_sure(&end.outcome)));
        assert_eq!(stage.queue.open_leases(), 0);
    }
}

#[test]
fn a_lease_whose_first_piece_is_done_says_so_in_its_tag() {
    let mut stage = Stage::new(config());
    stage.broker.model.rules_mut().max_batch_bytes = 400;
    for number in 0..8u8 {
        stage.send_one(&[number; 100]);
    }
    let mut done = 0;
    while stage.snapshot().records.queued > 0 {
        match stage.next_send() {
            Some(transmit) => {
                if let Some(tag) = tags(&stage).pop() {
                    let ended = stage.snapshot().records.acked;
                    assert!(u64::from(tag.done_records) <= ended);
                    done = done.max(tag.done_records);
                }
                stage.apply(&transmit);
            }
            None => assert!(stage.wait_for_timer()),
        }
    }
    assert!(done < 8);
    stage.drain();
    assert_eq!(stage.log().len(), 8);
}
