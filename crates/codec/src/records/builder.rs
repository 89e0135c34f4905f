//! Encodes records one by one, in place, into one growing buffer, and hands out what it has while
//! the batch stays open.

use bytes::BytesMut;
use thiserror::Error;

use super::{
    checksum,
    encoding::{LargeRecord, SLACK_BYTES, encoded_size},
    frame::{Frame, FrameMetadata},
    header::{BATCH_HEADER_BYTES, COUNTED_HEADER_BYTES},
    record::RecordRef,
    small::Shape,
};

/// The most bytes that the records of one batch can have: what the 31-bit length field leaves
/// beside the header.
pub const MAX_RECORDS_BYTES: usize = i32::MAX as usize - COUNTED_HEADER_BYTES;

/// The smallest piece of memory that the builder asks for, in bytes.
const MIN_CHUNK_BYTES: usize = 4 * 1024;

/// Number of bytes that are appended before they are added to the running checksum: enough for the
/// CRC unit's three lanes, and little enough to be still in the nearest cache.
const SUM_BYTES: usize = 3 * 8 * 1024 + 64;

/// The records of one open batch.
///
/// Appending allocates nothing per record: the buffer is reserved at the size that recent batches
/// had, grows by doubling beyond it, and returns to use when all frames made of it are dropped.
///
/// ```
/// use wolff_codec::records::{BatchHeader, FrameTotals, RecordRef, RecordsBuilder};
///
/// let mut builder = RecordsBuilder::new(1_700_000_000_000);
/// builder.append(&RecordRef {
///     timestamp_ms: 1_700_000_000_000,
///     value: Some(b"one"),
///     ..RecordRef::default()
/// })?;
/// let first = builder.cut().expect("a record was appended");
/// // `first` may be on its way to disk while the batch goes on.
/// builder.append(&RecordRef {
///     timestamp_ms: 1_700_000_000_005,
///     value: Some(b"two"),
///     ..RecordRef::default()
/// })?;
/// let second = builder.cut().expect("another one was");
///
/// let totals = FrameTotals::of([&first, &second])?;
/// let header = BatchHeader::for_totals(&totals)?;
/// let header = header.encode(totals.records_len, totals.records_crc32c)?;
/// let batch = [&header[..], &first.records, &second.records].concat();
/// # assert_eq!(batch.len(), 61 + builder.byte_len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RecordsBuilder {
    /// The records since the last cut.
    buffer: BytesMut,
    base_timestamp_ms: i64,
    /// Of the records that were handed out; the least value while there is none.
    cut_max_timestamp_ms: i64,
    /// Of the records since the last cut; the least value while there is none.
    uncut_max_timestamp_ms: i64,
    /// Of the whole batch.
    record_count: u32,
    /// Of those, how many were handed out.
    cut_count: u32,
    /// The bytes that were handed out.
    cut_bytes: usize,
    /// Up to which length the buffer takes records without a second thought: behind it, memory
    /// ends, or the batch, or there is enough for the checksum. 0 when that is to be found out
    /// anew.
    checkpoint: usize,
    /// Number of bytes of the buffer that the running checksum covers.
    summed_len: usize,
    running_crc32c: u32,
    /// Of the last small record.
    shape: Shape,
    /// Recent size of batches, in bytes.
    expected_bytes: usize,
    /// Most memory that is taken ahead of the records, in bytes.
    most_ahead_bytes: usize,
    /// Bytes of the piece of memory in use that were handed out: it is kept for what follows them.
    piece_cut_bytes: usize,
}

impl RecordsBuilder {
    /// An empty batch. It has no memory before the first record comes.
    #[must_use]
    pub fn new(base_timestamp_ms: i64) -> Self {
        Self::with_capacity(base_timestamp_ms, 0)
    }

