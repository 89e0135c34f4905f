//! The first 4 KiB of a segment: the header, written when the segment is made, and the seal,
//! written when it is full. See FORMAT.md.

use crate::field::{self, take_bytes, take_u16, take_u32, take_u64};
use crate::moment::Moment;

use super::entry;
use super::key::{QueueUuid, SegmentKey};

/// The format version of segments that this crate reads and writes. Older ones were never released.
pub(crate) const VERSION: u16 = 3;
/// Entries start here.
pub(crate) const HEAD_BYTES: u64 = 4096;
/// The seal lies here, in a disk sector of its own.
pub(crate) const SEAL_POSITION: u64 = 512;

const HEADER_MAGIC: [u8; 8] = *b"REPLAYQS";
const SEAL_MAGIC: [u8; 8] = *b"REPLAYQF";
const HEADER_BYTES: usize = 64;
/// Of the versions before this one.
const OLD_HEADER_BYTES: usize = 56;
/// Positions of open leases that one seal can name.
pub(crate) const MOST_SEALED_LEASES: usize = 400;

/// The fixed facts of a segment.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) uuid: QueueUuid,
    pub(crate) key: SegmentKey,
    /// The last item made before this segment: ids between it and the first one were never used, so
    /// nothing is missing there.
    pub(crate) previous_id: u64,
    /// When the segment was made: entries say how long after that they were accepted.
    pub(crate) made: Moment,
}

/// The first bytes of a segment file, decoded.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum HeadState {
    /// A header that validates; whose it is, the caller must see.
    Valid(SegmentHeader),
    /// A header of another version.
    Other(u16),
    /// No header: damaged, or never written.
    Invalid,
}

impl SegmentHeader {
    /// The whole head, with room for the seal.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(field::narrow(HEAD_BYTES));
        out.extend_from_slice(&HEADER_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.uuid.0);
        out.extend_from_slice(&self.key.first_id.to_le_bytes());
        out.extend_from_slice(&self.key.generation.to_le_bytes());
        out.extend_from_slice(&self.previous_id.to_le_bytes());
        out.extend_from_slice(&self.made.bits().to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(field::narrow(HEAD_BYTES), 0);
        out
    }

    pub(crate) fn decode(head: &[u8]) -> HeadState {
        Self::parse(head).unwrap_or(HeadState::Invalid)
    }

    fn parse(head: &[u8]) -> Option<HeadState> {
        let mut rest = head;
        if take_bytes(&mut rest)? != HEADER_MAGIC {
            return None;
        }
        let version = take_u16(&mut rest)?;
        let is_sound = |bytes: usize| {
            let (header, crc) = head.get(..bytes)?.split_last_chunk::<4>()?;
            (u32::from_le_bytes(*crc) == crc32c::crc32c(header)).then_some(())
        };
        if (1..VERSION).contains(&version) && is_sound(OLD_HEADER_BYTES).is_some() {
            return Some(HeadState::Other(version));
        }
        is_sound(HEADER_BYTES)?;
        if version != VERSION {
            return Some(HeadState::Other(version));
        }
        let _ = take_u16(&mut rest)?;
        let uuid = QueueUuid(take_bytes(&mut rest)?);
        let key = SegmentKey {
            first_id: take_u64(&mut rest)?,
            generation: take_u64(&mut rest)?,
        };
        Some(HeadState::Valid(Self {
            uuid,
            key,
            previous_id: take_u64(&mut rest)?,
            made: Moment::from_bits(take_u64(&mut rest)?),
        }))
    }
}

/// A summary of a full segment, so that opening the queue need not read it.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Seal {
    pub(crate) items: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) last_id: u64,
    /// Where the entries end.
    pub(crate) end: u64,
    /// Positions of the leases that were open, or whose acks were not durable.
    pub(crate) leases: Vec<u64>,
}

