//! Panics, in the code of users and in the producer's own: every call ends, and what others have
//! sent, or what is on disk, arrives once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use wolff::Strategy;

use wolff::MemoryBudget;

use crate::support::{
    End, PanickingDisk, Setup, World, forced_panic, panic_at_log, panicking_clock, until, within,
};

/// A long linger: what is accepted before a flush is one batch.
const LONG: Duration = Duration::from_secs(600);

/// Where the records of a scenario are when the panic comes.
const PLACES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// A partitioner that cannot bear one key.
fn touchy(setup: Setup) -> Setup {
    setup.partitioner(Strategy::custom(|call, _| {
        if call.key() == Some(b"panic") {
            forced_panic();
        }
        0
    }))
}

#[tokio::test]
async fn a_panic_in_a_partitioner_is_the_end_of_its_call_alone() {
    for (on_disk, offline) in PLACES {
        let world = World::new(1).await;
        if offline {
            world.kill_all().await;
        }
        let producer = touchy(world.setup(on_disk)).start().await;
        let before = producer.accept("before").await;
        let guilty = {
            let producer = producer.clone();
            tokio::spawn(async move { producer.send("panic").await })
        };
        // Known at once or only when it is routed: refused, or accepted and ended.
        let guilty = within("the call", guilty).await;
        let after = producer.accept("after").await;
        world.revive_all().await;
        if let Ok(Ok(receipt)) = guilty {
            let end = receipt.end().await;
            assert!(!end.is_acked(), "{end:?}");
        }
        assert!(before.end().await.is_acked());
        assert!(after.end().await.is_acked());
        producer.flushed().await;
        assert_eq!(world.log(0), ["before", "after"]);
        producer.counts().assert_sum();
        assert_eq!(producer.counts().queued, 0);
        producer.stop().await;
        let next = touchy(world.setup(on_disk)).start().await;
        next.flushed().await;
        next.stop().await;
    }
}

#[tokio::test]
async fn a_panic_in_a_call_leaves_its_batch_as_it_was() {
    for (on_disk, offline) in PLACES {
        // Looked at once to be measured, perhaps, and once more to be encoded.
        for nth in 0..4 {
            let world = World::new(1).await;
            if offline {
                world.kill_all().await;
            }
            // All of it in one batch.
            let setup = world.setup(on_disk).linger(LONG);
            let producer = setup.start().await;
            let before = producer.accept("before").await;
            let guilty = {
                let producer = producer.clone();
                tokio::spawn(async move { producer.send_panicking("three", nth).await })
            };
            let panicked = within("the call", guilty).await.is_err();
            let after = producer.accept("after").await;
            world.revive_all().await;
            producer.flushed().await;
            let (before, after) = (before.end().await, after.end().await);
            assert!(
                before.is_acked() && after.is_acked(),
                "{before:?}, {after:?}"
            );
            let mut expected = vec!["before", "three", "three", "three", "after"];
            if panicked {
                expected = vec!["before", "after"];
            }
            assert_eq!(world.log(0), expected, "{on_disk} {offline} {nth}");
            let counts = producer.counts();
            counts.assert_sum();
            assert_eq!(counts.acked, u64::try_from(expected.len()).unwrap());
            assert_eq!(counts.queued, 0);
            producer.stop().await;
            let next = world.setup(on_disk).start().await;
            next.flushed().await;
            assert_eq!(world.log(0), expected, "{on_disk} {offline} {nth}");
            next.stop().await;
        }
    }
}

/// The operation of the disk that panics, counted from 0.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Write(i64),
    Read(i64),
}

