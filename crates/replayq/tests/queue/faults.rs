//! Every call to the file system fails, once and for ever: nothing that was answered is lost,
//! nothing comes back, and the queue recovers by itself.

use std::sync::Arc;

use proptest::prelude::*;

use replayq::vfs::sim::{Change, Fate, Fault, FaultKind, SimVfs};
use replayq::{
    AckError, AppendError, Config, Damage, Flush, FlushError, ItemId, ItemRange, PopLimits, Queue,
};

use crate::driver::{Driver, look};
use crate::program::{Op, any_op, run_cases};
use crate::setup::{DIRECTORY, End, Mode, Setup, payload, serial};

const EINTR: i32 = 4;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Appends over several segments, leases, tags, acks in and out of order, reopening: every call
/// that a queue makes.
fn program() -> Vec<Op> {
    let append = |count, bytes| Op::Append { count, bytes };
    vec![
        append(2, 100),
        Op::Pop { items: 1 },
        Op::Tag { lease: 0 },
        append(3, 1500),
        Op::AppendLeased {
            count: 1,
            bytes: 60,
            with_waiting: true,
        },
        Op::Pop { items: 2 },
        Op::Tag { lease: 0 },
        Op::AckSome {
            lease: 1,
            skip: 0,
            count: 1,
        },
        append(1, 4000),
        Op::Release { lease: 1 },
        Op::Flush { level: Flush::Os },
        Op::Flush { level: Flush::Disk },
        Op::Pop { items: 9 },
        Op::Ack { lease: 0 },
        Op::CommitTag,
        append(2, 1500),
        append(1, 3000),
        Op::Reopen,
        Op::Pop { items: 2 },
        Op::Tag { lease: 1 },
        Op::Ack { lease: 1 },
        Op::Release { lease: 0 },
        append(1, 2000),
        Op::Peek { items: 2 },
        Op::Kill,
        Op::ReadLease { lease: 0 },
        Op::Pop { items: 9 },
        Op::AckWithTag { lease: 0 },
        append(1, 30),
    ]
}

/// Runs the program with the fault, heals, goes on, and looks at what is there after a kill.
fn survives(setup: Setup, fault: Fault, program: &[Op]) {
    let vfs = SimVfs::new();
    let mut driver = Driver::start(setup, vfs.clone()).unwrap();
    vfs.inject(fault);
    driver.has_faults = true;
    driver.run(program);
    driver.check_power_loss();
    vfs.heal();
    driver.has_faults = false;
    driver.run(&[
        Op::Append {
            count: 1,
            bytes: 100,
        },
        Op::Pop { items: 4 },
        Op::Tag { lease: 0 },
    ]);
    driver.check_copy(End::Kill);
    let failures = driver.failures;
    driver.step(&Op::Flush { level: Flush::Disk });
    assert_eq!(driver.failures, failures, "a flush when all is well again");
    driver.check_power_loss();
    driver.drain();
}

fn survives_all(mode: Mode, kind: FaultKind) {
    survives_all_of(Setup::small(mode), kind, &program());
}

/// Every call of the program fails, once and for ever.
fn survives_all_of(setup: Setup, kind: FaultKind, program: &[Op]) {
    let vfs = SimVfs::new();
    let mut driver = Driver::start(setup, vfs.clone()).unwrap();
    let first = vfs.calls();
    driver.run(program);
    for call in first..vfs.calls() {
        for for_ever in [false, true] {
            let fault = Fault {
                call,
                for_ever,
                kind,
            };
            survives(setup, fault, program);
        }
    }
}

/// Random programs, of which a random call fails: once, or so many in a row that a part of the
/// program has no disk.
fn survives_at_random(mode: Mode, kind: FaultKind) {
    let strategy = (
        proptest::collection::vec(any_op(), 5..60),
        any::<u64>(),
        any::<bool>(),
        1..=8_u32,
    );
    run_cases(150, &strategy, |(program, dice, for_ever, lease_slots)| {
        // With few of them leases stand behind the items, too.
        let setup = Setup {
            lease_slots,
            ..Setup::small(mode)
        };
        let vfs = SimVfs::new();
        let mut driver = Driver::start(setup, vfs.clone()).unwrap();
        let first = vfs.calls();
        driver.run(&program);
        let call = first + dice % (vfs.calls() - first).max(1);
        let fault = Fault {
            call,
            for_ever,
            kind,
        };
        survives(setup, fault, &program);
        Ok(())
    });
}

