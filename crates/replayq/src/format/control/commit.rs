//! The commit record: what is done, and from where the numbering goes on.

use bytes::Bytes;

use crate::field::{
    self, put_varint, take_bytes, take_slice, take_u16, take_u32, take_u64, take_varint,
};
use crate::format::segment::generations::{Generations, MOST_RUNS, Run};
use crate::format::segment::head::Seal;
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::ids::acks::Acks;
use crate::limits::load::Load;

use super::header::ControlHeader;

const MAGIC: [u8; 4] = *b"RQCM";
/// The version of records.
const VERSION: u16 = 3;
/// Bytes before the tag.
const FIXED_BYTES: usize = 96;
/// The largest tag that a caller may put into the commit record, in bytes.
pub const MAX_COMMIT_TAG_BYTES: usize = 1024;

/// The rest of a segment in which some items are done, recorded so that opening the queue need not
/// count them.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct PartlyDone {
    pub(crate) segment: SegmentKey,
    /// All items in it. Where there are others now, the rest says nothing.
    pub(crate) items: u64,
    /// Those that are not done.
    pub(crate) open: Load,
}

/// The items of a segment with that seal that are not done, if the list, which is in order, has it.
pub(crate) fn open_of(list: &[PartlyDone], segment: SegmentKey, seal: &Seal) -> Option<Load> {
    let at = list.binary_search_by_key(&segment, |one| one.segment);
    let one = list.get(at.ok()?)?;
    let is_so = one.items == seal.items
        && (1..=seal.items).contains(&one.open.items)
        && one.open.bytes <= seal.payload_bytes;
    is_so.then_some(one.open)
}

/// One commit record.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Commit {
    /// Counts the records of the queue; the highest that validates counts.
    pub(crate) sequence: u64,
    pub(crate) acks: Acks,
    /// Ids from here on were never used when this was written, up to those in segments.
    pub(crate) next_id: u64,
    /// The same for generations of segments, and who made them.
    pub(crate) generations: Generations,
    /// The run of the machine that it was written in; zeros where unknown.
    pub(crate) boot_id: [u8; 16],
    /// The caller's.
    pub(crate) tag: Bytes,
    /// Of the segments that nothing is appended to any more, as far as known and as there was room.
    pub(crate) partly_done: Vec<PartlyDone>,
}

impl Commit {
    /// Returns whether no queue can have come to this sequence: it is forged, and soon none would
    /// be higher.
    pub(crate) fn is_near_the_last(&self) -> bool {
        self.sequence >= 1 << 62
    }

    /// Writes the record over `out`, for a control file with that header.
    pub(crate) fn encode(&self, header: &ControlHeader, out: &mut Vec<u8>) {
        encode_parts(
            &self.acks,
            self.partly_done.iter().copied(),
            ([self.sequence, self.next_id], &self.generations),
            self.boot_id,
            &self.tag,
            header,
            out,
        );
    }

    /// The record at the start of a slot, and the queue that it belongs to; none if there is none
    /// that validates.
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
        let version = take_u16(&mut rest)?;
        if version != VERSION {
            return None;
        }
        let tag_bytes = usize::from(take_u16(&mut rest)?);
        if tag_bytes > MAX_COMMIT_TAG_BYTES {
            return None;
        }
        let uuid = QueueUuid(take_bytes(&mut rest)?);
        let sequence = take_u64(&mut rest)?;
        let through = take_u64(&mut rest)?;
        let (next_id, next_generation) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
        let boot_id = take_bytes(&mut rest)?;
        let count = take_u32(&mut rest)?;
        let segments = take_u32(&mut rest)?;
        let runs = take_u32(&mut rest)?;
        let _ = take_u32(&mut rest)?;
        let tag = Bytes::copy_from_slice(take_slice(&mut rest, tag_bytes)?);
        let runs = (0..runs)
            .map(|_| {
                Some(Run {
                    first: take_varint(&mut rest)?,
                    draw: take_varint(&mut rest)?,
                })
            })
            .take(MOST_RUNS.saturating_add(1))
            .collect::<Option<Vec<Run>>>()?;
        let mut ranges = Vec::new();
        let mut id = through;
        for _ in 0..count {
            let first = id.checked_add(take_varint(&mut rest)?)?;
            let last = first.checked_add(take_varint(&mut rest)?)?;
            ranges.push((first, last));
            id = last;
        }
        let mut partly_done = Vec::new();
        let mut first_id = 0_u64;
        for _ in 0..segments {
            first_id = first_id.checked_add(take_varint(&mut rest)?)?;
            partly_done.push(PartlyDone {
                segment: SegmentKey {
                    first_id,
                    generation: take_varint(&mut rest)?,
                },
                items: take_varint(&mut rest)?,
                open: Load {
                    items: take_varint(&mut rest)?,
                    bytes: take_varint(&mut rest)?,
                },
            });
        }
        Some((
            uuid,
            Self {
                sequence,
                acks: Acks::new(through, ranges),
                next_id,
                generations: Generations::new(next_generation, runs),
                boot_id,
                tag,
                partly_done,
            },
        ))
    }
}