/// Calls around a panic in an I/O job of a queue on disk: each ends, the ends are true, and what is
/// on disk is sent once by the next run. Returns whether the panic has come.
async fn panic_in_an_io_job(offline: bool, operation: Operation) -> bool {
    let world = World::new(1).await;
    let disk = PanickingDisk::new();
    let (calls, budget) = match operation {
        Operation::Write(_) => (4, MemoryBudget::default()),
        // So little of so many stays in memory that most have to be read.
        Operation::Read(_) => (40, MemoryBudget::new(64 << 10)),
    };
    if offline {
        world.kill_all().await;
    }
    let setup = (world.on_disk().environment(disk.environment())).budget(&budget);
    let producer = setup.single().start().await;
    let before = producer.send("before").await.unwrap();
    match operation {
        Operation::Write(nth) => disk.panic_after_writes(nth),
        Operation::Read(nth) => {
            world.kill_all().await;
            disk.panic_after_reads(nth);
        }
    }
    let calls: Vec<_> = (0..calls)
        .map(|number| {
            let producer = producer.clone();
            let value = format!("call {number}");
            tokio::spawn(async move {
                let sent = producer.send(&value).await;
                (value, sent)
            })
        })
        .collect();
    let mut receipts = vec![("before".to_owned(), before)];
    let mut refused = Vec::new();
    for call in calls {
        match within("a call", call).await.unwrap() {
            (value, Ok(receipt)) => receipts.push((value, receipt)),
            (value, Err(_)) => refused.push(value),
        }
    }
    world.revive_all().await;
    let mut ends = Vec::new();
    for (value, receipt) in receipts {
        ends.push((value, receipt.end().await));
    }
    let context = format!("offline {offline}, {operation:?}, {ends:?}, {refused:?}");
    let has_panicked = disk.has_panicked();
    if !has_panicked {
        assert!(ends.iter().all(|(_, end)| end.is_acked()), "{context}");
    }
    producer.counts().assert_sum();
    // What a partition has of the unrouted queue is counted when it ends there.
    until("nothing is queued", || producer.counts().queued == 0).await;
    until("nothing is held", || budget.used_bytes() == 0).await;
    producer.stop().await;
    let next = world.on_disk().start().await;
    next.flushed().await;
    // A lease of unrouted records is sent again as a whole after a crash, and counted.
    let mut counted = match offline {
        true => usize::try_from(next.counts().possibly_duplicated).unwrap(),
        false => 0,
    };
    for (value, end) in &ends {
        let mut times = world.times(0, value);
        if times == 2 && counted > 0 {
            (times, counted) = (1, counted - 1);
        }
        let expected = match end {
            End::Acked { .. } | End::LeftInQueue => 1..=1,
            End::InDoubt => 0..=1,
            _ => 0..=0,
        };
        assert!(expected.contains(&times), "{value}, {times}: {context}");
    }
    for value in refused {
        assert!(world.times(0, &value) <= 1, "{value}: {context}");
    }
    next.stop().await;
    has_panicked
}

/// To a segment or to the control file, in an append, a stamp or an acknowledgement.
#[tokio::test]
async fn a_panic_in_a_write_ends_every_call_and_what_is_on_disk_arrives_once() {
    let mut panics = 0;
    for offline in [false, true] {
        for nth in 0..12 {
            let has_panicked = panic_in_an_io_job(offline, Operation::Write(nth)).await;
            panics += usize::from(has_panicked);
        }
    }
    assert!(panics >= 12, "{panics}");
}

/// Of what waits, for a lease.
#[tokio::test]
async fn a_panic_in_a_read_ends_every_call_and_what_is_on_disk_arrives_once() {
    for offline in [false, true] {
        let mut panics = 0;
        while panic_in_an_io_job(offline, Operation::Read(panics)).await {
            panics += 1;
        }
        assert!(panics > 0, "nothing was read, offline {offline}");
    }
}

