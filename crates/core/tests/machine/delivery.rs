use std::time::Duration;

use wolff_codec::{ErrorCode, Offset};
use wolff_core::{Acks, Action, Config, Idempotence, Outcome, Refused, Storage};

use crate::support::{Stage, config, values_of};

fn acked(base: i64) -> Outcome {
    Outcome::acked(Some(Offset(base)))
}

#[test]
fn a_record_goes_all_the_way() {
    let mut stage = Stage::new(config());
    let accepted = stage.send(&[b"one"]).unwrap();
    assert!(accepted.wakes);
    assert_eq!(stage.driver.machine().queued_calls(), 0, "not appended yet");
    let transmit = stage.next_send().unwrap();
    assert_eq!(stage.driver.machine().queued_calls(), 1);
    assert_eq!(transmit.stamp.unwrap().base_sequence, 0);
    assert_eq!(stage.apply(&transmit), ErrorCode::NONE);
    assert_eq!(stage.end_of(0), Some(acked(0)));
    stage.drain();
    assert_eq!((stage.queue.len(), stage.queue.open_leases()), (0, 0));
}

#[test]
fn in_memory_a_call_is_queued_at_once() {
    let mut stage = Stage::new(Config {
        storage: Storage::Memory,
        ..config()
    });
    stage.send(&[b"one", b"two"]).unwrap();
    assert_eq!(stage.driver.machine().queued_calls(), 1);
    stage.drain();
    assert_eq!(stage.log(), [b"one", b"two"]);
    assert!(stage.queue.state().tags.is_empty(), "nothing to be durable");
}

#[test]
fn fragments_of_a_batch_that_had_to_wait_are_sent_as_one() {
    let mut stage = Stage::new(config());
    for value in [b"a", b"b", b"c"] {
        stage.send_one(value);
        stage.settle();
    }
    assert_eq!(stage.queue.len(), 3, "a fragment for each group commit");
    let transmit = stage.next_send().unwrap();
    assert_eq!(values_of(&transmit), [b"a", b"b", b"c"]);
    stage.apply(&transmit);
    stage.drain();
    assert_eq!(stage.queue.len(), 0);
}

#[test]
fn a_batch_is_cut_into_fragments_of_a_size_between_calls() {
    let mut stage = Stage::new(Config {
        fragment_bytes: 100,
        ..config()
    });
    for _ in 0..10 {
        stage.send_one(&[1; 40]);
    }
    stage.send_one(&[2; 400]);
    stage.settle();
    let sizes: Vec<usize> = {
        let state = stage.queue.state();
        state.items.values().map(bytes::Bytes::len).collect()
    };
    assert_eq!(sizes.len(), 6, "two calls each, and the large one alone");
    let transmit = stage.next_send().unwrap();
    assert_eq!(transmit.body.record_count(), 11);
    stage.apply(&transmit);
    stage.drain();
}

#[test]
fn a_batch_is_filled_to_the_last_byte() {
    // A header of 61 bytes, and records of 16.
    let mut stage = Stage::new(Config {
        max_batch_bytes: 61 + 2 * 16,
        ..config()
    });
    let first = stage.send(&[b"123456789"]).unwrap();
    let second = stage.send(&[b"123456789"]).unwrap();
    let third = stage.send(&[b"123456789"]).unwrap();
    assert_eq!((second.token, second.first_record), (first.token, 1));
    assert!(second.wakes, "it is full");
    assert_eq!((third.token, third.first_record), (first.token + 1, 0));
}

#[test]
fn the_memory_of_a_batch_comes_back_with_its_lease() {
    let mut stage = Stage::new(Config {
        storage: Storage::Memory,
        ..config()
    });
    stage.send_one(b"one");
    let transmit = stage.next_send().unwrap();
    let answer = stage.broker.produce(&transmit);
    let batch = transmit.batch;
    drop(transmit);
    stage.handle(wolff_core::Event::Answered(batch, answer));
    stage.settle();
    assert_eq!(stage.queue.state().acks, 1);
}

#[test]
fn linger_waits_for_more_unless_the_batch_is_full_or_flushed() {
    let linger = Duration::from_millis(50);
    let mut stage = Stage::new(Config {
        linger,
        max_batch_bytes: 400,
        ..config()
    });
    stage.send_one(b"first");
    assert!(stage.next_send().is_none());
    let now = stage.now();
    assert_eq!(stage.driver.machine().poll_timeout(now), Some(now + linger));
    stage.advance(linger);
    let transmit = stage.next_send().expect("the time is over");
    stage.apply(&transmit);

    stage.send_one(&[7u8; 300]);
    let transmit = stage.next_send().expect("full, no need to wait");
    stage.apply(&transmit);

    stage.send_one(b"last");
    assert!(stage.next_send().is_none());
    let calls = stage.driver.machine().flush();
    let transmit = stage.next_send().expect("flushed");
    assert!(!stage.driver.machine().is_flushed(calls));
    stage.apply(&transmit);
    assert!(stage.driver.machine().is_flushed(calls));
}

