//! The simulated disk together with the process that uses it: its calls, its faults, its end.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{Disk, Fate, Inode, PendingWrite};
use super::fault::{Fault, FaultKind};

/// A change that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A file was made.
    Create(PathBuf),
    /// A file got another name.
    Rename(PathBuf, PathBuf),
    /// A file was removed.
    Remove(PathBuf),
    /// The names were made durable.
    SyncDirectory(PathBuf),
    /// Bytes were written, from the position on.
    Write(PathBuf, u64, usize),
    /// The length was set.
    SetLength(PathBuf, u64),
    /// A file's content was made durable.
    Sync(PathBuf),
}

const EIO: i32 = 5;
const EROFS: i32 = 30;

/// The state of a simulation.
#[derive(Debug)]
pub(super) struct World {
    pub(super) disk: Disk,
    pub(super) faults: Vec<Fault>,
    pub(super) calls: u64,
    pub(super) changes: u64,
    pub(super) read_bytes: u64,
    pub(super) crash_at: Option<(u64, usize)>,
    pub(super) is_crashed: bool,
    pub(super) capacity: Option<u64>,
    pub(super) history: Vec<Change>,
    pub(super) boot: u64,
    /// Since the beginning of 1970.
    pub(super) time: Duration,
    locks: BTreeSet<PathBuf>,
    randoms: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            disk: Disk::default(),
            faults: Vec::new(),
            calls: 0,
            changes: 0,
            read_bytes: 0,
            crash_at: None,
            is_crashed: false,
            capacity: None,
            history: Vec::new(),
            boot: 0,
            time: Duration::from_secs(1_700_000_000),
            locks: BTreeSet::new(),
            randoms: 0,
        }
    }
}

/// The outcome chosen for a call that reads or writes.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Extent {
    Full,
    Half,
}

impl World {
    /// Counts a call that neither reads nor writes content.
    pub(super) fn call(&mut self) -> io::Result<()> {
        self.transfer().map(|_| ())
    }

    /// Counts a call that reads or writes content.
    pub(super) fn transfer(&mut self) -> io::Result<Extent> {
        if self.is_crashed {
            return Err(io::Error::other("the simulated process has ended"));
        }
        let call = self.calls;
        self.calls = call.saturating_add(1);
        match self
            .faults
            .iter()
            .find(|fault| fault.strikes(call))
            .map(|fault| fault.kind)
        {
            Some(FaultKind::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(FaultKind::Drop) => Err(io::Error::from_raw_os_error(EIO)),
            Some(FaultKind::Short) => Ok(Extent::Half),
            Some(FaultKind::ReadOnly) | None => Ok(Extent::Full),
        }
    }

    /// Returns whether the call that is being made may change something.
    pub(super) fn check_writable(&self) -> io::Result<()> {
        let call = self.calls.saturating_sub(1);
        let fault = self.faults.iter().find(|fault| fault.strikes(call));
        match fault.map(|fault| fault.kind) {
            Some(FaultKind::ReadOnly) => Err(io::Error::from_raw_os_error(EROFS)),
            _ => Ok(()),
        }
    }

    /// Counts a change, before it is made.
    pub(super) fn change(&mut self, change: Change) -> io::Result<()> {
        if !matches!(change, Change::Sync(_) | Change::SyncDirectory(_)) {
            self.check_writable()?;
        }
        match self.begin_change() {
            Some(_) => Err(io::Error::other("the simulated process has ended")),
            None => {
                self.history.push(change);
                Ok(())
            }
        }
    }

    /// Counts a write. If the process ends here: how many bytes are still written.
    pub(super) fn begin_change(&mut self) -> Option<usize> {
        let number = self.changes;
        self.changes = number.saturating_add(1);
        let (_, torn_bytes) = self.crash_at.filter(|(at, _)| *at == number)?;
        self.is_crashed = true;
        Some(torn_bytes)
    }

    /// Bytes that may still be written.
    pub(super) fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| {
            capacity.saturating_sub(self.disk.used_bytes())
        })
    }

    pub(super) fn take_lock(&mut self, path: &Path) -> bool {
        self.locks.insert(path.to_path_buf())
    }

    pub(super) fn drop_lock(&mut self, path: &Path) {
        self.locks.remove(path);
    }

    /// The call before this one was a sync that has failed.
    pub(super) fn fail_sync(&mut self, inode: Inode) {
        let call = self.calls.saturating_sub(1);
        let fault = self.faults.iter().find(|fault| fault.strikes(call));
        let drops = fault.is_some_and(|fault| fault.kind == FaultKind::Drop);
        self.disk.fail_sync(inode, drops);
    }

    pub(super) fn next_random(&mut self) -> [u8; 16] {
        self.randoms = self.randoms.saturating_add(1);
        let low = crc32c::crc32c(&self.randoms.to_le_bytes());
        (u128::from(self.randoms) << 64 | u128::from(low)).to_be_bytes()
    }

    pub(super) fn after_kill(&self) -> Self {
        self.with_disk(self.disk.after_kill(), self.boot)
    }

    pub(super) fn after_power_loss(
        &self,
        names: usize,
        fate: impl FnMut(usize, &PendingWrite) -> Fate,
    ) -> Self {
        self.with_disk(
            self.disk.after_power_loss(names, fate),
            self.boot.saturating_add(1),
        )
    }

    fn with_disk(&self, disk: Disk, boot: u64) -> Self {
        Self {
            disk,
            boot,
            capacity: self.capacity,
            time: self.time,
            randoms: self.randoms,
            ..Self::default()
        }
    }
}
