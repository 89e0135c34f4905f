//! The 61 bytes before the records of a batch: who sends it, with which stamp, and how the records
//! are stored.
//!
//! The header is built apart from the records. Its checksum covers the records too, but is combined
//! from theirs, so that a batch can be stamped, and stamped anew, without reading a record's byte.

use thiserror::Error;

use super::{
    checksum,
    compression::{Compression, UnknownCompression},
    frame::FrameTotals,
};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// The length of an encoded [`BatchHeader`], in bytes.
pub const BATCH_HEADER_BYTES: usize = 61;

/// The bytes of a batch that its length field does not count: base offset and the length itself.
pub(super) const UNCOUNTED_BYTES: usize = 12;

/// The bytes of the header that the length field counts.
pub(super) const COUNTED_HEADER_BYTES: usize = BATCH_HEADER_BYTES - UNCOUNTED_BYTES;

/// The only batch format that is still in use (Kafka 0.11, KIP-98).
const MAGIC: i8 = 2;

/// Where the length field begins.
const LENGTH_AT: usize = 8;

/// Where the format version is, in this format and in all before it.
const MAGIC_AT: usize = 16;

/// Where the part that the checksum covers begins: with the attributes.
pub(super) const CHECKED_FROM: usize = 21;

const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Origin of the timestamps of a batch.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TimestampType {
    /// The producer; every record has its own.
    #[default]
    CreateTime,
    /// The broker, when it appends the batch: the batch's maximum timestamp holds for every record.
    LogAppendTime,
}

/// The header of a record batch, format version 2 (KIP-98).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchHeader {
    /// The offset of the first record; 0 in what a producer sends.
    pub base_offset: Offset,
    /// Set by the broker; unknown in what a producer sends. The checksum does not cover it.
    pub partition_leader_epoch: LeaderEpoch,
    /// Compression of the records.
    pub compression: Compression,
    /// Origin of the timestamps.
    pub timestamp_type: TimestampType,
    /// True if the batch belongs to a transaction.
    pub is_transactional: bool,
    /// True if the batch holds transaction markers instead of records.
    pub is_control: bool,
    /// True if `base_timestamp_ms` is the time from which tombstones may be removed (KIP-534); set
    /// by the log cleaner only.
    pub has_delete_horizon: bool,
    /// The delta of the last offset of the batch from the first; 0 or more.
    pub last_offset_delta: i32,
    /// The timestamp to which the records' timestamps are relative; milliseconds since the Unix
    /// epoch.
    pub base_timestamp_ms: i64,
    /// The greatest timestamp of the batch; milliseconds since the Unix epoch.
    pub max_timestamp_ms: i64,
    /// The producer's id, or none.
    pub producer_id: ProducerId,
    /// The producer's epoch, or none.
    pub producer_epoch: ProducerEpoch,
    /// The sequence number of the first record; -1 without a producer id.
    pub base_sequence: i32,
    /// The number of records; the log cleaner may have left fewer than the offsets span.
    pub record_count: i32,
}

impl Default for BatchHeader {
    /// An empty, uncompressed batch of a producer without id.
    fn default() -> Self {
        Self {
            base_offset: Offset(0),
            partition_leader_epoch: LeaderEpoch::UNKNOWN,
            compression: Compression::None,
            timestamp_type: TimestampType::CreateTime,
            is_transactional: false,
            is_control: false,
            has_delete_horizon: false,
            last_offset_delta: 0,
            base_timestamp_ms: 0,
            max_timestamp_ms: 0,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            record_count: 0,
        }
    }
}

impl BatchHeader {
    /// The header of a batch with these records, uncompressed, without a producer id: to be
    /// completed by the caller.
    ///
    /// # Errors
    /// When there are more records than the format can count.
    pub fn for_totals(totals: &FrameTotals) -> Result<Self, BatchTooLarge> {
        let record_count = i32::try_from(totals.record_count)
            .map_err(|_| BatchTooLarge::of(totals.records_len))?;
        Ok(Self {
            last_offset_delta: record_count.saturating_sub(1),
            base_timestamp_ms: totals.base_timestamp_ms,
            max_timestamp_ms: totals.max_timestamp_ms,
            record_count,
            ..Self::default()
        })
    }