/// Writes a commit record over `out`, from borrowed parts: the numbers are the sequence and the
/// next id. The segments come in order; those for which a slot has no room are left out.
pub(crate) fn encode_parts(
    acks: &Acks,
    partly_done: impl Iterator<Item = PartlyDone>,
    ([sequence, next_id], generations): ([u64; 2], &Generations),
    boot_id: [u8; 16],
    tag: &[u8],
    header: &ControlHeader,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&u16::try_from(tag.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(&header.uuid.0);
    for field in [sequence, acks.through(), next_id, generations.next()] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&boot_id);
    out.extend_from_slice(
        &u32::try_from(acks.beyond().len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    out.extend_from_slice(&[0; 4]);
    let runs = u32::try_from(generations.runs().len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&runs.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    debug_assert_eq!(out.len(), FIXED_BYTES);
    out.extend_from_slice(tag);
    for run in generations.runs() {
        put_varint(out, run.first);
        put_varint(out, run.draw);
    }
    let mut id = acks.through();
    for (first, last) in acks.beyond().iter() {
        put_varint(out, first.saturating_sub(id));
        put_varint(out, last.saturating_sub(first));
        id = last;
    }
    let segments = put_partly_done(partly_done, header.geometry.commit_slot_bytes, out);
    if let Some(field) = out.get_mut(84..88) {
        field.copy_from_slice(&segments.to_le_bytes());
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

/// Writes as many as a slot has room for, and returns how many.
fn put_partly_done(
    partly_done: impl Iterator<Item = PartlyDone>,
    slot_bytes: u32,
    out: &mut Vec<u8>,
) -> u32 {
    let (mut count, mut first_id) = (0_u32, 0_u64);
    for one in partly_done {
        let end = out.len();
        for field in [
            one.segment.first_id.saturating_sub(first_id),
            one.segment.generation,
            one.items,
            one.open.items,
            one.open.bytes,
        ] {
            put_varint(out, field);
        }
        if !fits(out, slot_bytes) {
            out.truncate(end);
            break;
        }
        first_id = one.segment.first_id;
        count = count.saturating_add(1);
    }
    count
}

/// Returns whether the record fits a slot of this many bytes.
fn fits(record: &[u8], slot_bytes: u32) -> bool {
    field::wide(record.len()) <= u64::from(slot_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::format::control::header::Geometry;

    fn header() -> ControlHeader {
        ControlHeader {
            uuid: UUID,
            geometry: Geometry::with_lease_slots(1),
        }
    }

    fn one(first_id: u64) -> PartlyDone {
        PartlyDone {
            segment: SegmentKey {
                first_id,
                generation: 5,
            },
            items: 300,
            open: Load {
                items: 200,
                bytes: 1 << 20,
            },
        }
    }

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
            generations: Generations::new(
                6,
                vec![Run { first: 2, draw: 0 }, Run { first: 5, draw: 77 }],
            ),
            boot_id: [4; 16],
            tag: Bytes::from_static(b"last offset 7"),
            partly_done: vec![one(90), one(1 << 39)],
        }
    }

    #[test]
    fn records_come_back() {
        let mut slot = Vec::new();
        commit().encode(&header(), &mut slot);
        slot.resize(8192, 0xee);
        assert_eq!(decode(&slot, UUID), Some(commit()));
        assert_eq!(decode(&slot, QueueUuid([8; 16])), None);
    }

    #[test]
    fn segments_without_room_in_the_slot_are_left_out_and_the_record_fits() {
        let all = Commit {
            partly_done: (1..3000).map(one).collect(),
            ..commit()
        };
        let mut slot = Vec::new();
        all.encode(&header(), &mut slot);
        assert!((8170..=8192).contains(&slot.len()), "{}", slot.len());
        let found = decode(&slot, UUID).unwrap();
        assert!(all.partly_done.starts_with(&found.partly_done));
        assert!(found.partly_done.len() > 500);
        assert_eq!(found.acks, all.acks);
    }

    #[test]
    fn no_flipped_bit_and_no_cut_validates() {
        let mut slot = Vec::new();
        commit().encode(&header(), &mut slot);
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
