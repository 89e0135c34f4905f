//! The commit record: what is done, and from where the numbering goes on.

use bytes::Bytes;

use crate::acks::Acks;
use crate::field::{
    self, put_varint, take_bytes, take_slice, take_u16, take_u32, take_u64, take_varint,
};
use crate::segment::key::QueueUuid;

const MAGIC: [u8; 4] = *b"RQCM";
const VERSION: u16 = 1;
/// Bytes before the tag.
const FIXED_BYTES: usize = 88;
/// The largest tag that a caller may put into the commit record, in bytes.
pub const MAX_COMMIT_TAG_BYTES: usize = 1024;

/// One commit record.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Commit {
    /// Counts the records of the queue; the highest that validates counts.
    pub(crate) sequence: u64,
    pub(crate) acks: Acks,
    /// Ids from here on were never used when this was written, up to those in segments.
    pub(crate) next_id: u64,
    /// The same for generations of segments.
    pub(crate) next_generation: u64,
    /// The run of the machine that it was written in; zeros where unknown.
    pub(crate) boot_id: [u8; 16],
    /// The caller's.
    pub(crate) tag: Bytes,
}

impl Commit {
    /// Writes the record over `out`.
    pub(crate) fn encode(&self, uuid: QueueUuid, out: &mut Vec<u8>) {
        encode_parts(
            &self.acks,
            self.sequence,
            [self.next_id, self.next_generation],
            self.boot_id,
            &self.tag,
            uuid,
            out,
        );
    }

    /// The record at the start of a slot, and the queue that it belongs to; none if there is none that validates.
    pub(crate) fn decode_any(slot: &[u8]) -> Option<(QueueUuid, Self)> {
        let mut rest = slot;
        if take_bytes(&mut rest)? != MAGIC {
            return None;
        }
        let crc = take_u32(&mut rest)?;
        let covered = slot.get(8..)?;
        let length = usize::try_from(take_u32(&mut rest)?).ok()?;
        let covered = covered.get(..length.checked_sub(8)?)?;
        if crc != crc32c::crc32c(covered) {
            return None;
        }
        let mut rest = covered.get(4..)?;
        if take_u16(&mut rest)? != VERSION {
            return None;
        }
        let tag_bytes = usize::from(take_u16(&mut rest)?);
        let uuid = QueueUuid(take_bytes(&mut rest)?);
        let sequence = take_u64(&mut rest)?;
        let through = take_u64(&mut rest)?;
        let (next_id, next_generation) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
        let boot_id = take_bytes(&mut rest)?;
        let count = take_u32(&mut rest)?;
        let _ = take_u32(&mut rest)?;
        let tag = Bytes::copy_from_slice(take_slice(&mut rest, tag_bytes)?);
        let mut ranges = Vec::new();
        let mut id = through;
        for _ in 0..count {
            let first = id.checked_add(take_varint(&mut rest)?)?;
            let last = first.checked_add(take_varint(&mut rest)?)?;
            ranges.push((first, last));
            id = last;
        }
        Some((
            uuid,
            Self {
                sequence,
                acks: Acks::new(through, ranges),
                next_id,
                next_generation,
                boot_id,
                tag,
            },
        ))
    }
}

/// Writes a commit record over `out`, from borrowed parts: `next` are the next id and the next generation.
pub(crate) fn encode_parts(
    acks: &Acks,
    sequence: u64,
    next: [u64; 2],
    boot_id: [u8; 16],
    tag: &[u8],
    uuid: QueueUuid,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&u16::try_from(tag.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(&uuid.0);
    for field in [sequence, acks.through(), next[0], next[1]] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&boot_id);
    out.extend_from_slice(
        &u32::try_from(acks.beyond().len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend_from_slice(&[0; 4]);
    debug_assert_eq!(out.len(), FIXED_BYTES);
    out.extend_from_slice(tag);
    let mut id = acks.through();
    for (first, last) in acks.beyond().iter() {
        put_varint(out, first.saturating_sub(id));
        put_varint(out, last.saturating_sub(first));
        id = last;
    }
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(8..12) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    let crc = crc32c::crc32c(out.get(8..).unwrap_or(&[]));
    for (field, value) in [(0..4, MAGIC), (4..8, crc.to_le_bytes())] {
        if let Some(field) = out.get_mut(field) {
            field.copy_from_slice(&value);
        }
    }
}

/// Whether the record fits a slot of this many bytes.
pub(crate) fn fits(record: &[u8], slot_bytes: u32) -> bool {
    field::wide(record.len()) <= u64::from(slot_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(slot: &[u8], uuid: QueueUuid) -> Option<Commit> {
        let (found, commit) = Commit::decode_any(slot)?;
        (found == uuid).then_some(commit)
    }

    const UUID: QueueUuid = QueueUuid([9; 16]);

    fn commit() -> Commit {
        Commit {
            sequence: 77,
            acks: Acks::new(100, [(105, 105), (200, 1 << 40)]),
            next_id: (1 << 40) + 1,
            next_generation: 6,
            boot_id: [4; 16],
            tag: Bytes::from_static(b"last offset 7"),
        }
    }

    #[test]
    fn records_come_back() {
        let mut slot = Vec::new();
        commit().encode(UUID, &mut slot);
        slot.resize(8192, 0xee);
        assert_eq!(decode(&slot, UUID), Some(commit()));
        assert_eq!(decode(&slot, QueueUuid([8; 16])), None);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_validates() {
        let mut slot = Vec::new();
        commit().encode(UUID, &mut slot);
        for bit in 0..slot.len() * 8 {
            let mut flipped = slot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, UUID), None, "bit {bit}");
        }
        for length in 0..slot.len() {
            assert_eq!(decode(&slot[..length], UUID), None, "length {length}");
        }
    }
}