#[test]
fn any_call_of_any_program_on_disk_may_fail() {
    survives_at_random(Mode::Os, FaultKind::Error(EIO));
}

#[test]
fn any_call_of_any_program_with_syncs_may_fail() {
    survives_at_random(Mode::Fsync, FaultKind::Error(EIO));
}

#[test]
fn any_call_of_any_program_that_spills_may_fail() {
    survives_at_random(Mode::Offload, FaultKind::Error(EIO));
}

#[test]
fn any_call_of_any_program_that_spills_may_find_the_disk_full() {
    survives_at_random(Mode::Offload, FaultKind::Error(ENOSPC));
}

/// Into the segment that a failed flush had begun for older items went newer ones, where nobody
/// looks for them.
#[test]
fn what_is_appended_behind_a_flush_that_failed_in_the_middle_is_found_again() {
    let append = |count, bytes| Op::Append { count, bytes };
    let program = [
        append(2, 8),
        Op::Pop { items: 2 },
        Op::Tag { lease: 0 },
        append(1, 8),
        Op::Pop { items: 1 },
        append(1, 817),
        append(1, 4168),
        append(1, 537),
        Op::Tag { lease: 1 },
        Op::Flush { level: Flush::Os },
        Op::Ack { lease: 0 },
        Op::Ack { lease: 0 },
        append(1, 8),
    ];
    let setup = Setup {
        lease_slots: 3,
        ..Setup::small(Mode::Offload)
    };
    survives_all_of(setup, FaultKind::Error(EIO), &program);
}

#[test]
fn any_call_may_fail_with_an_io_error() {
    for mode in Mode::DURABLE {
        survives_all(mode, FaultKind::Error(EIO));
    }
}

#[test]
fn any_call_may_find_the_disk_full() {
    for mode in Mode::DURABLE {
        survives_all(mode, FaultKind::Error(ENOSPC));
    }
}

#[test]
fn the_file_system_may_become_read_only_at_any_call_and_writable_again() {
    for mode in Mode::DURABLE {
        survives_all(mode, FaultKind::ReadOnly);
    }
}

#[test]
fn a_read_only_file_system_still_hands_out_what_is_there_and_takes_acks_for_this_life() {
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    for serial in 1..=9 {
        queue.append_one(payload(serial, 1000)).unwrap();
    }
    vfs.inject(Fault {
        call: 0,
        for_ever: true,
        kind: FaultKind::ReadOnly,
    });
    let refused = queue.append_one(payload(10, 1000)).unwrap_err();
    assert!(refused.to_string().contains("remount"), "{refused}");
    for serial in 1..=9 {
        let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        assert_eq!(lease.items[0].payload, payload(serial, 1000));
        let acked = queue.ack(lease.id);
        assert!(matches!(acked, Err(AckError::NotDurable(_))), "{acked:?}");
    }
    queue.close().unwrap_err();
    vfs.heal();
    queue.append_one(payload(11, 1000)).unwrap();
    queue.close().unwrap();
    let (queue, _) = setup.open(&vfs).unwrap();
    assert_eq!(popped(&queue), [11]);
}

#[test]
fn any_read_or_write_may_be_short() {
    for mode in Mode::DURABLE {
        survives_all(mode, FaultKind::Short);
    }
}

/// Once is not noticed; for ever is an error like any other, after a bounded number of tries.
#[test]
fn any_call_may_be_interrupted() {
    for mode in Mode::DURABLE {
        survives_all(mode, FaultKind::Error(EINTR));
    }
}

