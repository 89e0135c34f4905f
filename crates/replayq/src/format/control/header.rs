//! The first block of the control file: whose queue it is, and where the slots lie.

use crate::config::MOST_LEASE_SLOTS;
use crate::field::{self, take_bytes, take_u16, take_u32};
use crate::format::segment::key::QueueUuid;

/// The format version of directories that this crate reads and writes. Older ones were never
/// released.
pub(crate) const VERSION: u16 = 4;
/// The name of the file.
pub(crate) const FILE_NAME: &str = "control";
/// Its name while it is being written.
pub(crate) const NEW_FILE_NAME: &str = "control.new";
/// The unit of the file: nothing shares a block of this size with anything else.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// One commit slot holds the newest record that was synced and is left alone, the two others take
/// turns.
pub(crate) const COMMIT_SLOTS: usize = 3;

const MAGIC: [u8; 8] = *b"REPLAYQC";
const HEADER_BYTES: usize = 40;
const COMMIT_SLOT_BYTES: u32 = 8192;
const LARGEST_COMMIT_SLOT: u32 = 1 << 20;

/// Where things lie in the control file.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Geometry {
    /// Bytes of one commit slot, a multiple of the block.
    pub(crate) commit_slot_bytes: u32,
    /// The number of lease slots, of one block each.
    pub(crate) lease_slots: u32,
}

impl Geometry {
    /// As files are made.
    pub(crate) fn with_lease_slots(lease_slots: u32) -> Self {
        Self {
            commit_slot_bytes: COMMIT_SLOT_BYTES,
            lease_slots: lease_slots.min(MOST_LEASE_SLOTS),
        }
    }

    /// All that a file of this length may have that does not say it itself, the usual one first.
    pub(crate) fn all_of_file(bytes: u64) -> impl Iterator<Item = Self> {
        let sizes = std::iter::successors(Some(COMMIT_SLOT_BYTES), |bytes| bytes.checked_mul(2));
        sizes
            .take_while(|bytes| *bytes <= LARGEST_COMMIT_SLOT)
            .map(move |commit_slot_bytes| {
                let before_leases = Self {
                    commit_slot_bytes,
                    lease_slots: 0,
                };
                let slots = bytes.saturating_sub(before_leases.file_bytes()) / BLOCK_BYTES;
                Self {
                    lease_slots: u32::try_from(slots)
                        .unwrap_or(u32::MAX)
                        .min(MOST_LEASE_SLOTS),
                    ..before_leases
                }
            })
    }

    /// With commit slots in which a record of so many bytes has room; none: there are no such.
    pub(crate) fn with_room_for(self, record_bytes: usize) -> Option<Self> {
        let bytes = u32::try_from(record_bytes).ok()?;
        if bytes <= self.commit_slot_bytes {
            return Some(self);
        }
        let commit_slot_bytes = bytes.checked_next_power_of_two()?;
        (commit_slot_bytes <= LARGEST_COMMIT_SLOT).then_some(Self {
            commit_slot_bytes,
            ..self
        })
    }

    pub(crate) fn commit_position(&self, slot: usize) -> u64 {
        BLOCK_BYTES
            .saturating_add(u64::from(self.commit_slot_bytes).saturating_mul(field::wide(slot)))
    }

    pub(crate) fn lease_position(&self, slot: usize) -> u64 {
        self.commit_position(COMMIT_SLOTS)
            .saturating_add(BLOCK_BYTES.saturating_mul(field::wide(slot)))
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.lease_position(usize::try_from(self.lease_slots).unwrap_or(usize::MAX))
    }

    fn is_sound(&self) -> bool {
        self.lease_slots <= MOST_LEASE_SLOTS
            && (4096..=LARGEST_COMMIT_SLOT).contains(&self.commit_slot_bytes)
            && self.commit_slot_bytes.is_multiple_of(4096)
    }
}

/// The fixed facts of a queue.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct ControlHeader {
    pub(crate) uuid: QueueUuid,
    pub(crate) geometry: Geometry,
}

/// The first block of a control file, decoded.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum HeaderState {
    Valid(ControlHeader),
    /// Of another version.
    Other(u16),
    Invalid,
}

impl ControlHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(field::narrow(BLOCK_BYTES));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.uuid.0);
        out.extend_from_slice(&self.geometry.commit_slot_bytes.to_le_bytes());
        out.extend_from_slice(&self.geometry.lease_slots.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(field::narrow(BLOCK_BYTES), 0);
        out
    }

    pub(crate) fn decode(block: &[u8]) -> HeaderState {
        Self::parse(block).unwrap_or(HeaderState::Invalid)
    }

    fn parse(block: &[u8]) -> Option<HeaderState> {
        let (header, _) = block.split_first_chunk::<HEADER_BYTES>()?;
        let (body, crc) = header.split_last_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
            return None;
        }
        let mut rest = body;
        if take_bytes(&mut rest)? != MAGIC {
            return None;
        }
        let version = take_u16(&mut rest)?;
        if version != VERSION {
            return Some(HeaderState::Other(version));
        }
        let _ = take_u16(&mut rest)?;
        let uuid = QueueUuid(take_bytes(&mut rest)?);
        let geometry = Geometry {
            commit_slot_bytes: take_u32(&mut rest)?,
            lease_slots: take_u32(&mut rest)?,
        };
        geometry
            .is_sound()
            .then_some(HeaderState::Valid(Self { uuid, geometry }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_no_flipped_bit_validates() {
        let header = ControlHeader {
            uuid: QueueUuid([3; 16]),
            geometry: Geometry::with_lease_slots(8),
        };
        let block = header.encode();
        assert_eq!(ControlHeader::decode(&block), HeaderState::Valid(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                ControlHeader::decode(&flipped),
                HeaderState::Invalid,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn nothing_shares_a_block() {
        let geometry = Geometry::with_lease_slots(8);
        let positions: Vec<u64> = (0..COMMIT_SLOTS)
            .map(|slot| geometry.commit_position(slot))
            .chain((0..8).map(|slot| geometry.lease_position(slot)))
            .collect();
        assert!(
            positions.is_sorted()
                && positions
                    .iter()
                    .all(|position| position % BLOCK_BYTES == 0 && *position >= BLOCK_BYTES)
        );
    }

    #[test]
    fn a_file_without_a_header_says_by_its_length_how_many_leases_fit() {
        for slots in [0, 1, 16, MOST_LEASE_SLOTS] {
            let geometry = Geometry::with_lease_slots(slots);
            for more in [0, 4095] {
                let found = Geometry::all_of_file(geometry.file_bytes() + more).next();
                assert_eq!(found, Some(geometry));
            }
            let wide = geometry.with_room_for(20_000).unwrap();
            assert_eq!(wide.commit_slot_bytes, 32_768);
            assert!(Geometry::all_of_file(wide.file_bytes()).any(|found| found == wide));
        }
        let largest = Geometry::all_of_file(u64::MAX).last().unwrap();
        assert_eq!(largest.lease_slots, MOST_LEASE_SLOTS);
        assert_eq!(largest.with_room_for(1 << 20), Some(largest));
        assert_eq!(largest.with_room_for((1 << 20) + 1), None);
    }
}
