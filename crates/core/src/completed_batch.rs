//! A batch that an append completes, so that it can be leased and stamped in the same write.

use wolff_codec::records::BATCH_HEADER_BYTES;

/// A batch that is in the local queue as a whole once the next append is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompletedBatch {
    /// Id of its first item, where some are in the local queue.
    first_item: Option<u64>,
    /// Fragments to append.
    fragments: usize,
    records: u32,
    bytes: usize,
    max_timestamp_ms: i64,
}

impl CompletedBatch {
    /// One that the local queue has nothing of.
    pub(crate) fn new() -> Self {
        Self {
            first_item: None,
            fragments: 0,
            records: 0,
            bytes: BATCH_HEADER_BYTES,
            max_timestamp_ms: i64::MIN,
        }
    }

    /// The local queue has so many records of it, from this item on.
    pub(crate) fn stored(
        mut self,
        first_item: u64,
        records: u32,
        bytes: u64,
        newest_ms: i64,
    ) -> Self {
        self.first_item = Some(first_item);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.add(records, bytes, newest_ms);
        self
    }

    /// A fragment that is to be appended.
    pub(crate) fn push(&mut self, records: u32, bytes: usize, newest_ms: i64) {
        self.fragments += 1;
        self.add(records, bytes, newest_ms);
    }

    fn add(&mut self, records: u32, bytes: usize, newest_ms: i64) {
        self.records = self.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(bytes);
        self.max_timestamp_ms = self.max_timestamp_ms.max(newest_ms);
    }

    pub(crate) fn first_item(&self) -> Option<u64> {
        self.first_item
    }

    pub(crate) fn fragments(&self) -> usize {
        self.fragments
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Size of the batch before compression, its header included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn max_timestamp_ms(&self) -> i64 {
        self.max_timestamp_ms
    }
}
