//! The lease record: which items a lease covers, and its tag. It lies in a lease slot of the
//! control file, or as an entry in a segment.

use bytes::Bytes;

use crate::field::{self, take_bytes, take_slice, take_u16, take_u32, take_u64};
use crate::format::segment::entry::MAX_LEASE_PAYLOAD_BYTES;
use crate::format::segment::key::QueueUuid;
use crate::ids::{ItemId, ItemRange};

use super::header::{BLOCK_BYTES, ControlHeader};

/// The largest tag of a lease, in bytes.
pub const MAX_LEASE_TAG_BYTES: usize = 2048;

/// Sequences from here on are not those of a queue that tags a lease every nanosecond for a hundred
/// years: a record that has one is forged.
const LEAST_FORGED_SEQUENCE: u64 = 1 << 62;

const MAGIC: [u8; 4] = *b"RQLS";
const VERSION: u16 = 1;
const EMPTY: u16 = 0;
const LIVE: u16 = 1;

/// A lease as it is written down.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct LeaseRecord {
    /// Counts the lease records of the queue: where two overlap, the higher one counts.
    pub(crate) sequence: u64,
    pub(crate) items: ItemRange,
    pub(crate) tag: Bytes,
}

impl LeaseRecord {
    /// The payload of a lease entry in a segment.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for field in [self.sequence, self.items.first.0, self.items.last.0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.tag);
    }

    pub(crate) fn decode(payload: &Bytes) -> Option<Self> {
        let mut rest = payload.as_ref();
        let sequence = take_u64(&mut rest)?;
        let items = ItemRange::new(ItemId(take_u64(&mut rest)?), ItemId(take_u64(&mut rest)?))?;
        if rest.len() > MAX_LEASE_TAG_BYTES || sequence >= LEAST_FORGED_SEQUENCE {
            return None;
        }
        Some(Self {
            sequence,
            items,
            tag: Bytes::copy_from_slice(rest),
        })
    }

    /// The content of a lease slot.
    pub(crate) fn encode_slot(&self, uuid: QueueUuid) -> Vec<u8> {
        let mut fields = Vec::with_capacity(24_usize.saturating_add(self.tag.len()));
        self.encode(&mut fields);
        encode(uuid, LIVE, &fields)
    }

    /// The record in a lease slot, and whether the slot is neither that nor empty.
    pub(crate) fn decode_slot(slot: &[u8], uuid: QueueUuid) -> SlotState {
        Self::parse_slot(slot, uuid).unwrap_or(SlotState::Damaged)
    }

    fn parse_slot(slot: &[u8], uuid: QueueUuid) -> Option<SlotState> {
        let mut rest = slot;
        if take_bytes(&mut rest)? != MAGIC {
            return None;
        }
        let length = take_u32(&mut rest)?;
        let crc = take_u32(&mut rest)?;
        let body = take_slice(&mut rest, field::narrow(u64::from(length)))?;
        if crc != crc32c::crc32c_append(length, body) {
            return None;
        }
        let mut rest = body;
        let (version, state) = (take_u16(&mut rest)?, take_u16(&mut rest)?);
        if version != VERSION || QueueUuid(take_bytes(&mut rest)?) != uuid {
            return None;
        }
        match state {
            EMPTY => Some(SlotState::Empty),
            LIVE => Self::decode(&Bytes::copy_from_slice(rest)).map(SlotState::Live),
            _ => None,
        }
    }
}

/// Bytes written over a slot to empty it, within one sector.
pub(super) fn empty_slot(header: &ControlHeader) -> Vec<u8> {
    encode(header.uuid, EMPTY, &[])
}

fn encode(uuid: QueueUuid, state: u16, fields: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(20_usize.saturating_add(fields.len()));
    body.extend_from_slice(&VERSION.to_le_bytes());
    body.extend_from_slice(&state.to_le_bytes());
    body.extend_from_slice(&uuid.0);
    body.extend_from_slice(fields);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut slot = Vec::with_capacity(body.len().saturating_add(12));
    slot.extend_from_slice(&MAGIC);
    slot.extend_from_slice(&length.to_le_bytes());
    slot.extend_from_slice(&crc32c::crc32c_append(length, &body).to_le_bytes());
    slot.extend_from_slice(&body);
    slot
}

/// The contents of a lease slot.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) enum SlotState {
    Live(LeaseRecord),
    Empty,
    Damaged,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a block has a few thousand bytes"
)]
const _: () = assert!(
    MAX_LEASE_TAG_BYTES + 64 < BLOCK_BYTES as usize
        && 24 + MAX_LEASE_TAG_BYTES == MAX_LEASE_PAYLOAD_BYTES as usize
);

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: QueueUuid = QueueUuid([5; 16]);

    #[test]
    fn slots_come_back_and_no_flipped_bit_validates() {
        let record = LeaseRecord {
            sequence: 3,
            items: ItemRange {
                first: ItemId(4),
                last: ItemId(9),
            },
            tag: Bytes::from_static(b"stamp"),
        };
        let slot = record.encode_slot(UUID);
        assert_eq!(
            LeaseRecord::decode_slot(&slot, UUID),
            SlotState::Live(record)
        );
        assert_eq!(
            LeaseRecord::decode_slot(&slot, QueueUuid([6; 16])),
            SlotState::Damaged
        );
        let empty = encode(UUID, EMPTY, &[]);
        assert_eq!(LeaseRecord::decode_slot(&empty, UUID), SlotState::Empty);
        for slot in [slot, empty] {
            for bit in 0..slot.len() * 8 {
                let mut flipped = slot.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(
                    LeaseRecord::decode_slot(&flipped, UUID),
                    SlotState::Damaged,
                    "bit {bit}"
                );
            }
        }
        let zeros = LeaseRecord::decode_slot(&[0; 4096], UUID);
        assert_eq!(zeros, SlotState::Damaged);
    }
}
