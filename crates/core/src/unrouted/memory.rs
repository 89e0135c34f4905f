//! The memory that the queue of unrouted records takes, for its owner to bound.

use super::Unrouted;
use crate::partition::MemoryUse;

impl<T: Clone> Unrouted<T> {
    /// Memory held; see [`Partition::memory`](crate::Partition::memory). Leases have a limit of
    /// their own here.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        MemoryUse {
            used_bytes: self.intake.memory_bytes(self.ends.counters(), 0),
            leased_bytes: 0,
        }
    }

    /// See [`Partition::memory_room`](crate::Partition::memory_room).
    #[must_use]
    pub fn memory_room(&self) -> u64 {
        self.intake.memory_room()
    }

    /// See [`Partition::grow_memory_room`](crate::Partition::grow_memory_room).
    pub fn grow_memory_room(&mut self, bytes: u64) {
        self.intake.grow_memory_room(bytes);
    }

    /// See [`Partition::set_memory_room`](crate::Partition::set_memory_room): leases have a
    /// limit of their own here.
    pub fn set_memory_room(&mut self, bytes: u64, _is_short: bool) {
        self.intake.set_memory_room(bytes);
    }

    /// Nothing is counted beside the records: those who observe calls of this queue learn of
    /// their ends at the partitions.
    pub fn hold_beside(&mut self, _bytes: usize) {}

    /// Nothing was counted.
    pub fn let_go_beside(&mut self, _bytes: usize) {}
}