#[test]
fn a_call_that_is_interrupted_without_end_is_an_error_that_says_where() {
    let (setup, vfs) = (Setup::small(Mode::Fsync), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    let before = vfs.calls();
    vfs.inject(Fault {
        call: before,
        for_ever: true,
        kind: FaultKind::Error(EINTR),
    });
    let error = queue.append_one(payload(1, 100)).unwrap_err();
    let AppendError::NotAppended(failure) = &error else {
        panic!("{error}")
    };
    assert_eq!(failure.kind(), std::io::ErrorKind::Interrupted);
    assert!(failure.path().starts_with(DIRECTORY), "{error}");
    assert!(vfs.calls() < before + 20_000, "tries without end");
    vfs.heal();
    queue.append_one(payload(2, 100)).unwrap();
}

/// Makes the next sync of a segment fail, and the append that asked for it.
#[test]
fn a_failed_sync_is_never_retried_but_its_items_written_to_a_new_file() {
    let (setup, vfs) = (Setup::small(Mode::Fsync), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append_one(payload(1, 100)).unwrap();
    let changes = vfs.history().len();
    // The calls of an append: write, sync.
    vfs.inject(Fault {
        call: vfs.calls() + 1,
        for_ever: false,
        kind: FaultKind::Error(EIO),
    });
    queue.append_one(payload(2, 100)).unwrap();
    let history = vfs.history();
    let created = history[changes..].iter().find_map(|change| match change {
        Change::Create(path) => Some(path.clone()),
        _ => None,
    });
    let created = created.expect("a new file");
    assert!(history.contains(&Change::Sync(created)));
    let lost = vfs.after_power_loss(vfs.pending_names(), |_, _| Fate::Lost);
    let (queue, _) = setup.open(&lost).unwrap();
    let lease = queue.pop(PopLimits::items(9)).unwrap().unwrap();
    assert_eq!(lease.items.len(), 2);
}

/// At level `Os`: eight items of a kilobyte, of which the first three are durable, and the last
/// sync of the segment fails.
fn fail_a_flush(
    resident_bytes: u64,
    kind: FaultKind,
) -> (SimVfs, Setup, Queue, Result<(), FlushError>) {
    let setup = Setup {
        segment_bytes: 50_000,
        resident_bytes,
        ..Setup::small(Mode::Os)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    for serial in 1..=3 {
        queue.append_one(payload(serial, 1000)).unwrap();
    }
    queue.flush(Flush::Disk).unwrap();
    for serial in 4..=8 {
        queue.append_one(payload(serial, 1000)).unwrap();
    }
    // The calls of a flush: open the segment, sync it.
    vfs.inject(Fault {
        call: vfs.calls() + 1,
        for_ever: false,
        kind,
    });
    let flushed = queue.flush(Flush::Disk);
    (vfs, setup, queue, flushed)
}

fn popped(queue: &Queue) -> Vec<u64> {
    let lease = queue.pop(PopLimits::items(99)).unwrap();
    let items = lease.into_iter().flat_map(|lease| lease.items);
    items.map(|item| serial(&item.payload)).collect()
}

#[test]
fn a_flush_whose_sync_fails_reads_the_items_back_and_writes_them_to_a_new_file() {
    for resident_bytes in [0, 2500, 100_000] {
        let (vfs, setup, queue, flushed) = fail_a_flush(resident_bytes, FaultKind::Error(EIO));
        flushed.unwrap();
        let history = vfs.history();
        let failed = history.iter().find_map(|change| match change {
            Change::Create(path) if path.extension().is_some_and(|end| end == "segment") => {
                Some(path.clone())
            }
            _ => None,
        });
        let failed = failed.expect("a segment");
        assert!(history.contains(&Change::Remove(failed)), "{history:?}");
        queue.append_one(payload(9, 100)).unwrap();
        queue.flush(Flush::Disk).unwrap();
        let lost = vfs.after_power_loss(0, |_, _| Fate::Lost);
        for queue in [queue, setup.open(&lost).unwrap().0] {
            assert_eq!(popped(&queue), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
            assert_eq!(queue.damage(), []);
        }
    }
}

/// The kernel may drop what it could not write.
#[test]
fn items_that_a_failed_sync_has_dropped_are_written_from_memory_or_reported() {
    let (_, _, queue, flushed) = fail_a_flush(100_000, FaultKind::Drop);
    flushed.unwrap();
    assert_eq!(popped(&queue), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(queue.damage(), []);

    for resident_bytes in [0, 2500] {
        let (vfs, setup, queue, flushed) = fail_a_flush(resident_bytes, FaultKind::Drop);
        let Err(FlushError::Lost { items: 5 }) = flushed else {
            panic!("{flushed:?}")
        };
        let ids = ItemRange::new(ItemId(4), ItemId(8));
        let damage = queue.damage();
        assert_eq!(damage.iter().map(Damage::ids).collect::<Vec<_>>(), [ids]);
        let aside = vfs.files().into_iter().find(|file| {
            let extension = file.extension();
            extension.is_some_and(|extension| extension == "damaged")
        });
        assert!(aside.is_some(), "{:?}", vfs.files());
        // All others are durable, and it goes on.
        queue.flush(Flush::Disk).unwrap();
        let lost = vfs.after_power_loss(0, |_, _| Fate::Lost);
        queue.append_one(payload(9, 100)).unwrap();
        assert_eq!(popped(&queue), [1, 2, 3, 9]);
        assert_eq!(popped(&setup.open(&lost).unwrap().0), [1, 2, 3]);
    }
}

#[test]
fn a_segment_is_replaced_in_the_middle_of_its_being_read_with_leases_in_it() {
    for reads in 0..8 {
        let setup = Setup {
            segment_bytes: 50_000,
            resident_bytes: 0,
            ..Setup::small(Mode::Os)
        };
        let mut driver = Driver::start(setup, SimVfs::new()).unwrap();
        for _ in 0..10 {
            driver.step(&Op::Append {
                count: 2,
                bytes: 900,
            });
        }
        driver.step(&Op::AppendLeased {
            count: 1,
            bytes: 900,
            with_waiting: true,
        });
        for _ in 0..reads {
            driver.step(&Op::Pop { items: 2 });
            driver.step(&Op::Tag { lease: 0 });
            driver.step(&Op::Tag { lease: 1 });
        }
        let vfs = driver.vfs.clone();
        vfs.inject(Fault {
            call: vfs.calls() + 1,
            for_ever: false,
            kind: FaultKind::Error(EIO),
        });
        driver.step(&Op::Flush { level: Flush::Disk });
        vfs.heal();
        driver.check_copy(End::Kill);
        driver.check_power_loss();
        driver.step(&Op::Release { lease: 1 });
        driver.step(&Op::Pop { items: 5 });
        driver.step(&Op::Tag { lease: 0 });
        driver.check_copy(End::Kill);
        driver.drain();
    }
}

#[test]
fn a_crash_while_a_segment_is_replaced_loses_nothing_and_leaves_no_half_of_a_copy() {
    let append = |count| Op::Append { count, bytes: 900 };
    let mut crashes = 0;
    for (change, torn_bytes) in (0..99).flat_map(|change| [(change, 0), (change, 3000)]) {
        let setup = Setup {
            segment_bytes: 50_000,
            ..Setup::small(Mode::Os)
        };
        let mut driver = Driver::start(setup, SimVfs::new()).unwrap();
        let vfs = driver.vfs.clone();
        driver.run(&[append(4), Op::Pop { items: 2 }, Op::Tag { lease: 0 }]);
        driver.run(&[Op::Flush { level: Flush::Disk }, append(4)]);
        vfs.inject(Fault {
            call: vfs.calls() + 1,
            for_ever: false,
            kind: FaultKind::Error(EIO),
        });
        vfs.crash_at(vfs.changes() + change, torn_bytes);
        driver.step(&Op::Flush { level: Flush::Disk });
        if !vfs.is_crashed() {
            break;
        }
        crashes += 1;
        driver.check_copy(End::Kill);
        for names in 0..=vfs.pending_names() {
            for fate in [Fate::Lost, Fate::Kept, Fate::Part(0, 2000)] {
                let after = vfs.after_power_loss(names, |_, _| fate);
                let image = look(&setup, &after);
                driver.oracle.clone().reopen(&image, End::PowerLoss);
            }
        }
        let after = vfs.after_kill();
        drop(setup.open(&after).unwrap());
        let is_left = |file: &std::path::PathBuf| file.ends_with("segment.new");
        assert!(!after.files().iter().any(is_left), "{:?}", after.files());
    }
    assert!(crashes > 12, "{crashes} crashes");
}

#[test]
fn a_queue_goes_on_by_itself_when_there_is_space_again() {
    for mode in [Mode::Os, Mode::Fsync] {
        let (setup, vfs) = (Setup::small(mode), SimVfs::new());
        let mut driver = Driver::start(setup, vfs.clone()).unwrap();
        vfs.set_capacity(Some(vfs.used_bytes() + 20_000));
        for _ in 0..30 {
            driver.step(&Op::Append {
                count: 2,
                bytes: 700,
            });
        }
        assert!(driver.failures > 0, "the disk is full");
        // Leasing with a tag, acking and deleting need no space.
        let failures = driver.failures;
        for _ in 0..5 {
            driver.step(&Op::Pop { items: 3 });
            driver.step(&Op::Tag { lease: 0 });
            driver.step(&Op::Ack { lease: 0 });
        }
        assert_eq!(
            driver.failures, failures,
            "leasing and acking on a full disk"
        );
        driver.step(&Op::Append {
            count: 2,
            bytes: 700,
        });
        assert_eq!(driver.failures, failures, "the acked segments made room");
        driver.drain();
    }
}

/// A part of what was asked for would look to the caller as if the rest were lost.
#[test]
fn a_read_that_fails_in_the_middle_of_a_pop_takes_nothing() {
    const ITEMS: usize = 40;
    let vfs = SimVfs::new();
    let config = Config::disk("/queue")
        .segment_bytes(4096)
        .read_bytes(4096)
        .resident_bytes(0)
        .vfs(Arc::new(vfs.clone()));
    let (queue, _) = Queue::open(config).unwrap();
    let items: Vec<_> = (0..ITEMS)
        .map(|serial| payload(serial as u64, 1000))
        .collect();
    for item in &items {
        queue.append_one(item.clone()).unwrap();
    }
    let mut failures = 0;
    let lease = loop {
        assert!(failures < 1_000, "it never succeeds");
        // Each round gets one call further.
        vfs.inject(Fault {
            call: vfs.calls() + failures,
            for_ever: true,
            kind: FaultKind::Error(EIO),
        });
        let popped = queue.pop(PopLimits::items(ITEMS));
        vfs.heal();
        match popped {
            Ok(lease) => break lease.unwrap(),
            Err(_) => assert_eq!(queue.count(), ITEMS as u64),
        }
        failures += 1;
    };
    assert!(failures > 2, "{failures}");
    let payloads: Vec<_> = lease.items.into_iter().map(|item| item.payload).collect();
    assert_eq!(payloads, items);
}

/// It was filled again as if nothing had been, when its items were acked.
#[test]
fn a_file_whose_sync_failed_in_an_append_is_not_used_again() {
    let (setup, vfs) = (Setup::small(Mode::Fsync), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    queue.append_one(payload(1, 500)).unwrap();
    let failed = crate::calls::segment(&vfs);
    let changes = vfs.history().len();
    // The calls of an append: write, sync.
    vfs.inject(Fault {
        call: vfs.calls() + 1,
        for_ever: false,
        kind: FaultKind::Error(EIO),
    });
    queue.append_one(payload(2, 100)).unwrap();
    for number in 3..=9 {
        let lease = queue.pop(PopLimits::items(9)).unwrap().unwrap();
        queue.ack(lease.id).unwrap();
        queue.append_one(payload(number, 3500)).unwrap();
    }
    let history = vfs.history();
    let is_used = |change: &&Change| match change {
        Change::Write(path, ..) | Change::Sync(path) | Change::Rename(path, _) => *path == failed,
        _ => false,
    };
    let used: Vec<_> = history[changes + 1..].iter().filter(is_used).collect();
    assert_eq!(used, Vec::<&Change>::new());
    assert!(history.contains(&Change::Remove(failed)));
}
