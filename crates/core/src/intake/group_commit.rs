//! Which fragments go to the local queue together.
//!
//! Fragments that were cut while an append is under way are the next one. What was accepted and not
//! cut is cut when somebody waits for it, when its batch closes, when it has grown to a whole fragment,
//! or when the driver looks at the queue a moment later.

use std::collections::VecDeque;

use bytes::Bytes;

use super::open_batch::CutFragment;

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

    /// The payloads to append; none are cut: nothing.
    pub(super) fn start_append(&mut self) -> Option<Vec<Bytes>> {
        if self.cut.is_empty() {
            return None;
        }
        self.appending.extend(self.cut.drain(..));
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
