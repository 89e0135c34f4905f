//! The one place where a queue's ledger is: beside its files, or alone.

use crate::disk::Disk;
use crate::state::ledger::Ledger;
use crate::sync::{Mutex, MutexGuard};

/// The state of a queue.
#[derive(Debug)]
pub(crate) enum Store {
    /// In memory only.
    Memory(Box<Mutex<Ledger>>),
    /// With files.
    Disk(Box<Disk>),
}

impl Store {
    /// The ledger, for moments.
    #[inline]
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        match self {
            Self::Memory(ledger) => ledger.lock(),
            Self::Disk(disk) => disk.ledger(),
        }
    }

    /// The files, if there are any.
    #[inline]
    pub(crate) fn disk(&self) -> Option<&Disk> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(disk) => Some(disk),
        }
    }
}
