//! The crash explorer: programs cut at every change they make to the disk, by a kill or by a power
//! loss that takes unsynced writes away in many combinations, and what is recovered then.

use proptest::prelude::*;
use replayq::Flush;
use replayq::vfs::sim::{Fate, PendingWrite, SimVfs};

use crate::driver::{Driver, look};
use crate::program::{Op, any_op, run_cases};
use crate::setup::{End, Mode, Setup};

/// What a power loss leaves of the changes that were not durable.
#[derive(Copy, Clone, Debug)]
enum Loss {
    /// Nothing of them.
    All,
    /// Everything but names.
    Names,
    /// All names, but no content.
    Content,
    /// All names, and of content the lengths only.
    LengthsOnly,
    /// All but this one, which is lost, or torn, or of which only the length is there.
    One(usize, Torn),
    /// Only this one: it overtook all others.
    Only(usize),
    /// Each change by a coin, whole or torn.
    Random(u64),
}

#[derive(Copy, Clone, Debug)]
enum Torn {
    Lost,
    FirstHalf,
    SecondHalf,
    Length,
}

const TORN: [Torn; 4] = [Torn::Lost, Torn::FirstHalf, Torn::SecondHalf, Torn::Length];

impl Torn {
    fn fate(self, write: &PendingWrite) -> Fate {
        let bytes = write.bytes.unwrap_or(0);
        match self {
            Self::Lost => Fate::Lost,
            Self::FirstHalf => Fate::Part(0, bytes / 2),
            Self::SecondHalf => Fate::Part(bytes / 2, bytes),
            Self::Length => Fate::Part(bytes, bytes),
        }
    }
}

impl Loss {
    /// The interesting ones for so many pending writes.
    fn of(writes: usize) -> Vec<Self> {
        let mut all = vec![Self::All, Self::Names, Self::Content, Self::LengthsOnly];
        for write in 0..writes {
            all.extend(TORN.map(|torn| Self::One(write, torn)));
            all.push(Self::Only(write));
        }
        all
    }

    fn apply(self, vfs: &SimVfs) -> SimVfs {
        let all_names = vfs.pending_names();
        let mut dice = Dice(match self {
            Self::Random(seed) => seed,
            _ => 0,
        });
        let names = match self {
            Self::All | Self::Names => 0,
            Self::Random(_) => dice.below(all_names + 1),
            _ => all_names,
        };
        vfs.after_power_loss(names, |index, write| match self {
            Self::All | Self::Content => Fate::Lost,
            Self::Names => Fate::Kept,
            Self::LengthsOnly => Torn::Length.fate(write),
            Self::One(one, torn) if one == index => torn.fate(write),
            Self::One(..) => Fate::Kept,
            Self::Only(one) if one == index => Fate::Kept,
            Self::Only(_) => Fate::Lost,
            Self::Random(_) => match dice.below(8) {
                0..3 => Fate::Kept,
                die @ 3..7 => TORN[die - 3].fate(write),
                _ => Fate::Lost,
            },
        })
    }
}

/// A small source of numbers that depend on the seed only.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// Runs the program up to the change, which does not happen, or of a write only so many bytes of
/// it.
fn run_until(setup: Setup, program: &[Op], change: u64, torn_bytes: usize) -> Option<Driver> {
    let vfs = SimVfs::new();
    let mut driver = Driver::start(setup, vfs.clone()).unwrap();
    vfs.crash_at(change, torn_bytes);
    driver.run(program);
    vfs.is_crashed().then_some(driver)
}

/// How many changes opening an empty directory makes, and with the whole program.
fn changes(setup: Setup, program: &[Op]) -> std::ops::Range<u64> {
    let vfs = SimVfs::new();
    let mut driver = Driver::start(setup, vfs.clone()).unwrap();
    let first = vfs.changes();
    driver.run(program);
    first..vfs.changes() + 1
}

/// Checks what is recovered from the disk, twice, and that the queue works then.
fn check(driver: &Driver, disk: SimVfs, end: End, goes_on: bool) {
    let mut oracle = driver.oracle.clone();
    let image = look(&driver.setup, &disk);
    oracle.reopen(&image, end);
    if !goes_on {
        return;
    }
    let mut next = Driver {
        setup: driver.setup,
        vfs: disk,
        oracle,
        queue: None,
        has_faults: false,
        is_sure: end == End::Kill || driver.setup.mode.keeps(end),
        failures: 0,
    };
    next.drain();
}

/// Cuts recovery itself at each of its changes, and recovers then.
fn check_recovery(driver: &Driver, disk: &SimVfs, end: End) {
    let whole = disk.copy();
    let before = whole.changes();
    drop(driver.setup.open(&whole));
    for change in before..whole.changes() {
        for torn_bytes in [0, 40] {
            let cut = disk.copy();
            cut.crash_at(change, torn_bytes);
            drop(driver.setup.open(&cut));
            check(driver, cut.after_kill(), end, false);
            let lost = Loss::Random(change).apply(&cut);
            check(driver, lost, End::PowerLoss, false);
        }
    }
}