    /// An empty batch that is expected to have about `expected_bytes` of records.
    #[must_use]
    pub fn with_capacity(base_timestamp_ms: i64, expected_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            base_timestamp_ms,
            cut_max_timestamp_ms: i64::MIN,
            uncut_max_timestamp_ms: i64::MIN,
            record_count: 0,
            cut_count: 0,
            cut_bytes: 0,
            checkpoint: 0,
            summed_len: 0,
            running_crc32c: 0,
            shape: Shape::default(),
            expected_bytes: expected_bytes.min(MAX_RECORDS_BYTES),
            most_ahead_bytes: usize::MAX,
            piece_cut_bytes: 0,
        }
    }

    /// Takes no more than about so many bytes of memory ahead of the records that are appended,
    /// and gives up a piece at the cut that leaves less than half of it. Default: as many as the
    /// batch is expected to need. A batch that stays open keeps the piece that it grows in with
    /// all frames in it; where these are short-lived, smaller pieces take less. Best is a little
    /// more than a frame with its trailer.
    #[must_use]
    pub fn take_ahead_at_most(mut self, bytes: usize) -> Self {
        self.most_ahead_bytes = bytes;
        self
    }

    /// Gives back the memory of the frames that were handed out, if it is so many bytes at least
    /// and no record has come behind them: the next one takes new memory.
    pub fn release_cut(&mut self, least_bytes: usize) {
        if self.buffer.is_empty() && self.piece_cut_bytes >= least_bytes {
            self.buffer = BytesMut::new();
            self.checkpoint = 0;
            self.piece_cut_bytes = 0;
        }
    }

    /// Begins the next batch, reusing what is left of the buffer. Records that were not cut are
    /// dropped.
    pub fn restart(&mut self, base_timestamp_ms: i64) {
        self.restart_in(base_timestamp_ms, |_| BytesMut::new());
    }

    /// As [`restart`](Self::restart), in memory that the caller has left over.
    ///
    /// `memory` is asked only where what is left of the buffer is too little, and for how many
    /// bytes. It may give nothing, or less: the builder then helps itself.
    pub fn restart_in(&mut self, base_timestamp_ms: i64, memory: impl FnOnce(usize) -> BytesMut) {
        // Follows growth at once and shrinkage slowly: one small batch between large ones changes
        // little.
        let shrinkage = self.expected_bytes.saturating_sub(self.byte_len()) / 8;
        self.expected_bytes = self.byte_len().max(self.expected_bytes - shrinkage);
        self.buffer.clear();
        self.checkpoint = 0;
        self.summed_len = 0;
        self.running_crc32c = 0;
        let expected = self.expected_bytes.min(self.most_ahead_bytes);
        if self.buffer.capacity() < expected + SLACK_BYTES {
            // Not enough for another such batch: an idle one does not hold on to the memory of the
            // last. What is left of it goes first, so that a frame in the same memory has no other
            // owner when it is asked for.
            self.buffer = BytesMut::new();
            self.buffer = memory(expected + SLACK_BYTES);
            self.buffer.clear();
            self.piece_cut_bytes = 0;
        }
        self.base_timestamp_ms = base_timestamp_ms;
        self.cut_max_timestamp_ms = i64::MIN;
        self.uncut_max_timestamp_ms = i64::MIN;
        self.record_count = 0;
        self.cut_count = 0;
        self.cut_bytes = 0;
    }

    /// Bytes of memory that the builder has for records to come.
    #[must_use]
    pub fn spare_bytes(&self) -> usize {
        self.buffer.capacity().saturating_sub(self.buffer.len())
    }

    /// Bytes of frames that were handed out and are in the piece of memory which the builder keeps
    /// for what follows them: they stay in memory when nobody else holds the frames.
    #[must_use]
    pub fn kept_cut_bytes(&self) -> usize {
        self.piece_cut_bytes
    }

    /// The number of records the batch has, handed out or not.
    #[inline]
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.record_count
    }

    /// True if the batch has no record.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The length of all records of the batch, handed out or not, in bytes. The batch header is not
    /// included.
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.cut_bytes + self.buffer.len()
    }

    /// The length of the records since the last cut, in bytes.
    #[inline]
    #[must_use]
    pub fn uncut_len(&self) -> usize {
        self.buffer.len()
    }

    /// The timestamp to which those of the records are relative; milliseconds since the Unix epoch.
    #[must_use]
    pub fn base_timestamp_ms(&self) -> i64 {
        self.base_timestamp_ms
    }

    /// The greatest timestamp of the batch's records, milliseconds since the Unix epoch; the base
    /// timestamp while it is empty.
    #[must_use]
    pub fn max_timestamp_ms(&self) -> i64 {
        if self.is_empty() {
            self.base_timestamp_ms
        } else {
            self.cut_max_timestamp_ms.max(self.uncut_max_timestamp_ms)
        }
    }

    /// The number of bytes appending this record now would add, exactly.
    #[must_use]
    pub fn encoded_size(&self, record: &RecordRef<'_>) -> usize {
        let size = encoded_size(record, self.timestamp_delta(record), self.record_count);
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// True if the batch would have at most `max_batch_bytes`, its header included, if this record
    /// were appended.
    ///
    /// The first record of a batch is treated like any other: the caller decides what to do with
    /// one that fits no batch.
    #[must_use]
    pub fn would_fit(&self, record: &RecordRef<'_>, max_batch_bytes: usize) -> bool {
        let batch_len = BATCH_HEADER_BYTES
            .saturating_add(self.byte_len())
            .saturating_add(self.encoded_size(record));
        batch_len <= max_batch_bytes
    }

    /// Appends a record; returns the bytes that it added.
    ///
    /// # Errors
    /// When the batch would exceed [`MAX_RECORDS_BYTES`]; it is then unchanged.
    #[inline(always)]
    pub fn append(&mut self, record: &RecordRef<'_>) -> Result<usize, RecordTooLarge> {
        let timestamp_delta = self.timestamp_delta(record);
        let record_bytes = match self
            .shape
            .encode(record, timestamp_delta, self.record_count)
        {
            Some(small) if self.has_room(small.record_bytes()) => {
                small.write(record, &mut self.buffer);
                small.record_bytes()
            }
            _ => self.append_unlike(record, timestamp_delta)?,
        };
        self.record_count += 1;
        self.uncut_max_timestamp_ms = self.uncut_max_timestamp_ms.max(record.timestamp_ms);
        Ok(record_bytes)
    }

    /// Appends a record that is unlike the one before, or for which there is no room yet.
    #[cold]
    #[inline(never)]
    fn append_unlike(
        &mut self,
        record: &RecordRef<'_>,
        timestamp_delta: i64,
    ) -> Result<usize, RecordTooLarge> {
        let offset_delta = self.record_count;
        if let Some(shape) = Shape::of(record, timestamp_delta, offset_delta)
            && let Some(small) = shape.encode(record, timestamp_delta, offset_delta)
        {
            self.shape = shape;
            let record_bytes = self.make_room(small.record_bytes() as u64)?;
            small.write(record, &mut self.buffer);
            return Ok(record_bytes);
        }
        let large = LargeRecord::new(record, timestamp_delta, offset_delta);
        let record_bytes = self.make_room(large.record_bytes())?;
        large.write(record, &mut self.buffer);
        Ok(record_bytes)
    }

    /// The builder's state, to go back to with [`roll_back`](Self::roll_back).
    #[inline]
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            uncut_len: self.buffer.len(),
            record_count: self.record_count,
            uncut_max_timestamp_ms: self.uncut_max_timestamp_ms,
            summed_len: self.summed_len,
            running_crc32c: self.running_crc32c,
        }
    }

    /// Removes all records that were appended since the mark was made. Nothing may have been cut in
    /// between.
    pub fn roll_back(&mut self, mark: &Mark) {
        self.buffer.truncate(mark.uncut_len);
        self.record_count = mark.record_count;
        self.uncut_max_timestamp_ms = mark.uncut_max_timestamp_ms;
        self.summed_len = mark.summed_len;
        self.running_crc32c = mark.running_crc32c;
        // The next append finds out anew how much room there is.
        self.checkpoint = 0;
    }

    /// Hands out everything that was appended since the last cut, if anything was; the batch stays
    /// open.
    pub fn cut(&mut self) -> Option<Frame> {
        let metadata = self.close_frame()?;
        let records = self.buffer.split().freeze();
        self.leave_spent_piece();
        Some(Frame::from_parts(records, metadata))
    }

    /// As [`cut`](Self::cut), but lets the caller write a trailer behind the records, into the same
    /// piece of memory.
    ///
    /// `write_trailer` gets what the frame will say of its records, and an empty buffer whose
    /// content becomes the trailer.
    pub fn cut_with_trailer(
        &mut self,
        write_trailer: impl FnOnce(&FrameMetadata, &mut BytesMut),
    ) -> Option<Frame> {
        let metadata = self.close_frame()?;
        let records_len = self.buffer.len();
        // The records are out of the closure's reach; while the trailer fits behind them, rejoining
        // them copies nothing.
        let mut trailer = self.buffer.split_off(records_len);
        write_trailer(&metadata, &mut trailer);
        self.buffer.unsplit(trailer);
        let with_trailer = self.buffer.split().freeze();
        self.leave_spent_piece();
        let records = with_trailer.slice(..records_len);
        Some(Frame::with_trailer(records, with_trailer, metadata))
    }

    /// The metadata of the frame that is about to be handed out; the counters move on behind it.
    fn close_frame(&mut self) -> Option<FrameMetadata> {
        let record_count = self.record_count - self.cut_count;
        if record_count == 0 {
            return None;
        }
        self.sum_up();
        let metadata = FrameMetadata {
            crc32c: self.running_crc32c,
            first_delta: self.cut_count,
            record_count,
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.uncut_max_timestamp_ms,
        };
        self.cut_max_timestamp_ms = self.cut_max_timestamp_ms.max(self.uncut_max_timestamp_ms);
        self.uncut_max_timestamp_ms = i64::MIN;
        self.cut_count = self.record_count;
        self.cut_bytes += self.buffer.len();
        self.piece_cut_bytes += self.buffer.len();
        self.running_crc32c = 0;
        self.summed_len = 0;
        self.checkpoint = 0;
        Some(metadata)
    }

    /// Gives up a piece that is mostly used, if memory ahead is limited: there is nothing to copy
    /// out of it now, and the next frame fits into a new one.
    fn leave_spent_piece(&mut self) {
        if self.buffer.capacity() < self.most_ahead_bytes / 2 && self.most_ahead_bytes < usize::MAX
        {
            self.release_cut(0);
        }
    }

    #[inline(always)]
    fn has_room(&self, record_bytes: usize) -> bool {
        self.buffer.len() + record_bytes <= self.checkpoint
    }

    /// The record's length, when the batch can take it; there is room for it and the slack then.
    fn make_room(&mut self, record_bytes: u64) -> Result<usize, RecordTooLarge> {
        let batch_bytes = self.byte_len();
        let needed = match usize::try_from(record_bytes) {
            // The shortest record has seven bytes, so the count cannot overflow before the bytes
            // do.
            Ok(needed) if needed <= MAX_RECORDS_BYTES - batch_bytes => needed,
            _ => {
                return Err(RecordTooLarge {
                    record_bytes,
                    batch_bytes,
                });
            }
        };
        if self.buffer.len() - self.summed_len >= SUM_BYTES {
            self.sum_up();
        }
        if self.buffer.capacity() - self.buffer.len() < needed + SLACK_BYTES {
            self.grow(needed + SLACK_BYTES);
        }
        self.checkpoint = (self.buffer.capacity() - SLACK_BYTES)
            .min(MAX_RECORDS_BYTES - self.cut_bytes)
            .min(self.summed_len + SUM_BYTES);
        Ok(needed)
    }

    /// Takes memory for as much as the batch will probably still need.
    fn grow(&mut self, needed: usize) {
        let uncut = self.buffer.len();
        let still_expected = self.expected_bytes.saturating_sub(self.byte_len());
        // An eighth more than expected, lest the last records of a slightly larger batch cost a
        // copy; at least twice what has to be copied now.
        let ahead = (still_expected + still_expected / 8).min(self.most_ahead_bytes);
        let wanted = needed.max(ahead).max(uncut).max(MIN_CHUNK_BYTES);
        if !self.buffer.try_reclaim(wanted) {
            let mut larger = BytesMut::with_capacity(uncut + wanted);
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        self.piece_cut_bytes = 0;
    }

    /// Brings the running checksum up to the last record.
    fn sum_up(&mut self) {
        let unsummed = self.buffer.get(self.summed_len..).unwrap_or_default();
        self.running_crc32c = checksum::append(self.running_crc32c, unsummed);
        self.summed_len = self.buffer.len();
    }

    /// As in the Java client, deltas wrap around: whatever the base, every timestamp can be said
    /// and comes back.
    #[inline]
    fn timestamp_delta(&self, record: &RecordRef<'_>) -> i64 {
        record.timestamp_ms.wrapping_sub(self.base_timestamp_ms)
    }
}

/// The state of a [`RecordsBuilder`] at one moment since its last cut.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    uncut_len: usize,
    record_count: u32,
    uncut_max_timestamp_ms: i64,
    summed_len: usize,
    running_crc32c: u32,
}

/// A record does not fit: with it, the records would exceed [`MAX_RECORDS_BYTES`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a record of {record_bytes} bytes does not fit a batch that has {batch_bytes} bytes of records already"
)]
pub struct RecordTooLarge {
    /// The encoded length of the record, in bytes.
    pub record_bytes: u64,
    /// The length of the records that the batch has, in bytes.
    pub batch_bytes: usize,
}

#[cfg(test)]
mod tests;