    /// Encodes the header of a batch whose records, as they are sent (compressed or not), have this
    /// length and CRC32C.
    ///
    /// The records themselves are not needed: the checksum of the batch is combined from that of
    /// the header and theirs.
    ///
    /// # Errors
    /// When the batch exceeds the 31-bit length field.
    pub fn encode(
        &self,
        records_len: usize,
        records_crc32c: u32,
    ) -> Result<[u8; BATCH_HEADER_BYTES], BatchTooLarge> {
        let batch_len = records_len
            .checked_add(COUNTED_HEADER_BYTES)
            .and_then(|len| i32::try_from(len).ok())
            .ok_or_else(|| BatchTooLarge::of(records_len))?;
        let checked = self.encode_checked_part();
        let crc = checksum::combine(checksum::crc32c(&checked), records_crc32c, records_len);

        let mut header = [0; BATCH_HEADER_BYTES];
        let mut out = Fields(&mut header);
        out.put(self.base_offset.0.to_be_bytes());
        out.put(batch_len.to_be_bytes());
        out.put(self.partition_leader_epoch.0.to_be_bytes());
        out.put(MAGIC.to_be_bytes());
        out.put(crc.to_be_bytes());
        out.put(checked);
        Ok(header)
    }

    /// The part of the header that the checksum covers: attributes to record count.
    fn encode_checked_part(&self) -> [u8; BATCH_HEADER_BYTES - CHECKED_FROM] {
        let mut checked = [0; BATCH_HEADER_BYTES - CHECKED_FROM];
        let mut out = Fields(&mut checked);
        out.put(self.attributes().to_be_bytes());
        out.put(self.last_offset_delta.to_be_bytes());
        out.put(self.base_timestamp_ms.to_be_bytes());
        out.put(self.max_timestamp_ms.to_be_bytes());
        out.put(self.producer_id.0.to_be_bytes());
        out.put(self.producer_epoch.0.to_be_bytes());
        out.put(self.base_sequence.to_be_bytes());
        out.put(self.record_count.to_be_bytes());
        checked
    }

    fn attributes(&self) -> i16 {
        let flag = |is_set: bool, bit: i16| if is_set { bit } else { 0 };
        self.compression.code()
            | flag(
                self.timestamp_type == TimestampType::LogAppendTime,
                LOG_APPEND_TIME,
            )
            | flag(self.is_transactional, TRANSACTIONAL)
            | flag(self.is_control, CONTROL)
            | flag(self.has_delete_horizon, DELETE_HORIZON)
    }

    /// Checks that bytes that are too few for a header may be the start of one, as far as they go.
    pub(super) fn check_start(bytes: &[u8]) -> Result<(), HeaderError> {
        if let Some(&magic) = bytes.get(MAGIC_AT) {
            check_magic(magic.cast_signed())?;
        }
        if let Some(batch_len) = bytes.get(LENGTH_AT..).and_then(<[u8]>::first_chunk) {
            records_len(i32::from_be_bytes(*batch_len))?;
        }
        Ok(())
    }

