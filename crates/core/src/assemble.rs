//! Making batches out of leased queue items, and finding out what was lost between them.

use std::collections::BTreeSet;

use bytes::Bytes;
use wolff_codec::records::{Frame, FrameTotals};

use crate::batch::{BatchBody, Calls};
use crate::queue_item::{ItemContext, QueueItem, QueueItemError, RunPosition};
use crate::reencode::{BatchEncoder, CallReader, Piece, join};
use crate::split::{StoredBatch, cut};

/// Fragments smaller than this on average are joined, so that a batch does not go to the socket in
/// thousands of pieces.
const JOIN_BELOW_BYTES: usize = 4 * 1024;

/// Bounds of a lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LeasedRange {
    first_item: u64,
    last_item: u64,
}

impl LeasedRange {
    pub(crate) fn first_item(self) -> u64 {
        self.first_item
    }

    pub(crate) fn last_item(self) -> u64 {
        self.last_item
    }
}

/// The batches that a lease holds, ready for the partition. Made outside of the partition, and so
/// outside of its owner's lock.
#[derive(Debug)]
pub struct LeasedBatches {
    range: Option<LeasedRange>,
    item_count: u64,
    payload_bytes: u64,
    pieces: Vec<Piece>,
    /// First record and position of each piece's run, for counting what is missing between pieces.
    positions: Vec<(RunPosition, u32)>,
    accepted_at_ms: i64,
    unreadable: Option<QueueItemError>,
    unreadable_items: u64,
    lost_before: u64,
}

impl LeasedBatches {
    /// Reads the items of one batch, given with their ids, oldest first.
    #[must_use]
    pub fn read(items: &[(u64, Bytes)]) -> Self {
        let range = items
            .first()
            .zip(items.last())
            .map(|(first, last)| LeasedRange {
                first_item: first.0,
                last_item: last.0,
            });
        let bytes: usize = items.iter().map(|(_, payload)| payload.len()).sum();
        let mut read = Self {
            range,
            item_count: u64::try_from(items.len()).unwrap_or(u64::MAX),
            payload_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            pieces: Vec::new(),
            positions: Vec::new(),
            accepted_at_ms: i64::MAX,
            unreadable: None,
            unreadable_items: 0,
            lost_before: 0,
        };
        let mut group = Group::default();
        for (_, payload) in items {
            match QueueItem::decode(payload) {
                Ok(item) => {
                    if !group.is_continued_by(&item) {
                        read.push(std::mem::take(&mut group));
                    }
                    group.push(item);
                }
                Err(error) => {
                    read.unreadable_items = read.unreadable_items.saturating_add(1);
                    read.unreadable.get_or_insert(error);
                }
            }
        }
        read.push(group);
        read
    }

    fn push(&mut self, group: Group) {
        let Some(context) = group.context else {
            return;
        };
        self.accepted_at_ms = self.accepted_at_ms.min(context.accepted_at_ms);
        if let Some(piece) = group.finish() {
            self.positions
                .push((context.position, piece.body().record_count()));
            self.pieces.push(piece);
        }
    }

    /// Gives them the boundaries that they were stored with.
    #[must_use]
    pub fn cut(mut self, stored: &[StoredBatch]) -> Self {
        let before: BTreeSet<u32> = stored
            .iter()
            .flat_map(|batch| [batch.first_record, batch.end()])
            .collect();
        let pieces = self.pieces.into_iter();
        self.pieces = pieces.flat_map(|piece| cut(piece, &before)).collect();
        self
    }

    /// So many items between the lease before it and this one are lost to damage.
    #[must_use]
    pub fn after_lost(mut self, items: u64) -> Self {
        self.lost_before = items;
        self
    }

    /// The batches with their first records, to be compressed before they are handed over.
    pub fn bodies(&self) -> impl Iterator<Item = (u32, &BatchBody)> {
        let pieces = self.pieces.iter();
        pieces.map(|piece| (piece.first_record(), piece.body()))
    }

    /// The first item that is no fragment of this version, and how many there are.
    #[must_use]
    pub fn unreadable(&self) -> Option<(QueueItemError, u64)> {
        self.unreadable.map(|error| (error, self.unreadable_items))
    }

    /// Time at which the oldest call in it was accepted, milliseconds since the epoch.
    #[must_use]
    pub fn accepted_at_ms(&self) -> Option<i64> {
        (!self.positions.is_empty()).then_some(self.accepted_at_ms)
    }

    pub(crate) fn range(&self) -> Option<LeasedRange> {
        self.range
    }

    pub(crate) fn item_count(&self) -> u64 {
        self.item_count
    }

    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Records of the same run that are missing between `end`, the position behind the last lease,
    /// and each piece in turn; and the position behind this lease. Of items that are lost before
    /// this lease, where the positions do not tell, a record each.
    pub(crate) fn missing_since(&self, end: Option<RunPosition>) -> (u64, Option<RunPosition>) {
        let mut missing = 0u64;
        let mut lost = self.lost_before;
        let mut expected = end;
        for (position, records) in &self.positions {
            let of_run = expected.filter(|expected| expected.run == position.run);
            let gap = of_run.map_or(0, |end| position.number.saturating_sub(end.number));
            missing = missing.saturating_add(gap.max(std::mem::take(&mut lost)));
            expected = Some(position.after(*records));
        }
        (missing, expected)
    }

    pub(crate) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }
}

/// Fragments that follow one another within one batch.
#[derive(Default)]
struct Group {
    fragments: Vec<Frame>,
    calls: Calls,
    /// Of the first fragment.
    context: Option<ItemContext>,
    /// Position after the last one.
    end: Option<RunPosition>,
}

impl Group {
    fn is_continued_by(&self, item: &QueueItem) -> bool {
        let next = item.fragment();
        let is_same_batch = self.end.is_some_and(|end| end == item.context().position);
        is_same_batch
            && self.fragments.last().is_some_and(|last| {
                last.first_delta.checked_add(last.record_count) == Some(next.first_delta)
                    && last.base_timestamp_ms == next.base_timestamp_ms
            })
    }

    fn push(&mut self, item: QueueItem) {
        let (fragment, calls, context) = item.into_parts();
        self.calls.extend(&calls);
        self.end = Some(context.position.after(fragment.record_count));
        self.fragments.push(fragment);
        self.context.get_or_insert(context);
    }

    fn finish(self) -> Option<Piece> {
        let first = self.fragments.first()?;
        let (first_record, base) = (first.first_delta, first.base_timestamp_ms);
        if first_record == 0 {
            let totals = FrameTotals::of(&self.fragments).ok()?;
            let records = join_small(self.fragments, totals.records_len);
            return Some(Piece::new(0, BatchBody::new(records, totals, self.calls)));
        }
        // Its beginning was lost: offset deltas count from 0, so it needs new bytes.
        let total = self.fragments.iter().map(|part| part.records.len()).sum();
        let joined = join(self.fragments.iter().map(|part| &part.records), total);
        let count = self
            .fragments
            .iter()
            .fold(0u32, |sum, part| sum.saturating_add(part.record_count));
        let mut encoder = BatchEncoder::new(base, total);
        for call in CallReader::new(joined, count, base, self.calls.sizes()) {
            if !encoder.push(&call) {
                break;
            }
        }
        Some(Piece::new(first_record, encoder.finish()?))
    }
}

fn join_small(fragments: Vec<Frame>, total: usize) -> Vec<Bytes> {
    if fragments.len() > 1 && total / fragments.len() < JOIN_BELOW_BYTES {
        return vec![join(fragments.iter().map(|part| &part.records), total)];
    }
    fragments.into_iter().map(|part| part.records).collect()
}
