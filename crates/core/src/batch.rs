//! A closed batch: immutable record bytes, ready to be put behind any header.

use std::sync::OnceLock;

use bytes::Bytes;
use wolff_codec::records::{
    BATCH_HEADER_BYTES, BatchHeader, BatchTooLarge, CompressError, Compression, CompressionLevel,
    FrameTotals, compress, crc32c,
};
use wolff_codec::wire::Chunks;
use wolff_codec::{ProducerEpoch, ProducerId};

/// Number of a batch within one run of a partition.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BatchNo(pub u64);

/// The part of a batch header by which a broker recognises a resend: never given to other content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// Id that the cluster gave to this partition queue.
    pub producer_id: ProducerId,
    /// Epoch of that id.
    pub epoch: ProducerEpoch,
    /// Sequence number of the batch's first record.
    pub base_sequence: i32,
}

impl Stamp {
    /// Returns whether both belong to the same identity: producer id and epoch.
    #[must_use]
    pub fn is_same_identity(&self, other: &Self) -> bool {
        (self.producer_id, self.epoch) == (other.producer_id, other.epoch)
    }
}

/// Calls of equal size that follow one another: `calls` calls of `records` records each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CallRun {
    records: u32,
    calls: u32,
}

impl CallRun {
    pub(crate) fn new(records: u32, calls: u32) -> Self {
        Self { records, calls }
    }

    pub(crate) fn records(self) -> u32 {
        self.records
    }

    pub(crate) fn calls(self) -> u32 {
        self.calls
    }
}

/// The boundaries of the calls in a run of records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Calls {
    runs: Vec<CallRun>,
}

impl Calls {
    /// Adds one call.
    #[inline]
    pub(crate) fn push(&mut self, records: u32) {
        self.push_run(CallRun::new(records, 1));
    }

    /// Adds calls of equal size.
    #[inline]
    pub(crate) fn push_run(&mut self, run: CallRun) {
        match self.runs.last_mut() {
            Some(last) if last.records == run.records => {
                last.calls = last.calls.saturating_add(run.calls);
            }
            _ => self.runs.push(run),
        }
    }

    /// Adds the calls that follow these.
    pub(crate) fn extend(&mut self, others: &Self) {
        for run in &others.runs {
            self.push_run(*run);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }

    pub(crate) fn runs(&self) -> &[CallRun] {
        &self.runs
    }

    /// Number of calls.
    pub(crate) fn count(&self) -> u32 {
        self.runs
            .iter()
            .fold(0, |sum, run| sum.saturating_add(run.calls))
    }

    /// The number of records of each call, in order.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| {
            std::iter::repeat_n(run.records, usize::try_from(run.calls).unwrap_or(0))
        })
    }
}

/// The records of a batch, uncompressed, with all that its header needs except the stamp.
#[derive(Clone, Debug)]
pub struct BatchBody {
    /// The encoded records in order.
    fragments: Vec<Bytes>,
    totals: FrameTotals,
    calls: Calls,
    /// The records as they are sent, once they were compressed; empty where that does not pay.
    compressed: OnceLock<(Compression, Bytes)>,
}

impl BatchBody {
    pub(crate) fn new(fragments: Vec<Bytes>, totals: FrameTotals, calls: Calls) -> Self {
        Self {
            fragments,
            totals,
            calls,
            compressed: OnceLock::new(),
        }
    }

    /// The encoded records in order, in one piece or several.
    #[must_use]
    pub fn fragments(&self) -> &[Bytes] {
        &self.fragments
    }

    /// The memory of the records, to be used again where nobody else looks at it.
    #[must_use]
    pub fn into_fragments(self) -> Vec<Bytes> {
        self.fragments
    }

    /// Size, count, checksum and timestamps of the records.
    #[must_use]
    pub fn totals(&self) -> &FrameTotals {
        &self.totals
    }

    /// Records in the batch.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.totals.record_count
    }

    /// Calls in the batch.
    #[must_use]
    pub fn call_count(&self) -> u32 {
        self.calls.count()
    }

    pub(crate) fn call_boundaries(&self) -> &Calls {
        &self.calls
    }

    /// Bytes of the records, uncompressed and without the batch's header.
    #[must_use]
    pub fn records_bytes(&self) -> usize {
        self.totals.records_len
    }

    /// Encoding in which the records are sent.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compressed
            .get()
            .map_or(Compression::None, |(compression, _)| *compression)
    }

    /// Bytes of the compressed copy, where there is one.
    pub(crate) fn compressed_bytes(&self) -> usize {
        self.compressed.get().map_or(0, |(_, copy)| copy.len())
    }

    /// Bytes of the batch as it is sent, header included.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        let records = match self.compressed.get() {
            Some((compression, records)) if *compression != Compression::None => records.len(),
            _ => self.totals.records_len,
        };
        BATCH_HEADER_BYTES.saturating_add(records)
    }

    /// Compresses the records ahead of their sending. Where that makes them no smaller, they are
    /// sent as they are. A second call changes nothing.
    ///
    /// # Errors
    /// The compression is not available; the records are sent as they are.
    pub fn compress(
        &self,
        compression: Compression,
        level: CompressionLevel,
    ) -> Result<(), CompressError> {
        if compression == Compression::None || self.compressed.get().is_some() {
            return Ok(());
        }
        let unchanged = (Compression::None, Bytes::new());
        let (made, result) = match compress(compression, level, &self.fragments) {
            Ok(smaller) if smaller.len() < self.totals.records_len => {
                ((compression, smaller), Ok(()))
            }
            Ok(_) => (unchanged, Ok(())),
            Err(error) => (unchanged, Err(error)),
        };
        // A batch is compressed by one thread, before anybody sends it.
        let _ = self.compressed.set(made);
        result
    }

    /// The batch as it goes over the wire: header, and the records' bytes without a copy.
    ///
    /// # Errors
    /// When the batch has more bytes or records than the format can express.
    pub fn encode(&self, stamp: Option<Stamp>) -> Result<Chunks, BatchTooLarge> {
        match self.compressed.get() {
            Some((compression, records)) if *compression != Compression::None => {
                let header = self.header(stamp, *compression)?;
                let header = header.encode(records.len(), crc32c(records))?;
                Ok(Chunks::from(vec![
                    Bytes::copy_from_slice(&header),
                    records.clone(),
                ]))
            }
            _ => {
                let header = self.header(stamp, Compression::None)?;
                let header = header.encode(self.totals.records_len, self.totals.records_crc32c)?;
                let mut chunks = Vec::with_capacity(self.fragments.len().saturating_add(1));
                chunks.push(Bytes::copy_from_slice(&header));
                chunks.extend(self.fragments.iter().cloned());
                Ok(Chunks::from(chunks))
            }
        }
    }

    fn header(
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
