//! Encoding records of a batch anew: after a fragment was lost, when a batch is split, and when
//! records of several partitions are separated.
//!
//! Offset deltas count from 0 within a batch, so a part that does not start its batch needs new
//! bytes.

use bytes::{Bytes, BytesMut};
use wolff_codec::records::{Frame, FrameMetadata, FrameTotals, Record, Records, RecordsBuilder};

use crate::batch::{BatchBody, Calls};

/// A part of a batch, and where it begins within the batch it came from.
#[derive(Debug)]
pub struct Piece {
    first_record: u32,
    body: BatchBody,
}

impl Piece {
    pub(crate) fn new(first_record: u32, body: BatchBody) -> Self {
        Self { first_record, body }
    }

    /// The same of a batch of which `first` more records come before it.
    pub(crate) fn shifted(self, first: u32) -> Self {
        Self {
            first_record: self.first_record.saturating_add(first),
            body: self.body,
        }
    }

    /// First record of the piece within the original batch.
    #[must_use]
    pub fn first_record(&self) -> u32 {
        self.first_record
    }

    /// The piece's records.
    #[must_use]
    pub fn body(&self) -> &BatchBody {
        &self.body
    }

    /// Bytes of its records.
    pub(crate) fn byte_count(&self) -> u64 {
        u64::try_from(self.body.records_bytes()).unwrap_or(u64::MAX)
    }

    /// The piece's records, by value.
    #[must_use]
    pub fn into_body(self) -> BatchBody {
        self.body
    }
}

/// The bytes of several parts in one.
pub(crate) fn join<'a>(parts: impl Iterator<Item = &'a Bytes>, total: usize) -> Bytes {
    let mut joined = BytesMut::with_capacity(total);
    parts.for_each(|part| joined.extend_from_slice(part));
    joined.freeze()
}

/// Iterates over `count` encoded records.
pub(crate) fn records_of(encoded: Bytes, count: u32, base_timestamp_ms: i64) -> Records {
    let metadata = FrameMetadata {
        crc32c: 0,
        first_delta: 0,
        record_count: count,
        base_timestamp_ms,
        max_timestamp_ms: base_timestamp_ms,
    };
    Records::of_frame(&Frame::from_parts(encoded, metadata))
}

/// The calls of encoded records, each with its records decoded. Ends early where the bytes cannot
/// be read.
pub(crate) struct CallReader<S> {
    records: Records,
    sizes: S,
}

impl<S: Iterator<Item = u32>> CallReader<S> {
    pub(crate) fn new(encoded: Bytes, count: u32, base_timestamp_ms: i64, sizes: S) -> Self {
        Self {
            records: records_of(encoded, count, base_timestamp_ms),
            sizes,
        }
    }
}

impl<S: Iterator<Item = u32>> Iterator for CallReader<S> {
    type Item = Vec<Record>;

    fn next(&mut self) -> Option<Vec<Record>> {
        let size = usize::try_from(self.sizes.next()?).ok()?;
        let call: Vec<Record> = self
            .records
            .by_ref()
            .take(size)
            .map_while(Result::ok)
            .collect();
        (call.len() == size).then_some(call)
    }
}

impl BatchBody {
    /// The calls of the batch, each with its records decoded. Ends early where the bytes cannot be
    /// read.
    pub fn calls(&self) -> impl Iterator<Item = Vec<Record>> + '_ {
        let joined = match self.fragments() {
            [only] => only.clone(),
            several => join(several.iter(), self.records_bytes()),
        };
        CallReader::new(
            joined,
            self.record_count(),
            self.totals().base_timestamp_ms,
            self.call_boundaries().sizes(),
        )
    }
}

/// Encodes calls as one batch, one after the other.
#[derive(Debug)]
pub struct BatchEncoder {
    builder: RecordsBuilder,
    calls: Calls,
}

impl BatchEncoder {
    /// An empty batch whose timestamps count from `base_timestamp_ms`, expected to get so many
    /// bytes.
    #[must_use]
    pub fn new(base_timestamp_ms: i64, expected_bytes: usize) -> Self {
        Self {
            builder: RecordsBuilder::with_capacity(base_timestamp_ms, expected_bytes),
            calls: Calls::default(),
        }
    }

    /// Adds a call. Returns `false` where its records find no room in any batch; nothing was added
    /// then.
    #[must_use]
    pub fn push(&mut self, call: &[Record]) -> bool {
        let mark = self.builder.mark();
        for record in call {
            if self.builder.append(&record.as_record_ref()).is_err() {
                self.builder.roll_back(&mark);
                return false;
            }
        }
        self.calls
            .push(u32::try_from(call.len()).unwrap_or(u32::MAX));
        true
    }

    /// Adds a call if the batch then has at most so many bytes of records. Nothing was added where
    /// it returns `false`.
    #[must_use]
    pub fn push_within(&mut self, call: &[Record], max_bytes: usize) -> bool {
        let mark = self.builder.mark();
        let mut records = call.iter().map(Record::as_record_ref);
        let fits = records.all(|record| self.builder.append(&record).is_ok())
            && self.builder.byte_len() <= max_bytes;
        if fits {
            self.calls
                .push(u32::try_from(call.len()).unwrap_or(u32::MAX));
        } else {
            self.builder.roll_back(&mark);
        }
        fits
    }

    /// Records added so far.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.builder.record_count()
    }

    /// Encoded bytes so far.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.builder.byte_len()
    }

    /// The batch; `None` if nothing was added.
    #[must_use]
    pub fn finish(mut self) -> Option<BatchBody> {
        let frame = self.builder.cut()?;
        let totals = FrameTotals::of([&frame]).ok()?;
        Some(BatchBody::new(vec![frame.records], totals, self.calls))
    }
}