    /// Decodes a header; also returns what it says of the records that follow.
    ///
    /// # Errors
    /// When the format is not version 2, the length is smaller than the header, a count is negative
    /// or the compression unknown. The checksum is not checked here: the records are not at hand.
    pub fn decode(bytes: &[u8; BATCH_HEADER_BYTES]) -> Result<(Self, RecordsPart), HeaderError> {
        let mut fields = Reader(bytes);
        let base_offset = Offset(i64::from_be_bytes(fields.take()));
        let batch_len = i32::from_be_bytes(fields.take());
        let partition_leader_epoch = LeaderEpoch(i32::from_be_bytes(fields.take()));
        check_magic(i8::from_be_bytes(fields.take()))?;
        let records_len = records_len(batch_len)?;
        let crc32c = u32::from_be_bytes(fields.take());
        let attributes = i16::from_be_bytes(fields.take());
        let header = Self {
            base_offset,
            partition_leader_epoch,
            compression: Compression::from_code(attributes & COMPRESSION_MASK)?,
            timestamp_type: if attributes & LOG_APPEND_TIME == 0 {
                TimestampType::CreateTime
            } else {
                TimestampType::LogAppendTime
            },
            is_transactional: attributes & TRANSACTIONAL != 0,
            is_control: attributes & CONTROL != 0,
            has_delete_horizon: attributes & DELETE_HORIZON != 0,
            last_offset_delta: i32::from_be_bytes(fields.take()),
            base_timestamp_ms: i64::from_be_bytes(fields.take()),
            max_timestamp_ms: i64::from_be_bytes(fields.take()),
            producer_id: ProducerId(i64::from_be_bytes(fields.take())),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(fields.take())),
            base_sequence: i32::from_be_bytes(fields.take()),
            record_count: i32::from_be_bytes(fields.take()),
        };
        if header.record_count < 0 || header.last_offset_delta < 0 {
            return Err(HeaderError::Count {
                record_count: header.record_count,
                last_offset_delta: header.last_offset_delta,
            });
        }
        Ok((
            header,
            RecordsPart {
                records_len,
                crc32c,
            },
        ))
    }
}

fn check_magic(magic: i8) -> Result<(), HeaderError> {
    if magic == MAGIC {
        Ok(())
    } else {
        Err(HeaderError::Magic { magic })
    }
}

/// The length of the records in a batch whose length field says `batch_len`.
fn records_len(batch_len: i32) -> Result<usize, HeaderError> {
    usize::try_from(batch_len)
        .ok()
        .and_then(|len| len.checked_sub(COUNTED_HEADER_BYTES))
        .ok_or(HeaderError::Length { batch_len })
}

/// Claims of a decoded header about the records after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordsPart {
    /// The length of the records part as stored (compressed or not), in bytes.
    pub records_len: usize,
    /// The checksum of everything from the attributes to the end of the batch.
    pub crc32c: u32,
}

/// A batch would exceed what the format's 31-bit length field can say.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("records of {records_len} bytes exceed the length that a batch can have")]
pub struct BatchTooLarge {
    /// The length of the records, in bytes.
    pub records_len: usize,
}

impl BatchTooLarge {
    fn of(records_len: usize) -> Self {
        Self { records_len }
    }
}

/// Why 61 bytes are not the header of a batch.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HeaderError {
    /// A format other than version 2: older ones are gone since Kafka 4.0, newer ones unknown.
    #[error("record batch format {magic} is not supported, only 2 is")]
    Magic {
        /// The format version that the bytes claim.
        magic: i8,
    },
    /// The length does not even cover the header.
    #[error("batch length {batch_len} is smaller than the batch header")]
    Length {
        /// The length that the bytes claim.
        batch_len: i32,
    },
    /// A negative count.
    #[error("record count {record_count} or last offset delta {last_offset_delta} is negative")]
    Count {
        /// The number of records that the bytes claim.
        record_count: i32,
        /// The delta of the last offset that the bytes claim.
        last_offset_delta: i32,
    },
    /// A compression that is not known.
    #[error(transparent)]
    Compression(#[from] UnknownCompression),
}

/// Fills an array field by field. The fields' sizes add up to the array's, so neither type ever
/// runs short.
struct Fields<'a>(&'a mut [u8]);

impl Fields<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((field, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *field = bytes;
            self.0 = rest;
        }
    }
}

