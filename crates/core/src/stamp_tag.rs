//! The tag of a lease: the stamps of its batches, durable before the first byte is sent.
//!
//! `FORMAT.md` describes it byte by byte. All numbers are little endian.

use bytes::{BufMut, Bytes, BytesMut};
use wolff_codec::records::Compression;
use wolff_codec::{ProducerEpoch, ProducerId};

use crate::batch::Stamp;

/// The only version. Version 1 was never released.
const VERSION: u8 = 2;
/// Stamped batches that one lease has at most: those that can be in flight.
pub(crate) const MAX_STAMPED: usize = 5;
/// Flag: records that are in no batch were perhaps sent.
const REST_WAS_SENT: u16 = 1 << 15;
/// The flag of each batch, and that of the rest.
const KNOWN_FLAGS: u16 = REST_WAS_SENT | ((1 << MAX_STAMPED) - 1);
const HEAD_BYTES: usize = 60;
const PIECE_BYTES: usize = 27;

/// Flag: the batch with this number was perhaps appended before under other numbers.
fn was_sent_before(number: usize) -> u16 {
    u32::try_from(number)
        .ok()
        .and_then(|number| 1u16.checked_shl(number))
        .unwrap_or(0)
}

/// One stamped batch of a lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StampedBatch {
    /// Its stamp.
    pub stamp: Stamp,
    /// First record within the lease's batch.
    pub first_record: u32,
    /// Records in it.
    pub record_count: u32,
    /// Its compression.
    pub compression: u8,
    /// The highest sequence number of the stamp's identity that was acked when the tag was written;
    /// -1: none. The largest one that is found anywhere tells which stamps are delivered, also
    /// where an acknowledgement of the queue was lost with the power.
    pub acked_through: i32,
    /// It was perhaps appended before under other numbers, by which no broker recognises it: an
    /// acknowledgement leaves it possibly duplicated.
    pub was_sent_before: bool,
}

/// The tag of a lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseTag {
    /// The topic's id; zero where the cluster has none.
    pub topic_id: [u8; 16],
    /// Hash of the cluster's id; 0 where it is not known.
    pub cluster: u64,
    /// Offset of the last acknowledged record of the partition; negative where none is known. Where
    /// a scan of the log begins.
    pub floor: i64,
    /// The newest timestamp among the records.
    pub max_timestamp_ms: i64,
    /// Time at which the tag was written, milliseconds since the epoch; 0 where that is not known.
    pub stamped_at_ms: i64,
    /// Number of the stamps' identity among those that the queue has had: a larger one is newer.
    pub generation: u32,
    /// Records at the front of the lease that are done.
    pub done_records: u32,
    /// Records that are neither done nor in one of the batches were perhaps sent without numbers,
    /// or under numbers that they have no more.
    pub rest_was_sent: bool,
    /// The batches that may be sent, in order; at most five.
    pub batches: Vec<StampedBatch>,
}

/// A lease tag that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseTagError {
    /// Shorter than its own counts require.
    #[error("the lease tag of {0} bytes is too short")]
    Short(usize),
    /// Written by another version of wolff, or not by wolff.
    #[error("the lease tag has version {0}; this wolff reads version 2")]
    Version(u8),
    /// Written by a later version of wolff.
    #[error("the lease tag has flags {0:#06x}, of which this wolff does not know all")]
    Flags(u16),
}

