//! A whole batch in one call, for those who have its records together and need no frames.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::builder::{RecordTooLarge, RecordsBuilder};
use super::checksum::crc32c;
use super::compression::{CompressError, Compression, CompressionLevel, compress};
use super::frame::{FrameTotals, FramesMismatch};
use super::header::{BATCH_HEADER_BYTES, BatchHeader, BatchTooLarge};
use super::record::RecordRef;

/// Encodes records as one batch, ready for a Produce request.
///
/// Compression, offsets, flags and stamps (producer id, epoch, base sequence) are those of
/// `template`; counts and timestamps are computed from the records. Compression is at its default
/// level. The records are encoded into memory of their own, and copied once more behind the header;
/// [`RecordsBuilder`] copies nothing.
///
/// ```
/// use wolff_codec::records::{Batches, BatchHeader, Compression, RecordRef, encode_batch};
///
/// let template = BatchHeader { compression: Compression::Lz4, ..BatchHeader::default() };
/// let record = RecordRef {
///     timestamp_ms: 1_700_000_000_000,
///     value: Some(b"howl"),
///     ..RecordRef::default()
/// };
/// let batch = encode_batch(&template, [record, record])?;
///
/// let read = Batches::new(batch).next().expect("a batch")?;
/// read.verify()?;
/// assert_eq!(read.header().record_count, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When there is no record, when they are more than a batch can have, or when the compression is
/// not compiled in.
pub fn encode_batch<'a>(
    template: &BatchHeader,
    records: impl IntoIterator<Item = RecordRef<'a>>,
) -> Result<Bytes, EncodeBatchError> {
    let mut records = records.into_iter();
    let first = records.next().ok_or(EncodeBatchError::Empty)?;
    let mut builder = RecordsBuilder::new(first.timestamp_ms);
    builder.append(&first)?;
    for record in records {
        builder.append(&record)?;
    }
    let frame = builder.cut().ok_or(EncodeBatchError::Empty)?;
    let totals = FrameTotals::of([&frame])?;
    let counted = BatchHeader::for_totals(&totals)?;
    let header = BatchHeader {
        last_offset_delta: counted.last_offset_delta,
        base_timestamp_ms: counted.base_timestamp_ms,
        max_timestamp_ms: counted.max_timestamp_ms,
        record_count: counted.record_count,
        ..*template
    };
    let (records, records_crc32c) = match template.compression {
        Compression::None => (frame.records, totals.records_crc32c),
        compression => {
            let records = compress(compression, CompressionLevel::DEFAULT, &[frame.records])?;
            let records_crc32c = crc32c(&records);
            (records, records_crc32c)
        }
    };
    let header = header.encode(records.len(), records_crc32c)?;
    let mut batch = BytesMut::with_capacity(BATCH_HEADER_BYTES + records.len());
    batch.put_slice(&header);
    batch.put_slice(&records);
    Ok(batch.freeze())
}

/// The reason why records are not encoded as one batch.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeBatchError {
    /// There is no record: a batch has at least one.
    #[error("a batch needs at least one record")]
    Empty,
    /// The records are too large together.
    #[error("the records do not fit one batch")]
    RecordTooLarge(#[from] RecordTooLarge),
    /// The batch is too large.
    #[error("the records do not fit one batch")]
    BatchTooLarge(#[from] BatchTooLarge),
    /// The records are more than a batch can count.
    #[error("the records do not fit one batch")]
    TooManyRecords(#[from] FramesMismatch),
    /// The compression is not available.
    #[error("the records cannot be compressed")]
    Compress(#[from] CompressError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ProducerEpoch, ProducerId};
    use crate::records::Batches;

    fn record(value: &[u8]) -> RecordRef<'_> {
        RecordRef {
            timestamp_ms: 5,
            value: Some(value),
            ..RecordRef::default()
        }
    }

    #[test]
    fn a_batch_of_one_call_has_the_stamps_of_its_template_and_the_counts_of_its_records() {
        for compression in [Compression::None, Compression::Gzip, Compression::Lz4] {
            let template = BatchHeader {
                compression,
                producer_id: ProducerId(7),
                producer_epoch: ProducerEpoch(1),
                base_sequence: 11,
                record_count: 99,
                ..BatchHeader::default()
            };
            let late = RecordRef {
                timestamp_ms: 9,
                ..record(b"b")
            };
            let batch = encode_batch(&template, [record(b"a"), late]).unwrap();
            let batch = Batches::new(batch).next().unwrap().unwrap();
            batch.verify().unwrap();
            let expected = BatchHeader {
                last_offset_delta: 1,
                base_timestamp_ms: 5,
                max_timestamp_ms: 9,
                record_count: 2,
                ..template
            };
            assert_eq!(*batch.header(), expected);
            let values: Vec<Bytes> = batch
                .records(1 << 10)
                .unwrap()
                .map(|record| record.unwrap().value.unwrap())
                .collect();
            assert_eq!(values, ["a", "b"]);
        }
    }

    #[test]
    fn a_batch_without_records_is_an_error() {
        let error = encode_batch(&BatchHeader::default(), []).unwrap_err();
        assert!(matches!(error, EncodeBatchError::Empty));
    }
}