/// The inverse of [`Fields`].
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_header() -> impl Strategy<Value = BatchHeader> {
        let stamp = (any::<i64>(), any::<i16>(), any::<i32>());
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let place = (any::<i64>(), any::<i32>(), 0..=i32::MAX, 0..=i32::MAX);
        (0i16..5, stamp, flags, place, any::<(i64, i64)>()).prop_map(
            |(code, stamp, flags, place, times)| BatchHeader {
                base_offset: Offset(place.0),
                partition_leader_epoch: LeaderEpoch(place.1),
                compression: Compression::from_code(code).unwrap(),
                timestamp_type: if flags.0 {
                    TimestampType::LogAppendTime
                } else {
                    TimestampType::CreateTime
                },
                is_transactional: flags.1,
                is_control: flags.2,
                has_delete_horizon: flags.3,
                last_offset_delta: place.2,
                base_timestamp_ms: times.0,
                max_timestamp_ms: times.1,
                producer_id: ProducerId(stamp.0),
                producer_epoch: ProducerEpoch(stamp.1),
                base_sequence: stamp.2,
                record_count: place.3,
            },
        )
    }

    proptest! {
        #[test]
        fn the_combined_checksum_is_that_of_the_contiguous_batch(
            header in any_header(),
            records in proptest::collection::vec(any::<u8>(), 0..2000),
        ) {
            let encoded = header.encode(records.len(), checksum::crc32c(&records)).unwrap();
            let batch = [&encoded[..], &records].concat();
            let naive = crc32c::crc32c(&batch[CHECKED_FROM..]);
            prop_assert_eq!(&encoded[17..21], &naive.to_be_bytes());

            let (decoded, part) = BatchHeader::decode(&encoded).unwrap();
            prop_assert_eq!(decoded, header);
            prop_assert_eq!(part, RecordsPart { records_len: records.len(), crc32c: naive });
        }

        #[test]
        fn any_61_bytes_decode_to_a_header_or_an_error(bytes: [u8; 32], more: [u8; 29], magic in 0u8..4) {
            let mut header = [0; BATCH_HEADER_BYTES];
            header[..32].copy_from_slice(&bytes);
            header[32..].copy_from_slice(&more);
            header[16] = magic;
            if let Ok((decoded, part)) = BatchHeader::decode(&header) {
                prop_assert!(decoded.record_count >= 0);
                prop_assert!(i32::try_from(part.records_len).is_ok());
            }
        }
    }

    #[test]
    fn a_batch_beyond_the_length_field_is_refused() {
        let most = i32::MAX as usize - COUNTED_HEADER_BYTES;
        assert!(BatchHeader::default().encode(most, 0).is_ok());
        assert_eq!(
            BatchHeader::default().encode(most + 1, 0),
            Err(BatchTooLarge {
                records_len: most + 1
            })
        );
        assert!(BatchHeader::default().encode(usize::MAX, 0).is_err());
    }

    #[test]
    fn what_is_not_a_version_2_header_is_named() {
        let good = BatchHeader::default().encode(0, 0).unwrap();
        let changed = |at: usize, bytes: &[u8]| {
            let mut header = good;
            header[at..at + bytes.len()].copy_from_slice(bytes);
            BatchHeader::decode(&header).map(|_| ()).unwrap_err()
        };
        assert_eq!(changed(16, &[1]), HeaderError::Magic { magic: 1 });
        assert_eq!(
            changed(8, &48i32.to_be_bytes()),
            HeaderError::Length { batch_len: 48 }
        );
        assert_eq!(
            changed(8, &(-1i32).to_be_bytes()),
            HeaderError::Length { batch_len: -1 }
        );
        assert_eq!(
            changed(22, &[7]),
            HeaderError::Compression(UnknownCompression { code: 7 })
        );
        assert!(matches!(
            changed(57, &(-1i32).to_be_bytes()),
            HeaderError::Count {
                record_count: -1,
                ..
            }
        ));
        assert!(matches!(
            changed(23, &(-1i32).to_be_bytes()),
            HeaderError::Count {
                last_offset_delta: -1,
                ..
            }
        ));
    }
}
