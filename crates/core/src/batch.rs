//! A closed batch: immutable record bytes, ready to be put behind any header.

use std::sync::OnceLock;

use bytes::Bytes;
use wolff_codec::records::{BatchHeader, BatchTooLarge, Compression, FrameTotals};
use wolff_codec::{ProducerEpoch, ProducerId};

/// Number of a batch within one life of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNo(pub u64);

/// The part of a batch header that makes a resend recognisable: never given to other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Id that the broker gave to this partition queue.
    pub producer_id: ProducerId,
    /// Epoch of that id.
    pub epoch: ProducerEpoch,
    /// Sequence number of the batch's first record.
    pub base_sequence: i32,
}

/// A run of calls of equal size: `calls` calls of `records` records each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallRun {
    pub(crate) records: u32,
    pub(crate) calls: u32,
}

/// Adds one call to the runs.
#[inline]
pub(crate) fn push_call(runs: &mut Vec<CallRun>, records: u32) {
    match runs.last_mut() {
        Some(last) if last.records == records => last.calls = last.calls.saturating_add(1),
        _ => runs.push(CallRun { records, calls: 1 }),
    }
}

/// The records of a batch, uncompressed, with all that its header needs except the stamp.
#[derive(Debug, Clone)]
pub struct BatchBody {
    /// The encoded records, in order; together they are the body of the batch.
    pub frames: Vec<Bytes>,
    /// Their size, count, checksum and timestamps.
    pub totals: FrameTotals,
    pub(crate) runs: Vec<CallRun>,
    /// The records as they are sent, once the driver has compressed them; kept for another attempt.
    pub compressed: OnceLock<(Compression, Bytes)>,
}

impl BatchBody {
    /// Records in the batch.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.totals.record_count
    }

    /// Calls in the batch.
    #[must_use]
    pub fn call_count(&self) -> u32 {
        self.runs
            .iter()
            .fold(0, |sum, run| sum.saturating_add(run.calls))
    }

    /// The batch's header for a stamp, as the leader wants it from a producer.
    ///
    /// # Errors
    /// When the batch has more bytes or records than the format can say.
    pub fn header(
        &self,
        stamp: Option<Stamp>,
        compression: Compression,
    ) -> Result<BatchHeader, BatchTooLarge> {
        let mut header = BatchHeader::for_totals(&self.totals)?;
        header.compression = compression;
        if let Some(stamp) = stamp {
            header.producer_id = stamp.producer_id;
            header.producer_epoch = stamp.epoch;
            header.base_sequence = stamp.base_sequence;
        }
        Ok(header)
    }
}
