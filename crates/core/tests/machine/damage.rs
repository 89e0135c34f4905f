//! Items that the local queue has lost cost their own records and no others.

use wolff_codec::ErrorCode;
use wolff_core::{Config, FailReason, LocalQueue, Outcome};

use crate::support::{Stage, config};

const DAMAGED: Outcome = Outcome::Failed(FailReason::QueueDamaged);

/// Every call is a fragment; three calls are a batch.
fn three_calls_a_batch() -> Config {
    Config {
        max_batch_bytes: 61 + 3 * 51,
        fragment_bytes: 51,
        ..config()
    }
}

fn nine_calls() -> Stage {
    let mut stage = Stage::new(three_calls_a_batch());
    for number in 0..9u8 {
        stage.send_one(&[number; 44]);
    }
    stage.settle();
    assert_eq!(stage.queue.len(), 9);
    stage
}

fn survivors(lost: &[u64]) -> Vec<Vec<u8>> {
    (0..9u8)
        .filter(|number| !lost.contains(&u64::from(*number)))
        .map(|number| vec![number; 44])
        .collect()
}

/// All ways to lose one, two or three of nine items.
fn losses() -> Vec<Vec<u64>> {
    let mut losses = Vec::new();
    for bits in 0u16..512 {
        if (1..=3).contains(&bits.count_ones()) {
            losses.push((0..9).filter(|item| bits & (1 << item) != 0).collect());
        }
    }
    losses
}

#[test]
fn lost_items_of_this_run_end_as_damaged_and_all_others_are_delivered() {
    for lost in losses() {
        let mut stage = nine_calls();
        stage.queue.state().lost.extend(&lost);
        stage.drain();
        assert_eq!(stage.log(), survivors(&lost), "{lost:?}");
        for call in 0..9 {
            let is_lost = lost.contains(&(call as u64));
            assert_eq!(stage.end_of(call) == Some(DAMAGED), is_lost, "{lost:?}");
        }
        assert_eq!(stage.snapshot().damaged_records, lost.len() as u64);
        assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
    }
}

#[test]
fn lost_items_of_a_previous_run_are_counted_and_all_others_are_delivered() {
    for lost in losses() {
        let stage = nine_calls();
        stage.queue.state().lost.extend(&lost);
        let mut stage = stage.restarted();
        stage.send_one(b"this run");
        stage.drain();
        let mut expected = survivors(&lost);
        expected.push(b"this run".to_vec());
        assert_eq!(stage.log(), expected, "{lost:?}");
        // Neither the beginning nor the end of a run shows in the positions of its neighbours.
        let in_between = (0..9)
            .skip_while(|item| lost.contains(item))
            .collect::<Vec<u64>>();
        let end = in_between
            .iter()
            .rposition(|item| !lost.contains(item))
            .unwrap();
        let visible = in_between[..=end]
            .iter()
            .filter(|item| lost.contains(item))
            .count();
        assert_eq!(stage.snapshot().damaged_records, visible as u64, "{lost:?}");
    }
}

#[test]
fn items_lost_while_a_run_reads_them_are_counted_too() {
    for lost in losses() {
        let stage = nine_calls();
        let mut stage = stage.restarted();
        stage.queue.state().lost.extend(&lost);
        stage.drain();
        assert_eq!(stage.log(), survivors(&lost), "{lost:?}");
        assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
    }
}

#[test]
fn a_damaged_lease_of_a_killed_run_is_sent_once_and_costs_no_other() {
    for lost in losses() {
        let mut stage = nine_calls();
        // All three are leased and stamped.
        let first = stage.next_send().unwrap();
        let _ = first;
        stage.queue.state().lost.extend(&lost);
        let mut stage = stage.restarted();
        stage.drain();
        assert_eq!(stage.log(), survivors(&lost), "{lost:?}");
        assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
    }
}

#[test]
fn a_batch_that_is_lost_while_the_next_one_grows_does_not_take_its_fragments() {
    let mut stage = nine_calls();
    stage.queue.state().lost.extend([6, 7, 8]);
    stage.send_one(&[9; 44]);
    stage.settle();
    let mut sent = 0;
    // Sent by and by, while the last batch is still open.
    while let Some(transmit) = stage.next_send() {
        sent += 1;
        if sent == 1 {
            stage.send_one(&[10; 44]);
        }
        assert_eq!(stage.apply(&transmit), ErrorCode::NONE);
    }
    stage.drain();
    for call in 0..11 {
        assert_eq!(stage.end_of(call) == Some(DAMAGED), (6..9).contains(&call));
    }
    assert_eq!(stage.log().len(), 8);
}

#[test]
fn an_item_of_another_version_stops_the_partition_and_stays() {
    for is_recovered in [false, true] {
        let mut stage = nine_calls();
        let foreign =
            bytes::Bytes::from_static(b"something that a later version reads\x00\x00\x01\x07");
        stage.queue.append(std::slice::from_ref(&foreign)).unwrap();
        if is_recovered {
            stage = stage.restarted();
        }
        while let Some(transmit) = stage.next_send() {
            stage.apply(&transmit);
        }
        assert_eq!(stage.log(), survivors(&[]));
        let left: Vec<_> = stage.queue.state().items.values().cloned().collect();
        if is_recovered {
            assert_eq!(left, [foreign]);
            assert_eq!(stage.queue.open_leases(), 0, "it was given back");
            let refused = stage.send(&[b"more"]).unwrap_err();
            assert!(matches!(refused, wolff_core::Refused::Unreadable(_)));
            assert!(!stage.wait_for_timer(), "nothing spins");
        }
    }
}

#[test]
fn a_queue_that_cannot_be_read_for_a_while_is_read_again() {
    let mut stage = nine_calls();
    stage.queue.state().faults.leases = 3;
    stage.drain();
    assert_eq!(stage.log(), survivors(&[]));
}
