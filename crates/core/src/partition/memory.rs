//! The memory that a partition takes, for its owner to bound.

use super::Partition;
use crate::config::Storage;

/// The memory that a queue takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryUse {
    /// Bytes that nothing but the end of records frees.
    pub used_bytes: u64,
    /// Bytes that are leased from the disk, and can be read from there again.
    pub leased_bytes: u64,
}

impl<T: Clone> Partition<T> {
    /// Bytes of memory held: records that are accepted and not finished, as far as they are not
    /// on disk alone, records of other queues, copies that are compressed, and what
    /// [`hold_beside`](Self::hold_beside) has added. What is leased from a queue on disk is apart.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        let window = self.sending.memory();
        let counters = self.ends.counters();
        let intake = self.intake.memory_bytes(counters, window.record_bytes);
        let foreign = (self.backlog.foreign_bytes()).saturating_add(window.foreign_bytes);
        let used = intake.saturating_add(foreign);
        match self.storage {
            // The window shares the bytes of the queue.
            Storage::Memory => MemoryUse {
                used_bytes: used.saturating_add(window.compressed_bytes),
                leased_bytes: 0,
            },
            Storage::Disk => MemoryUse {
                used_bytes: used,
                leased_bytes: (window.record_bytes.saturating_sub(window.foreign_bytes))
                    .saturating_add(window.compressed_bytes),
            },
        }
    }

    /// Bytes that may be accepted before calls are refused with
    /// [`Refused::NoMemory`](crate::Refused::NoMemory). Goes down with each call; without a
    /// limit at first.
    #[must_use]
    pub fn memory_room(&self) -> u64 {
        self.intake.memory_room()
    }

    /// Adds to the bytes that may be accepted.
    pub fn grow_memory_room(&mut self, bytes: u64) {
        self.intake.grow_memory_room(bytes);
    }

    /// Sets the bytes that may be accepted. `is_short`: there is too little memory as things
    /// are: what is on disk is leased one batch at a time.
    pub fn set_memory_room(&mut self, bytes: u64, is_short: bool) {
        self.intake.set_memory_room(bytes);
        self.sending
            .set_short(is_short && self.storage == Storage::Disk);
    }

    /// So many bytes are held for those who observe the end of the call that was accepted last.
    #[inline]
    pub fn hold_beside(&mut self, bytes: usize) {
        self.ends.counters_mut().hold_beside(bytes);
        self.intake.spend_memory(bytes);
    }

    /// So many of them are not held any more.
    pub fn let_go_beside(&mut self, bytes: usize) {
        self.ends.counters_mut().let_go_beside(bytes);
    }
}
