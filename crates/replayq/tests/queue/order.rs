//! The order of the changes that a synced queue makes to its disk: what is relied on is durable
//! first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use replayq::vfs::sim::{Change, SimVfs};

use crate::driver::Driver;
use crate::program::{any_op, run_cases};
use crate::setup::{Mode, Setup};

/// Entries of a segment start here; before lie its header and its seal, which nothing relies on.
const HEAD_BYTES: u64 = 4096;

/// What is not durable at a point of the history.
#[derive(Default)]
struct Pending {
    /// Segments with entries that were written and not synced.
    entries: BTreeSet<PathBuf>,
    /// Segments whose name is not durable, and that hold entries.
    names: BTreeSet<PathBuf>,
    /// New or renamed segments.
    unnamed: BTreeSet<PathBuf>,
    /// How far the commits are that may cover what a segment holds.
    covered: BTreeMap<PathBuf, Covered>,
}

/// What has happened to the control file since the last entry of a segment was written.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
enum Covered {
    Nothing,
    Written,
    Durable,
}

fn is_segment(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "segment")
}

/// By the name that the file had when it was opened: the first one is written beside its place.
fn is_control(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "control")
}

impl Pending {
    fn pass(&mut self, change: &Change) {
        match change {
            Change::Create(path) if is_segment(path) => _ = self.unnamed.insert(path.clone()),
            Change::Write(path, position, _) if is_segment(path) && *position >= HEAD_BYTES => {
                self.entries.insert(path.clone());
                self.covered.insert(path.clone(), Covered::Nothing);
                if self.unnamed.contains(path) {
                    self.names.insert(path.clone());
                }
            }
            Change::Write(path, ..) if is_control(path) => {
                assert!(
                    self.entries.is_empty(),
                    "a commit before {:?} was synced",
                    self.entries
                );
                assert!(
                    self.names.is_empty(),
                    "a commit before {:?} had its name",
                    self.names
                );
                self.cover(Covered::Nothing, Covered::Written);
            }
            Change::Sync(path) if is_control(path) => {
                self.cover(Covered::Written, Covered::Durable);
            }
            Change::Sync(path) => _ = self.entries.remove(path),
            Change::SyncDirectory(_) => {
                self.unnamed.clear();
                self.names.clear();
            }
            Change::Remove(path) if is_segment(path) => self.check_covered(path),
            Change::Rename(from, to) if is_segment(from) => {
                self.check_covered(from);
                self.unnamed.insert(to.clone());
            }
            _ => {}
        }
    }

    fn cover(&mut self, from: Covered, to: Covered) {
        for covered in self.covered.values_mut() {
            if *covered == from {
                *covered = to;
            }
        }
    }

    fn check_covered(&mut self, path: &Path) {
        let covered = self.covered.remove(path);
        assert!(
            covered.is_none_or(|covered| covered == Covered::Durable),
            "{} goes when its commit is: {covered:?}",
            path.display()
        );
    }
}

/// How often segments went, and were used again.
fn check(history: &[Change]) -> usize {
    let mut pending = Pending::default();
    for change in history {
        pending.pass(change);
    }
    let gone = history.iter().filter(|change| match change {
        Change::Remove(path) | Change::Rename(path, _) => is_segment(path),
        _ => false,
    });
    gone.count()
}

#[test]
fn a_synced_queue_relies_on_nothing_that_is_not_durable() {
    let gone = std::cell::Cell::new(0);
    let strategy = (proptest::collection::vec(any_op(), 30..120), 0_usize..3);
    run_cases(60, &strategy, |(program, spare_segments)| {
        let setup = Setup {
            spare_segments,
            ..Setup::small(Mode::Fsync)
        };
        let vfs = SimVfs::new();
        let mut driver = Driver::start(setup, vfs.clone()).unwrap();
        driver.run(&program);
        driver.drain();
        gone.set(gone.get() + check(&vfs.history()));
        Ok(())
    });
    assert!(
        gone.get() > 100,
        "segments have to go for this to say something"
    );
}