#[tokio::test]
async fn a_panic_in_a_worker_ends_every_call_and_what_is_on_disk_arrives_once() {
    for (on_disk, offline) in PLACES {
        let world = World::new(1).await;
        if offline {
            world.kill_all().await;
        }
        let (environment, is_armed) = panicking_clock();
        let setup = world.setup(on_disk).environment(environment);
        let producer = setup.single().start().await;
        if !offline {
            // The partition is known, and its leader goes.
            assert!(producer.accept("first").await.end().await.is_acked());
            world.kill_all().await;
        }
        let mut receipts = Vec::new();
        for value in ["a", "b", "c"] {
            receipts.push(producer.send(value).await.unwrap());
        }
        is_armed.store(true, Ordering::Relaxed);
        world.revive_all().await;
        let expected = if on_disk {
            End::LeftInQueue
        } else {
            End::Failed("worker_crashed")
        };
        for receipt in receipts {
            assert_eq!(receipt.end().await, expected, "{on_disk} {offline}");
        }
        is_armed.store(false, Ordering::Relaxed);
        producer.counts().assert_sum();
        let later = within("a call afterwards", producer.send("later")).await;
        if let Ok(receipt) = later {
            assert!(!receipt.end().await.is_acked());
        }
        producer.stop().await;
        producer.counts().assert_sum();
        assert_eq!(producer.counts().queued, 0, "{on_disk} {offline}");
        let next = world.setup(on_disk).start().await;
        next.flushed().await;
        let times = usize::from(on_disk);
        for value in ["a", "b", "c"] {
            assert_eq!(world.times(0, value), times, "{value} {on_disk} {offline}");
        }
        assert_eq!(next.counts().possibly_duplicated, 0);
        next.stop().await;
    }
}

/// The task names what a previous run left for a partition that is not there, before it routes
/// anything: the application's log panics at that.
#[tokio::test]
async fn a_panic_in_the_task_that_routes_ends_every_call_and_what_is_on_disk_arrives_once() {
    let world = World::new(1).await;
    world.kill_all().await;
    let earlier = world.on_disk().start().await;
    drop(earlier.send_to(7, "nowhere").await.unwrap());
    earlier.stop().await;
    let producer = world.on_disk().start().await;
    let mut receipts = Vec::new();
    for value in ["a", "b", "c"] {
        receipts.push(producer.send(value).await.unwrap());
    }
    let guard = panic_at_log("that the topic does not have");
    world.revive_all().await;
    for receipt in receipts {
        assert_eq!(receipt.end().await, End::LeftInQueue);
    }
    drop(guard);
    producer.counts().assert_sum();
    let later = within("a call afterwards", producer.send("later")).await;
    if let Ok(receipt) = later {
        assert!(!receipt.end().await.is_acked());
    }
    producer.stop().await;
    producer.counts().assert_sum();
    assert_eq!(producer.counts().queued, 0);
    let next = world.on_disk().start().await;
    next.flushed().await;
    for value in ["a", "b", "c"] {
        assert_eq!(world.times(0, value), 1, "{value}");
    }
    assert_eq!(next.counts().possibly_duplicated, 0);
    next.stop().await;
}

/// The log of a call that the task fails panics in the midst of the work of its queue.
#[tokio::test]
async fn a_panic_while_the_end_of_a_call_is_reported_costs_its_own_queue_alone() {
    let world = World::new(1).await;
    world.kill_all().await;
    let producer = world.in_memory().start().await;
    let mut receipts = Vec::new();
    for value in ["a", "b", "c"] {
        receipts.push(producer.send(value).await.unwrap());
    }
    let nowhere = producer.send_to(7, "nowhere").await.unwrap();
    let guard = panic_at_log("records failed");
    world.revive_all().await;
    assert_eq!(nowhere.end().await, End::Failed("invalid_partition"));
    for receipt in receipts {
        assert!(receipt.end().await.is_acked());
    }
    drop(guard);
    assert_eq!(world.log(0), ["a", "b", "c"]);
    producer.stop().await;
    let counts = producer.counts();
    counts.assert_sum();
    assert_eq!((counts.acked, counts.failed, counts.queued), (3, 1, 0));
}