#[test]
fn one_batch_at_a_time_until_a_leader_has_taken_one_of_this_identity() {
    let mut stage = Stage::new(Config {
        max_batch_bytes: 100,
        ..config()
    });
    for _ in 0..14 {
        stage.send_one(&[1u8; 60]);
    }
    let first = stage.next_send().unwrap();
    assert!(stage.next_send().is_none());
    stage.apply(&first);
    let several = stage.send_all();
    assert_eq!(several.len(), 5);
    for transmit in several.iter().take(4) {
        stage.apply(transmit);
    }
    // A new connection has proven nothing.
    stage.disconnect();
    let again = stage.next_send().unwrap();
    assert!(stage.next_send().is_none());
    assert_eq!(stage.apply(&again), ErrorCode::NONE);
    assert_eq!(stage.send_all().len(), 5);
}

#[test]
fn after_an_hour_without_success_one_batch_is_sent_alone() {
    let mut stage = Stage::new(Config {
        max_batch_bytes: 100,
        ..config()
    });
    stage.send_one(&[1u8; 60]);
    stage.drain();
    stage.advance(Duration::from_secs(3_600));
    for _ in 0..4 {
        stage.send_one(&[1u8; 60]);
    }
    assert_eq!(stage.send_all().len(), 1);
}

#[test]
fn a_full_queue_refuses_and_accepts_again_when_it_has_room() {
    let mut stage = Stage::new(Config {
        max_queue_bytes: 100,
        ..config()
    });
    stage.send_one(&[1; 80]);
    assert_eq!(stage.send(&[&[2; 80]]).unwrap_err(), Refused::Full);
    stage.drain();
    stage.send_one(&[2; 200]);
    stage.drain();
    assert_eq!(
        stage.log().len(),
        2,
        "a call larger than the queue fits alone"
    );
}

#[test]
fn what_previous_runs_left_counts_for_the_limit_of_the_queue() {
    let mut stage = Stage::new(Config {
        max_queue_bytes: 200,
        ..config()
    });
    stage.send_one(&[1; 150]);
    stage.settle();
    let mut stage = stage.restarted();
    assert_eq!(stage.send(&[&[2; 80]]).unwrap_err(), Refused::Full);
    stage.drain();
    stage.send_one(&[2; 80]);
    stage.drain();
    assert_eq!(stage.log().len(), 2);
}

#[test]
fn calls_without_records_or_beyond_all_limits_are_refused() {
    let mut stage = Stage::new(Config {
        max_call_bytes: 50,
        ..config()
    });
    assert_eq!(stage.send(&[]).unwrap_err(), Refused::Empty);
    let refused = stage.send(&[&[0; 60]]).unwrap_err();
    assert!(matches!(refused, Refused::TooLarge { bytes, limit: 50 } if bytes > 60));
    assert!(stage.action().is_none(), "nothing to do");
}

#[test]
fn a_call_whose_iterator_panics_leaves_nothing_behind() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use wolff_codec::records::RecordRef;

    let mut stage = Stage::new(config());
    stage.send_one(b"before");
    let record = RecordRef {
        timestamp_ms: 1_000,
        value: Some(b"lost"),
        ..RecordRef::default()
    };
    for panics_at in [1, 3, 5] {
        let seen = std::cell::Cell::new(0);
        let records = (0..3).map(|_| {
            seen.set(seen.get() + 1);
            assert!(seen.get() != panics_at, "user code");
            record
        });
        let machine = &stage.driver;
        let result = catch_unwind(AssertUnwindSafe(|| {
            machine.machine().accept(
                records,
                true,
                || panic!("a batch is open"),
                |_| bytes::BytesMut::new(),
            )
        }));
        assert!(result.is_err());
    }
    stage.send_one(b"after");
    stage.drain();
    assert_eq!(stage.log(), [&b"before"[..], b"after"]);
}

#[test]
fn a_cluster_that_gives_no_producer_id_is_served_without() {
    let mut stage = Stage::new(Config {
        max_batch_bytes: 100,
        ..config()
    });
    stage.grants_identity = false;
    for _ in 0..3 {
        stage.send_one(&[1; 60]);
    }
    let transmit = stage.next_send().unwrap();
    assert_eq!(transmit.stamp, None);
    assert!(!stage.snapshot().is_idempotent);
    assert!(stage.next_send().is_none(), "one at a time keeps the order");
    stage.apply(&transmit);
    stage.drain();
}

