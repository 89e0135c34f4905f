//! The lease record: which items a lease covers, and its tag. It lies in a lease slot of the control file, or as an entry in a segment.

use bytes::Bytes;

use crate::field::{self, take_bytes, take_slice, take_u16, take_u32, take_u64};
use crate::ids::{ItemId, ItemRange};
use crate::segment::key::QueueUuid;

use super::header::BLOCK_BYTES;

/// The largest tag of a lease, in bytes.
pub const MAX_LEASE_TAG_BYTES: usize = 2048;

const MAGIC: [u8; 4] = *b"RQLS";
const VERSION: u16 = 1;
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
        Some(Self {
            sequence,
            items,
            tag: Bytes::copy_from_slice(rest),
        })
    }

    /// The content of a lease slot.
    pub(crate) fn encode_slot(&self, uuid: QueueUuid) -> Vec<u8> {
        let mut out = Vec::with_capacity(64_usize.saturating_add(self.tag.len()));
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&LIVE.to_le_bytes());
        out.extend_from_slice(&uuid.0);
        self.encode(&mut out);
        let mut slot = Vec::with_capacity(out.len().saturating_add(12));
        slot.extend_from_slice(&MAGIC);
        slot.extend_from_slice(&u32::try_from(out.len()).unwrap_or(u32::MAX).to_le_bytes());
        slot.extend_from_slice(
            &crc32c::crc32c_append(u32::try_from(out.len()).unwrap_or(u32::MAX), &out)
                .to_le_bytes(),
        );
        slot.extend_from_slice(&out);
        slot
    }

    /// The record in a lease slot, and whether the slot is neither that nor empty.
    pub(crate) fn decode_slot(slot: &[u8], uuid: QueueUuid) -> SlotState {
        match Self::parse_slot(slot, uuid) {
            Some(record) => SlotState::Live(record),
            None if slot.get(..4).is_none_or(|magic| magic == [0; 4]) => SlotState::Empty,
            None => SlotState::Damaged,
        }
    }

    fn parse_slot(slot: &[u8], uuid: QueueUuid) -> Option<Self> {
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
        if take_u16(&mut rest)? != VERSION
            || take_u16(&mut rest)? != LIVE
            || QueueUuid(take_bytes(&mut rest)?) != uuid
        {
            return None;
        }
        Self::decode(&Bytes::copy_from_slice(rest))
    }
}

/// What a lease slot holds.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) enum SlotState {
    Live(LeaseRecord),
    Empty,
    Damaged,
}

/// What is written over a slot to empty it: zeros over the magic number and what follows, within one sector.
pub(crate) const EMPTY_SLOT: [u8; 64] = [0; 64];

#[expect(
    clippy::cast_possible_truncation,
    reason = "a block has a few thousand bytes"
)]
const _: () = assert!(MAX_LEASE_TAG_BYTES + 64 < BLOCK_BYTES as usize);

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
        for bit in 0..slot.len() * 8 {
            let mut flipped = slot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                LeaseRecord::decode_slot(&flipped, UUID),
                SlotState::Damaged,
                "bit {bit}"
            );
        }
        assert_eq!(LeaseRecord::decode_slot(&[0; 4096], UUID), SlotState::Empty);
    }
}
