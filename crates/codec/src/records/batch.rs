//! Batches, one behind the other, as a Fetch response or a Produce request has them.

use std::iter::FusedIterator;

use bytes::Bytes;
use thiserror::Error;

use super::{
    checksum,
    compression::{Compression, DecompressError, decompress},
    header::{BATCH_HEADER_BYTES, BatchHeader, CHECKED_FROM, HeaderError, RecordsPart},
    reader::Records,
};

/// The batches in a sequence of bytes; lazily, without copying.
///
/// A broker cuts a Fetch response at a number of bytes, so its last batch may be incomplete: the
/// iterator ends before that one, and [`rest`](Self::rest) then has its bytes. After an error the
/// iterator ends too.
///
/// ```
/// use bytes::Bytes;
/// use wolff_codec::records::{BatchHeader, Batches, FrameTotals, RecordRef, RecordsBuilder};
///
/// let mut builder = RecordsBuilder::new(1_700_000_000_000);
/// builder.append(&RecordRef {
///     timestamp_ms: 1_700_000_000_000,
///     key: Some(b"wolf"),
///     ..RecordRef::default()
/// })?;
/// let frame = builder.cut().expect("a record was appended");
/// let totals = FrameTotals::of([&frame])?;
/// let header = BatchHeader::for_totals(&totals)?;
/// let header = header.encode(totals.records_len, totals.records_crc32c)?;
/// let batch = [&header[..], &frame.records].concat();
///
/// // What a broker returns: a batch, and as much of the next one as there was room for.
/// let mut batches = Batches::new(Bytes::from([&batch[..], &batch[..30]].concat()));
/// for batch in batches.by_ref() {
///     let batch = batch?;
///     batch.verify()?;
///     for record in batch.records(1 << 20)? {
///         let record = record?;
///         assert_eq!(record.key.as_deref(), Some(&b"wolf"[..]));
///         assert_eq!(record.value, None);
///     }
/// }
/// assert_eq!(batches.rest().len(), 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
    has_failed: bool,
}

impl Batches {
    /// The batches in these bytes.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            has_failed: false,
        }
    }

    /// Returns the bytes that have not been read yet. At the end: nothing, or an incomplete batch,
    /// or what is not a batch.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    fn parse_next(&mut self) -> Result<Option<Batch>, HeaderError> {
        let Some(header) = self.rest.first_chunk::<BATCH_HEADER_BYTES>() else {
            // The start of an old message, or of no batch at all, does not pass for an incomplete
            // one.
            return BatchHeader::check_start(&self.rest).map(|()| None);
        };
        let (header, part) = BatchHeader::decode(header)?;
        // No overflow: the part's length comes from a positive 32-bit number that counts most of
        // the header.
        let batch_len = BATCH_HEADER_BYTES + part.records_len;
        if self.rest.len() < batch_len {
            return Ok(None);
        }
        let bytes = self.rest.split_to(batch_len);
        Ok(Some(Batch {
            header,
            part,
            bytes,
        }))
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let parsed = self.parse_next();
        self.has_failed = parsed.is_err();
        parsed.transpose()
    }
}

impl FusedIterator for Batches {}

/// A whole batch: its header and its records, still encoded and maybe compressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    header: BatchHeader,
    part: RecordsPart,
    /// Header and records.
    bytes: Bytes,
}

impl Batch {
    /// The header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included, as it was read.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The records as they are stored: compressed or not.
    #[must_use]
    pub fn stored_records(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_BYTES..)
    }

    /// Checks the batch against its CRC32C, which covers everything from the attributes on.
    ///
    /// # Errors
    /// When they differ: the bytes were damaged on their way.
    pub fn verify(&self) -> Result<(), ChecksumMismatch> {
        let computed = checksum::crc32c(self.bytes.get(CHECKED_FROM..).unwrap_or_default());
        if computed == self.part.crc32c {
            Ok(())
        } else {
            Err(ChecksumMismatch {
                stored: self.part.crc32c,
                computed,
            })
        }
    }

    /// The records, to be read one by one. Those of an uncompressed batch share its bytes; a
    /// compressed one is decompressed here, to at most `max_decompressed_bytes`.
    ///
    /// The checksum is not looked at: call [`verify`](Self::verify) first where it matters.
    ///
    /// # Errors
    /// When the records do not decompress, or to more than the limit.
    pub fn records(&self, max_decompressed_bytes: usize) -> Result<Records, DecompressError> {
        let records = match self.header.compression {
            Compression::None => self.stored_records(),
            compression => decompress(compression, &self.stored_records(), max_decompressed_bytes)?,
        };
        Ok(Records::of_batch(&self.header, records))
    }
}

/// A batch is not what it was when its checksum was made.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("batch has CRC32C {computed:#010x}, its header says {stored:#010x}")]
pub struct ChecksumMismatch {
    /// The checksum that the header has.
    pub stored: u32,
    /// The checksum of the bytes at hand.
    pub computed: u32,
}