/// Every prefix, every interesting loss.
fn explore(setup: Setup, program: &[Op]) {
    for change in changes(setup, program) {
        for torn_bytes in [0, 30] {
            let Some(driver) = run_until(setup, program, change, torn_bytes) else {
                continue;
            };
            check(&driver, driver.vfs.after_kill(), End::Kill, true);
            if torn_bytes == 0 {
                check_recovery(&driver, &driver.vfs.after_kill(), End::Kill);
                for loss in Loss::of(driver.vfs.pending_writes().len()) {
                    check(&driver, loss.apply(&driver.vfs), End::PowerLoss, false);
                }
                for seed in 0..4 {
                    let disk = Loss::Random(seed).apply(&driver.vfs);
                    check(&driver, disk.copy(), End::PowerLoss, true);
                }
            }
        }
    }
}

/// The operations of short programs: few, each with one size.
const ALPHABET: [Op; 9] = [
    Op::Append {
        count: 2,
        bytes: 100,
    },
    Op::Append {
        count: 1,
        bytes: 2500,
    },
    Op::AppendLeased {
        count: 1,
        bytes: 50,
        with_waiting: true,
    },
    Op::Pop { items: 2 },
    Op::Ack { lease: 0 },
    Op::AckSome {
        lease: 0,
        skip: 1,
        count: 1,
    },
    Op::Tag { lease: 0 },
    Op::Release { lease: 0 },
    Op::Reopen,
];

/// The same where a flush writes down what is in memory.
const ALPHABET_OF_MEMORY: [Op; 8] = [
    Op::Append {
        count: 2,
        bytes: 100,
    },
    Op::AppendLeased {
        count: 1,
        bytes: 50,
        with_waiting: true,
    },
    Op::Append {
        count: 2,
        bytes: 2500,
    },
    Op::Pop { items: 2 },
    Op::Ack { lease: 0 },
    Op::Release { lease: 0 },
    Op::Flush { level: Flush::Os },
    Op::Flush { level: Flush::Disk },
];

/// All programs of so many operations that begin with one of the first two.
fn explore_all(mode: Mode, alphabet: &[Op], length: u32) {
    let setup = Setup::small(mode);
    let count = alphabet.len().pow(length - 1);
    for number in 0..count * 2 {
        let mut rest = number / 2;
        let mut program = vec![alphabet[number % 2].clone()];
        for _ in 1..length {
            program.push(alphabet[rest % alphabet.len()].clone());
            rest /= alphabet.len();
        }
        explore(setup, &program);
    }
}

#[test]
fn every_crash_of_every_short_program_on_disk_keeps_what_was_answered() {
    explore_all(Mode::Os, &ALPHABET, 3);
}

#[test]
fn every_crash_of_every_short_program_with_syncs_keeps_what_was_answered() {
    explore_all(Mode::Fsync, &ALPHABET, 3);
}

#[test]
fn every_crash_of_every_short_program_that_flushes_memory_keeps_what_was_flushed() {
    explore_all(Mode::Offload, &ALPHABET_OF_MEMORY, 4);
}

fn explore_random(mode: Mode, cases: u32) {
    let strategy = (
        proptest::collection::vec(any_op(), 5..60),
        any::<u64>(),
        0_usize..3,
    );
    run_cases(cases, &strategy, |(program, dice, spare_segments)| {
        let setup = Setup {
            spare_segments,
            ..Setup::small(mode)
        };
        let range = changes(setup, &program);
        let mut dice = Dice(dice);
        let span = usize::try_from(range.end - range.start).unwrap();
        for _ in 0..4 {
            let change = range.start + dice.below(span) as u64;
            let Some(driver) = run_until(setup, &program, change, dice.below(200)) else {
                continue;
            };
            check(&driver, driver.vfs.after_kill(), End::Kill, true);
            let seed = dice.below(usize::MAX) as u64;
            let lost = Loss::Random(seed).apply(&driver.vfs);
            check(&driver, lost.copy(), End::PowerLoss, true);
            check_recovery(&driver, &lost, End::PowerLoss);
        }
        Ok(())
    });
}

#[test]
fn crashes_of_long_programs_on_disk_keep_what_was_answered() {
    explore_random(Mode::Os, 300);
}

#[test]
fn crashes_of_long_programs_with_syncs_keep_what_was_answered() {
    explore_random(Mode::Fsync, 300);
}

#[test]
fn crashes_of_long_programs_that_spill_keep_order_and_forget_nothing_closed() {
    explore_random(Mode::Offload, 150);
}
