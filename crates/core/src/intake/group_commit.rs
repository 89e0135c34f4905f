//! Choice of the fragments that go to the local queue together.
//!
//! Fragments that were cut while an append is under way are the next one. What was accepted and not
//! cut is cut when somebody waits for it, when its batch closes, when it has grown to a whole
//! fragment, or when the driver looks at the queue a moment later.

use std::collections::VecDeque;

use bytes::Bytes;

use super::open_batch::CutFragment;
use crate::backlog::Entry;
use crate::completed_batch::CompletedBatch;

/// Fragments on their way to the local queue.
#[derive(Debug)]
pub(super) struct GroupCommit<T> {
    cut: VecDeque<CutFragment<T>>,
    /// Fragments that the local queue is storing right now.
    appending: Vec<CutFragment<T>>,
    bytes: usize,
    /// The rest of the open batch is cut at the next look.
    is_requested: bool,
}

impl<T> GroupCommit<T> {
    pub(super) fn new() -> Self {
        Self {
            cut: VecDeque::new(),
            appending: Vec::new(),
            bytes: 0,
            is_requested: false,
        }
    }

    /// Bytes of records cut and not stored.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(super) fn has_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    pub(super) fn is_appending(&self) -> bool {
        !self.appending.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cut.is_empty() && self.appending.is_empty()
    }

    #[inline]
    pub(super) fn request(&mut self) {
        self.is_requested = true;
    }

    pub(super) fn is_requested(&self) -> bool {
        self.is_requested
    }

    pub(super) fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.is_requested)
    }

    pub(super) fn push(&mut self, fragment: Option<CutFragment<T>>) {
        if let Some(fragment) = fragment {
            self.bytes = self.bytes.saturating_add(fragment.bytes);
            self.cut.push_back(fragment);
        }
    }

    /// The last fragment here ends its batch. Returns whether there is one.
    pub(super) fn close_last(&mut self) -> bool {
        let last = self.cut.back_mut().or(self.appending.last_mut());
        match last {
            Some(last) => {
                last.closes = true;
                true
            }
            None => false,
        }
    }

    /// The batch that an append of the first fragments completes; `grown`: what the local queue has
    /// of the batch that is open there. `None` where its end is not cut, or its beginning was given
    /// up.
    pub(super) fn completed_batch(&self, grown: Option<&Entry<T>>) -> Option<CompletedBatch> {
        let last = self.cut.iter().position(|fragment| fragment.closes)?;
        let mut batch = CompletedBatch::new();
        if let Some(entry) = grown {
            if entry.first_record > 0 {
                return None;
            }
            batch = batch.stored(
                entry.first_item,
                entry.records,
                entry.bytes,
                entry.max_timestamp_ms,
            );
        }
        for fragment in self.cut.iter().take(last.saturating_add(1)) {
            // Another batch, or one whose beginning was given up.
            if fragment.first_record != batch.records() {
                return None;
            }
            batch.push(fragment.records, fragment.bytes, fragment.max_timestamp_ms);
        }
        Some(batch)
    }

    /// The payloads to append; none are cut: nothing.
    pub(super) fn start_append(&mut self) -> Option<Vec<Bytes>> {
        self.start_append_of(self.cut.len())
    }

    /// The same for so many fragments at the front.
    pub(super) fn start_append_of(&mut self, count: usize) -> Option<Vec<Bytes>> {
        if self.cut.is_empty() {
            return None;
        }
        self.appending
            .extend(self.cut.drain(..count.min(self.cut.len())));
        Some(
            self.appending
                .iter()
                .map(|fragment| fragment.payload.clone())
                .collect(),
        )
    }

    /// The fragments of the last append.
    pub(super) fn finish_append(&mut self) -> Vec<CutFragment<T>> {
        let appended = std::mem::take(&mut self.appending);
        let bytes: usize = appended.iter().map(|fragment| fragment.bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        appended
    }

    /// All fragments, in order.
    pub(super) fn drain(&mut self) -> Vec<CutFragment<T>> {
        let mut all = std::mem::take(&mut self.appending);
        all.extend(self.cut.drain(..));
        self.bytes = 0;
        all
    }
}
