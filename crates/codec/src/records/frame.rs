//! A frame: consecutive records of one batch, encoded, handed out while the batch may still be
//! open.

use bytes::Bytes;
use thiserror::Error;

use super::checksum;

/// Metadata of a frame: together with its bytes enough to build a batch from it.
///
/// Kept next to the records' bytes (for instance on disk), it brings the [`Frame`] back without
/// reading them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameMetadata {
    /// The CRC32C of the records' bytes.
    pub crc32c: u32,
    /// The offset delta of the first record; 0 in the first frame of a batch.
    pub first_delta: u32,
    /// The number of records, at least 1.
    pub record_count: u32,
    /// The base timestamp of the batch, to which the records' timestamps are relative; milliseconds
    /// since the Unix epoch.
    pub base_timestamp_ms: i64,
    /// The greatest timestamp of these records; milliseconds since the Unix epoch.
    pub max_timestamp_ms: i64,
}

/// Consecutive records of one batch, encoded and immutable.
///
/// The frames of a batch, one behind the other, are the records part of that batch: behind the 61
/// bytes of a [`BatchHeader`](super::BatchHeader) they can be sent as they are.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Frame {
    /// The encoded records, nothing else.
    pub records: Bytes,
    /// The encoded records followed by the caller's trailer, in one piece of memory; equal to
    /// `records` without a trailer.
    pub with_trailer: Bytes,
    /// The CRC32C of `records`.
    pub crc32c: u32,
    /// The offset delta of the first record; 0 in the first frame of a batch.
    pub first_delta: u32,
    /// The number of records, at least 1.
    pub record_count: u32,
    /// The base timestamp of the batch; milliseconds since the Unix epoch.
    pub base_timestamp_ms: i64,
    /// The greatest timestamp of these records; milliseconds since the Unix epoch.
    pub max_timestamp_ms: i64,
}

impl Frame {
    /// A frame from its records' bytes and what was kept beside them; the bytes are trusted, not
    /// read.
    #[must_use]
    pub fn from_parts(records: Bytes, metadata: FrameMetadata) -> Self {
        Self::with_trailer(records.clone(), records, metadata)
    }

    pub(super) fn with_trailer(
        records: Bytes,
        with_trailer: Bytes,
        metadata: FrameMetadata,
    ) -> Self {
        Self {
            records,
            with_trailer,
            crc32c: metadata.crc32c,
            first_delta: metadata.first_delta,
            record_count: metadata.record_count,
            base_timestamp_ms: metadata.base_timestamp_ms,
            max_timestamp_ms: metadata.max_timestamp_ms,
        }
    }

    /// Returns the metadata to keep beside the records' bytes for [`from_parts`](Self::from_parts).
    #[must_use]
    pub fn metadata(&self) -> FrameMetadata {
        FrameMetadata {
            crc32c: self.crc32c,
            first_delta: self.first_delta,
            record_count: self.record_count,
            base_timestamp_ms: self.base_timestamp_ms,
            max_timestamp_ms: self.max_timestamp_ms,
        }
    }

    /// True if the records' bytes still have the checksum of the time when they were encoded.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        checksum::crc32c(&self.records) == self.crc32c
    }
}

/// Sums over the frames of one batch: all that a [`BatchHeader`](super::BatchHeader) needs to know
/// of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FrameTotals {
    /// The length of all records, in bytes.
    pub records_len: usize,
    /// The CRC32C of all records' bytes.
    pub records_crc32c: u32,
    /// The number of records.
    pub record_count: u32,
    /// The base timestamp that the frames share; milliseconds since the Unix epoch.
    pub base_timestamp_ms: i64,
    /// The greatest timestamp; milliseconds since the Unix epoch.
    pub max_timestamp_ms: i64,
}

impl FrameTotals {
    /// Sums up the frames of one batch without touching their bytes.
    ///
    /// # Errors
    /// When the frames are not one whole batch from its first record on, in order.
    pub fn of<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Result<Self, FramesMismatch> {
        let mut frames = frames.into_iter();
        let first = frames.next().ok_or(FramesMismatch::Empty)?;
        let mut totals = Self {
            records_len: first.records.len(),
            records_crc32c: first.crc32c,
            record_count: first.record_count,
            base_timestamp_ms: first.base_timestamp_ms,
            max_timestamp_ms: first.max_timestamp_ms,
        };
        if first.first_delta != 0 {
            return Err(FramesMismatch::Gap {
                expected: 0,
                found: first.first_delta,
            });
        }
        for frame in frames {
            totals.add(frame)?;
        }
        Ok(totals)
    }

    fn add(&mut self, frame: &Frame) -> Result<(), FramesMismatch> {
        if frame.first_delta != self.record_count {
            return Err(FramesMismatch::Gap {
                expected: self.record_count,
                found: frame.first_delta,
            });
        }
        if frame.base_timestamp_ms != self.base_timestamp_ms {
            return Err(FramesMismatch::BaseTimestamp {
                expected: self.base_timestamp_ms,
                found: frame.base_timestamp_ms,
            });
        }
        let too_many = FramesMismatch::TooManyRecords;
        self.record_count = self
            .record_count
            .checked_add(frame.record_count)
            .ok_or(too_many)?;
        self.records_len = self.records_len.saturating_add(frame.records.len());
        self.records_crc32c =
            checksum::combine(self.records_crc32c, frame.crc32c, frame.records.len());
        self.max_timestamp_ms = self.max_timestamp_ms.max(frame.max_timestamp_ms);
        Ok(())
    }
}

/// Why frames are not the records of one batch: the caller put the wrong ones together.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FramesMismatch {
    /// There is no frame.
    #[error("a batch needs at least one frame")]
    Empty,
    /// A frame is missing, doubled or out of order.
    #[error("expected the frame that starts at offset delta {expected}, found the one at {found}")]
    Gap {
        /// The number of records before the frame.
        expected: u32,
        /// The frame's own first delta.
        found: u32,
    },
    /// The frames were encoded against different base timestamps.
    #[error("expected a frame with base timestamp {expected} ms, found {found} ms")]
    BaseTimestamp {
        /// The base timestamp of the first frame.
        expected: i64,
        /// The base timestamp of the frame.
        found: i64,
    },
    /// The counts of the frames add up to more than 32 bits.
    #[error("the frames claim more records than a batch can hold")]
    TooManyRecords,
}