#[test]
fn where_idempotence_is_required_nothing_is_sent_without_an_identity() {
    let mut stage = Stage::new(Config {
        idempotence: Idempotence::Required,
        ..config()
    });
    stage.grants_identity = false;
    stage.send_one(b"one");
    let mut requests = 0;
    for _ in 0..20 {
        match stage.action() {
            Some(Action::Connect { .. }) => stage.connected(),
            Some(Action::Request(request)) => {
                requests += 1;
                stage.answer_request(request);
            }
            Some(other) => panic!("{other:?}"),
            None => assert!(stage.wait_for_timer(), "it is requested again"),
        }
    }
    assert!(requests > 5);
    stage.grants_identity = true;
    stage.drain();
    assert_eq!(stage.log(), [b"one"]);
}

#[test]
fn without_acks_of_all_replicas_nothing_is_stamped() {
    for acks in [Acks::Leader, Acks::None] {
        let mut stage = Stage::new(Config { acks, ..config() });
        stage.send_one(b"one");
        assert_eq!(stage.next_send().unwrap().stamp, None);
    }
}

#[test]
fn a_change_of_leader_drops_the_link_and_requests_metadata_unless_the_answer_named_the_leader() {
    for names_leader in [false, true] {
        let mut stage = Stage::new(config());
        stage.send_one(b"one");
        let transmit = stage.next_send().unwrap();
        stage.answer(
            &transmit,
            wolff_core::Answer {
                code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                names_leader,
                ..wolff_core::Answer::default()
            },
        );
        assert!(matches!(stage.action(), Some(Action::Disconnect)));
        let Some(Action::Connect { refresh_metadata }) = stage.action() else {
            panic!("the first attempt is at once");
        };
        assert_eq!(refresh_metadata, !names_leader);
        // It named one that is gone: the next attempt does not trust it.
        stage.handle(wolff_core::Event::ConnectFailed);
        assert!(stage.wait_for_timer());
        assert!(matches!(
            stage.action(),
            Some(Action::Connect {
                refresh_metadata: true
            })
        ));
    }
}

#[test]
fn a_leader_that_never_is_one_is_not_asked_more_than_a_few_times_a_second() {
    let mut stage = Stage::new(config());
    stage.send_one(b"one");
    let start = stage.now();
    let mut attempts = 0;
    while stage.now() < start + Duration::from_secs(60) {
        match stage.next_send() {
            Some(transmit) => {
                attempts += 1;
                stage.answer_code(&transmit, ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
            None => assert!(stage.wait_for_timer()),
        }
    }
    assert!((20..120).contains(&attempts), "{attempts} in a minute");
}

#[test]
fn previous_runs_are_sent_first_and_in_order() {
    let mut stage = Stage::new(config());
    for value in [b"a", b"b", b"c"] {
        stage.send_one(value);
        stage.settle();
    }
    let mut stage = stage.restarted();
    stage.send_one(b"d");
    stage.drain();
    assert_eq!(stage.log(), [b"a", b"b", b"c", b"d"]);
    let snapshot = stage.snapshot();
    assert_eq!((snapshot.replay.acked, snapshot.records.acked), (3, 1));
    assert_eq!(snapshot.damaged_records, 0);
    assert_eq!(stage.others.len(), 1, "one batch of the previous run");
}

#[test]
fn what_an_append_could_not_store_fails_and_the_rest_goes_on() {
    let mut stage = Stage::new(config());
    stage.send_one(b"kept");
    stage.settle();
    stage.queue.state().faults.appends = 1;
    let lost = stage.send_one(b"lost");
    stage.settle();
    assert!(matches!(
        stage.end_of(lost),
        Some(Outcome::Failed(wolff_core::FailReason::QueueUnavailable(_)))
    ));
    stage.send_one(b"after");
    stage.drain();
    assert_eq!(stage.log(), [&b"kept"[..], b"after"]);
}

#[test]
fn an_append_that_is_in_doubt_is_no_failure_for_good() {
    let mut stage = Stage::new(config());
    stage.send_one(b"kept");
    stage.settle();
    stage.queue.state().faults.appends_in_doubt = 1;
    let unknown = stage.send_one(b"unknown");
    stage.settle();
    let in_doubt = Outcome::InDoubt(wolff_core::DoubtReason::QueueFailed);
    assert_eq!(stage.end_of(unknown), Some(in_doubt));
    stage.send_one(b"after");
    stage.settle();
    let mut stage = stage.restarted();
    stage.drain();
    let mut log = stage.log();
    log.sort();
    assert_eq!(log, [&b"after"[..], b"kept", b"unknown"]);
    assert_eq!(stage.snapshot().damaged_records, 0);
}

#[test]
fn a_failed_append_is_no_damage_to_the_next_run() {
    let mut stage = Stage::new(config());
    stage.send_one(b"kept");
    stage.settle();
    stage.queue.state().faults.appends = 1;
    stage.send(&[b"lost", b"too"]).unwrap();
    stage.settle();
    stage.send_one(b"after");
    stage.settle();
    let mut stage = stage.restarted();
    stage.drain();
    assert_eq!(stage.log(), [&b"kept"[..], b"after"]);
    assert_eq!(stage.snapshot().damaged_records, 0);
}