impl Seal {
    /// The bytes to write at [`SEAL_POSITION`]; none if there are too many leases.
    pub(crate) fn encode(&self, uuid: QueueUuid, key: SegmentKey) -> Option<Vec<u8>> {
        if self.leases.len() > MOST_SEALED_LEASES {
            return None;
        }
        let mut out =
            Vec::with_capacity(64_usize.saturating_add(self.leases.len().saturating_mul(8)));
        out.extend_from_slice(&SEAL_MAGIC);
        for field in [self.items, self.payload_bytes, self.last_id, self.end] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&u32::try_from(self.leases.len()).ok()?.to_le_bytes());
        for position in &self.leases {
            out.extend_from_slice(&position.to_le_bytes());
        }
        let crc = crc32c::crc32c_append(key.seed(uuid).0, &out);
        out.extend_from_slice(&crc.to_le_bytes());
        Some(out)
    }

    /// The seal in a head; none if there is none that validates.
    pub(crate) fn decode(head: &[u8], uuid: QueueUuid, key: SegmentKey) -> Option<Self> {
        let bytes = head.get(field::narrow(SEAL_POSITION)..)?;
        let mut rest = bytes;
        if take_bytes(&mut rest)? != SEAL_MAGIC {
            return None;
        }
        let (items, payload_bytes, last_id, end) = (
            take_u64(&mut rest)?,
            take_u64(&mut rest)?,
            take_u64(&mut rest)?,
            take_u64(&mut rest)?,
        );
        let count = usize::try_from(take_u32(&mut rest)?).ok()?;
        if count > MOST_SEALED_LEASES {
            return None;
        }
        let leases = (0..count)
            .map(|_| take_u64(&mut rest))
            .collect::<Option<Vec<u64>>>()?;
        let covered = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
        if take_u32(&mut rest)? != crc32c::crc32c_append(key.seed(uuid).0, covered) {
            return None;
        }
        let seal = Self {
            items,
            payload_bytes,
            last_id,
            end,
            leases,
        };
        seal.is_possible(key).then_some(seal)
    }

    /// Returns whether a segment with that key can be like this: so many items have so many ids and
    /// so many bytes. Of what cannot be, nothing is believed.
    fn is_possible(&self, key: SegmentKey) -> bool {
        let behind_last = self.last_id.checked_add(1);
        let ids = behind_last.and_then(|behind| behind.checked_sub(key.first_id));
        let headers = self.items.checked_mul(field::wide(entry::HEADER_BYTES));
        let least = headers.and_then(|headers| headers.checked_add(self.payload_bytes));
        let bytes = self.end.checked_sub(HEAD_BYTES);
        ids.is_some_and(|ids| self.items <= ids)
            && least
                .zip(bytes)
                .is_some_and(|(least, bytes)| least <= bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: QueueUuid = QueueUuid([7; 16]);
    const KEY: SegmentKey = SegmentKey {
        first_id: 11,
        generation: 3,
    };

    #[test]
    fn headers_and_seals_come_back() {
        let header = SegmentHeader {
            uuid: UUID,
            key: KEY,
            previous_id: 9,
            made: Moment::from_bits(77),
        };
        let seal = Seal {
            items: 4,
            payload_bytes: 99,
            last_id: 14,
            end: 8192,
            leases: vec![4096, 5000],
        };
        let mut head = header.encode();
        let sealed = seal.encode(UUID, KEY).unwrap();
        head[512..512 + sealed.len()].copy_from_slice(&sealed);
        assert_eq!(SegmentHeader::decode(&head), HeadState::Valid(header));
        assert_eq!(Seal::decode(&head, UUID, KEY), Some(seal));
        assert_eq!(
            Seal::decode(
                &head,
                UUID,
                SegmentKey {
                    generation: 4,
                    ..KEY
                }
            ),
            None
        );
    }

    #[test]
    fn a_full_seal_fits_the_head() {
        let seal = Seal {
            items: 1,
            payload_bytes: 1,
            last_id: 1,
            end: 1,
            leases: vec![1; MOST_SEALED_LEASES],
        };
        let bytes = seal.encode(UUID, KEY).unwrap();
        assert!(SEAL_POSITION + bytes.len() as u64 <= HEAD_BYTES);
        assert_eq!(
            Seal {
                leases: vec![1; MOST_SEALED_LEASES + 1],
                ..seal
            }
            .encode(UUID, KEY),
            None
        );
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let header = SegmentHeader {
            uuid: UUID,
            key: KEY,
            previous_id: 0,
            made: Moment::UNKNOWN,
        };
        let of_version = |version: u16, bytes: usize| {
            let mut head = header.encode();
            head[8..10].copy_from_slice(&version.to_le_bytes());
            let crc = crc32c::crc32c(&head[..bytes - 4]);
            head[bytes - 4..bytes].copy_from_slice(&crc.to_le_bytes());
            SegmentHeader::decode(&head)
        };
        let newer = VERSION + 1;
        assert_eq!(of_version(newer, HEADER_BYTES), HeadState::Other(newer));
        for older in 1..VERSION {
            assert_eq!(of_version(older, OLD_HEADER_BYTES), HeadState::Other(older));
        }
        assert_eq!(of_version(1, HEADER_BYTES), HeadState::Other(1));
        assert_eq!(SegmentHeader::decode(&[0; 4096]), HeadState::Invalid);
        let mut damaged = header.encode();
        damaged[8] ^= 4;
        assert_eq!(SegmentHeader::decode(&damaged), HeadState::Invalid);
    }
}
