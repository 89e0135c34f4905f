//! What stands in the local queue and is not leased yet: one entry per batch of this life, in queue order.

use std::collections::VecDeque;

/// A batch whose frames are (at least in part) in the local queue.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) token: T,
    /// Id of the queue item that holds its first frame.
    pub(crate) first_item: u64,
    /// Frames in the queue.
    pub(crate) frames: u64,
    pub(crate) records: u32,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    /// No frame will follow.
    pub(crate) closed: bool,
}

/// The entries. Only the last one may be open. Records of an earlier life of the queue stand before all of them and are
/// known by number only.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    entries: VecDeque<Entry<T>>,
    /// Items that an earlier life left.
    pub(crate) recovered_items: u64,
    /// And their bytes.
    pub(crate) recovered_bytes: u64,
}

impl<T> Backlog<T> {
    pub(crate) fn new(recovered_items: u64, recovered_bytes: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            recovered_items,
            recovered_bytes,
        }
    }

    /// Items of the earlier life were leased.
    pub(crate) fn take_recovered(&mut self, items: u64, bytes: u64) {
        self.recovered_items = self.recovered_items.saturating_sub(items);
        self.recovered_bytes = self.recovered_bytes.saturating_sub(bytes);
    }

    /// Whether a whole batch is there to lease.
    pub(crate) fn has_closed_batch(&self) -> bool {
        self.recovered_items > 0 || self.entries.front().is_some_and(|entry| entry.closed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.recovered_items == 0 && self.entries.is_empty()
    }

    /// Whether the entry that is still open is all there is.
    pub(crate) fn holds_only_the_open_batch(&self) -> bool {
        self.recovered_items == 0 && self.entries.front().is_none_or(|entry| !entry.closed)
    }

    /// Items of the batch that is leased next, where its length is known.
    pub(crate) fn next_items(&self) -> Option<u64> {
        (self.recovered_items == 0)
            .then(|| self.entries.front().map(|entry| entry.frames))
            .flatten()
    }

    pub(crate) fn push(&mut self, entry: Entry<T>) {
        debug_assert!(
            self.entries.back().is_none_or(|last| last.closed),
            "only the last batch may be open"
        );
        self.entries.push_back(entry);
    }

    /// The batch that still grows, if it has a frame here.
    pub(crate) fn open_entry(&mut self) -> Option<&mut Entry<T>> {
        self.entries.back_mut().filter(|entry| !entry.closed)
    }

    /// Adds a frame to the batch that still grows.
    pub(crate) fn extend_open(&mut self, records: u32, calls: u64, bytes: u64, closes: bool) {
        if let Some(entry) = self.open_entry() {
            entry.frames += 1;
            entry.records = entry.records.saturating_add(records);
            entry.calls = entry.calls.saturating_add(calls);
            entry.bytes = entry.bytes.saturating_add(bytes);
            entry.closed = closes;
        }
    }

    pub(crate) fn front(&self) -> Option<&Entry<T>> {
        self.entries.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Entry<T>> {
        self.entries.pop_front()
    }
}