impl LeaseTag {
    /// The tag as bytes: at most 195.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let batches = self.batches.get(..MAX_STAMPED).unwrap_or(&self.batches);
        let bytes = HEAD_BYTES + batches.len() * PIECE_BYTES;
        let mut out = BytesMut::with_capacity(bytes);
        out.put_u8(VERSION);
        out.put_u8(u8::try_from(batches.len()).unwrap_or(0));
        out.put_u16_le(self.flags());
        out.put_u32_le(self.done_records);
        out.put_slice(&self.topic_id);
        out.put_u64_le(self.cluster);
        out.put_i64_le(self.floor);
        out.put_i64_le(self.max_timestamp_ms);
        out.put_i64_le(self.stamped_at_ms);
        out.put_u32_le(self.generation);
        for batch in batches {
            out.put_i64_le(batch.stamp.producer_id.0);
            out.put_i16_le(batch.stamp.epoch.0);
            out.put_i32_le(batch.stamp.base_sequence);
            out.put_u32_le(batch.first_record);
            out.put_u32_le(batch.record_count);
            out.put_u8(batch.compression);
            out.put_i32_le(batch.acked_through);
        }
        out.freeze()
    }

    fn flags(&self) -> u16 {
        let batches = self.batches.iter().take(MAX_STAMPED).enumerate();
        let sent = batches.filter(|(_, batch)| batch.was_sent_before);
        let flags = sent.map(|(number, _)| was_sent_before(number));
        let rest = if self.rest_was_sent { REST_WAS_SENT } else { 0 };
        flags.fold(rest, |flags, flag| flags | flag)
    }

    /// Reads a tag.
    ///
    /// # Errors
    /// [`LeaseTagError`].
    pub fn decode(tag: &[u8]) -> Result<Self, LeaseTagError> {
        let short = LeaseTagError::Short(tag.len());
        let mut fields = Fields(tag);
        let [version, count, low, high] = fields.next::<4>().ok_or(short)?;
        if version != VERSION {
            return Err(LeaseTagError::Version(version));
        }
        let flags = u16::from_le_bytes([low, high]);
        if flags & !KNOWN_FLAGS != 0 {
            return Err(LeaseTagError::Flags(flags));
        }
        let mut read = Self {
            done_records: u32::from_le_bytes(fields.next().ok_or(short)?),
            topic_id: fields.next().ok_or(short)?,
            cluster: u64::from_le_bytes(fields.next().ok_or(short)?),
            floor: i64::from_le_bytes(fields.next().ok_or(short)?),
            max_timestamp_ms: i64::from_le_bytes(fields.next().ok_or(short)?),
            stamped_at_ms: i64::from_le_bytes(fields.next().ok_or(short)?),
            generation: u32::from_le_bytes(fields.next().ok_or(short)?),
            rest_was_sent: flags & REST_WAS_SENT != 0,
            batches: Vec::new(),
        };
        for number in 0..count {
            read.batches.push(StampedBatch {
                stamp: Stamp {
                    producer_id: ProducerId(i64::from_le_bytes(fields.next().ok_or(short)?)),
                    epoch: ProducerEpoch(i16::from_le_bytes(fields.next().ok_or(short)?)),
                    base_sequence: i32::from_le_bytes(fields.next().ok_or(short)?),
                },
                first_record: u32::from_le_bytes(fields.next().ok_or(short)?),
                record_count: u32::from_le_bytes(fields.next().ok_or(short)?),
                compression: fields.next::<1>().ok_or(short)?[0],
                acked_through: i32::from_le_bytes(fields.next().ok_or(short)?),
                was_sent_before: flags & was_sent_before(usize::from(number)) != 0,
            });
        }
        Ok(read)
    }
}

/// The number of a compression in a tag, as in the attributes of a record batch.
pub(crate) fn compression_number(compression: Compression) -> u8 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Snappy => 2,
        Compression::Lz4 => 3,
        Compression::Zstd => 4,
    }
}

/// The compression with a number; none for a number that this version does not know.
pub(crate) fn compression_of(number: u8) -> Compression {
    match number {
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        _ => Compression::None,
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> LeaseTag {
        let batch = |number: u32| StampedBatch {
            stamp: Stamp {
                producer_id: ProducerId(4_000),
                epoch: ProducerEpoch(2),
                base_sequence: i32::try_from(number).unwrap() * 10,
            },
            first_record: number * 10,
            record_count: 10,
            compression: 4,
            acked_through: 7,
            was_sent_before: number == 2,
        };
        LeaseTag {
            topic_id: *b"0123456789abcdef",
            cluster: 77,
            floor: 1_234,
            max_timestamp_ms: 1_700_000_000_000,
            stamped_at_ms: 1_700_000_000_456,
            generation: 3,
            done_records: 10,
            rest_was_sent: true,
            batches: (1..4).map(batch).collect(),
        }
    }

    #[test]
    fn what_was_written_is_read_and_the_bytes_are_golden() {
        let bytes = tag().encode();
        assert_eq!(LeaseTag::decode(&bytes), Ok(tag()));
        assert_eq!(bytes.len(), HEAD_BYTES + 3 * PIECE_BYTES);
        let golden = include_bytes!("../tests/golden/lease_tag_v2.bin");
        assert_eq!(bytes.as_ref(), golden.as_slice());
    }

    #[test]
    fn truncation_at_every_byte_is_an_error_and_other_versions_are_refused() {
        let bytes = tag().encode();
        for cut in 0..bytes.len() {
            assert!(LeaseTag::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut other = bytes.to_vec();
        other[0] = 9;
        assert_eq!(LeaseTag::decode(&other), Err(LeaseTagError::Version(9)));
        let mut other = bytes.to_vec();
        other[2] |= 1 << MAX_STAMPED;
        assert_eq!(LeaseTag::decode(&other), Err(LeaseTagError::Flags(0x8022)));
    }

    #[test]
    fn no_more_batches_are_written_than_can_be_in_flight() {
        let mut many = tag();
        many.batches = many.batches.iter().cycle().take(9).copied().collect();
        let read = LeaseTag::decode(&many.encode()).unwrap();
        assert_eq!(read.batches.len(), MAX_STAMPED);
    }
}
