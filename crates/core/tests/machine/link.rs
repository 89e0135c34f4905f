//! Links that are lost in the middle of a batch: those that follow are smaller, and those in doubt
//! keep their boundaries.

use wolff_core::{Action, Config, Event, Idempotence, Storage, Transmit};

use crate::support::{Stage, config};

const FLOOR_BYTES: usize = 200;

/// Bytes that the link carries on each connection.
const CUT_AFTER_BYTES: usize = 800;

fn bad_link() -> Config {
    Config {
        link_floor_bytes: FLOOR_BYTES,
        max_batch_bytes: 2_000,
        ..config()
    }
}

/// Accepts records while there is no connection: they become one large batch, or a few.
fn accept(stage: &mut Stage, numbers: std::ops::Range<u8>) {
    for number in numbers {
        stage.send_one(&[number; 60]);
    }
}

fn lose(stage: &mut Stage, transmit: &Transmit, not_sent: bool) {
    stage.handle(Event::RequestFailed {
        batch: transmit.batch,
        not_sent,
    });
    assert!(matches!(stage.action(), Some(Action::Disconnect)));
    stage.handle(Event::Disconnected);
    stage.settle();
}

/// The next batch to send, after the delay of the last connection's end; `None`: all is done.
fn next(stage: &mut Stage) -> Option<Transmit> {
    loop {
        let transmit = stage.next_send();
        if transmit.is_some() || !stage.wait_for_timer() {
            return transmit;
        }
    }
}

/// Sends over a link of which each connection is lost after [`CUT_AFTER_BYTES`], until all is
/// acknowledged or nothing more gets through. Returns the sizes of the batches that were
/// acknowledged.
fn send_over_a_cut_link(stage: &mut Stage) -> Vec<usize> {
    let mut sizes = Vec::new();
    for _ in 0..100 {
        let mut left = CUT_AFTER_BYTES;
        loop {
            let Some(transmit) = next(stage) else {
                assert!(stage.driver.machine().is_drained());
                return sizes;
            };
            let bytes = transmit.body.wire_bytes();
            if bytes > left {
                lose(stage, &transmit, true);
                break;
            }
            left -= bytes;
            stage.apply(&transmit);
            sizes.push(bytes);
        }
    }
    panic!("nothing gets through: {:?}", stage.snapshot());
}

fn expected(numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    numbers.map(|number| vec![number; 60]).collect()
}

#[test]
fn a_batch_that_the_link_never_carries_as_a_whole_gets_through_in_pieces() {
    for storage in [Storage::Memory, Storage::Disk] {
        for idempotence in [Idempotence::Required, Idempotence::Off] {
            let mut stage = Stage::new(Config {
                storage,
                idempotence,
                max_in_flight: 1,
                ..bad_link()
            });
            accept(&mut stage, 0..60);
            let sizes = send_over_a_cut_link(&mut stage);
            assert_eq!(stage.log(), expected(0..60), "once, in order");
            assert!(sizes.iter().all(|bytes| *bytes <= CUT_AFTER_BYTES));
            assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
        }
    }
}

#[test]
fn what_was_perhaps_appended_keeps_its_boundaries_and_its_place() {
    let mut stage = Stage::new(bad_link());
    accept(&mut stage, 0..60);
    let first = next(&mut stage).unwrap();
    lose(&mut stage, &first, false);
    for _ in 0..5 {
        let again = next(&mut stage).unwrap();
        assert_eq!(again.stamp, first.stamp, "unchanged");
        assert_eq!(again.body.record_count(), first.body.record_count());
        lose(&mut stage, &again, true);
    }
    assert_eq!(stage.snapshot().link_limit_bytes, Some(FLOOR_BYTES));
    stage.drain();
    assert_eq!(stage.log(), expected(0..60));
    assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
}

#[test]
fn a_link_that_is_good_again_carries_whole_batches_again() {
    let mut stage = Stage::new(bad_link());
    accept(&mut stage, 0..100);
    for _ in 0..2 {
        let transmit = next(&mut stage).unwrap();
        lose(&mut stage, &transmit, true);
    }
    assert_eq!(stage.snapshot().link_limit_bytes, Some(FLOOR_BYTES));
    stage.drain();
    accept(&mut stage, 100..200);
    stage.drain();
    assert_eq!(stage.snapshot().link_limit_bytes, None);
    accept(&mut stage, 200..230);
    let first = next(&mut stage).unwrap();
    stage.apply(&first);
    let rest = stage.next_send();
    let largest = first.body.record_count().max(rest.map_or(0, |rest| {
        stage.apply(&rest);
        rest.body.record_count()
    }));
    assert!(largest > 20, "{largest}");
    stage.drain();
    assert_eq!(stage.log(), expected(0..230));
}

#[test]
fn a_kill_while_a_batch_is_made_smaller_makes_no_copy() {
    // At each step of the way, whatever is in the queue and with the broker by then.
    for steps in 0..40 {
        let mut stage = Stage::new(bad_link());
        accept(&mut stage, 0..40);
        let mut left = steps;
        'run: for lost in 0.. {
            let Some(transmit) = next(&mut stage) else {
                break;
            };
            if left == 0 {
                break 'run;
            }
            left -= 1;
            if lost < 2 {
                lose(&mut stage, &transmit, true);
            } else if left == 0 {
                // Killed before the answer.
                stage.broker.produce(&transmit);
            } else {
                stage.apply(&transmit);
            }
        }
        let mut stage = stage.restarted();
        stage.drain();
        assert_eq!(stage.log(), expected(0..40), "killed after {steps} steps");
        assert_eq!(stage.snapshot().possibly_duplicated_records, 0);
    }
}
