//! An entry of a segment: a header of 24 bytes, a payload, and zeros up to the next multiple of eight. See FORMAT.md.

use crate::field::{self, take_bytes, take_u32, take_u64};

use super::key::Seed;

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 24;
/// Entries start at multiples of this many bytes, so that the search behind a damaged one has few places to look at.
pub(crate) const ALIGNMENT: u64 = 8;

const ZEROS: [u8; 8] = [0; 8];

/// What an entry is.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Kind {
    /// A payload of the caller.
    Item,
    /// A lease with its tag.
    Lease,
    /// Was a lease; says nothing any more.
    Void,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Item => 0xb1,
            Self::Lease => 0xb2,
            Self::Void => 0xb3,
        }
    }

    const fn of(code: u8) -> Option<Self> {
        match code {
            0xb1 => Some(Self::Item),
            0xb2 => Some(Self::Lease),
            0xb3 => Some(Self::Void),
            _ => None,
        }
    }
}

/// The header of an entry. Its own checksum covers the payload's.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) payload_bytes: u32,
    /// The item's id; of other entries the id of the last item before.
    pub(crate) id: u64,
    pub(crate) payload_crc: u32,
}

impl Header {
    pub(crate) fn encode(&self, seed: Seed) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let mut body = [0; 20];
        let (kind, rest) = body.split_at_mut(4);
        kind.copy_from_slice(&u32::from(self.kind.code()).to_le_bytes());
        let (length, rest) = rest.split_at_mut(4);
        length.copy_from_slice(&self.payload_bytes.to_le_bytes());
        let (id, payload_crc) = rest.split_at_mut(8);
        id.copy_from_slice(&self.id.to_le_bytes());
        payload_crc.copy_from_slice(&self.payload_crc.to_le_bytes());
        let (start, crc) = out.split_at_mut(20);
        start.copy_from_slice(&body);
        crc.copy_from_slice(&crc32c::crc32c_append(seed.0, &body).to_le_bytes());
        out
    }

    /// The header at the start of the bytes; none if there is none that validates.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], seed: Seed) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        // The cheap look first: a search comes by here for every eight bytes.
        let [code, 0, 0, 0, ..] = header else {
            return None;
        };
        let kind = Kind::of(*code)?;
        let (body, crc) = header.split_last_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32c::crc32c_append(seed.0, body) {
            return None;
        }
        let mut rest = body;
        let _ = take_bytes::<4>(&mut rest)?;
        Some(Self {
            kind,
            payload_bytes: take_u32(&mut rest)?,
            id: take_u64(&mut rest)?,
            payload_crc: take_u32(&mut rest)?,
        })
    }

    /// Bytes of the whole entry with its padding.
    pub(crate) fn entry_bytes(&self) -> u64 {
        entry_bytes(u64::from(self.payload_bytes))
    }
}

/// Bytes of an entry whose payload has this many.
pub(crate) const fn entry_bytes(payload_bytes: u64) -> u64 {
    (HEADER_BYTES as u64)
        .saturating_add(payload_bytes)
        .next_multiple_of(ALIGNMENT)
}

/// The zeros that follow a payload.
pub(crate) fn padding(payload_bytes: usize) -> &'static [u8] {
    let bytes = entry_bytes(field::wide(payload_bytes))
        .saturating_sub(field::wide(payload_bytes.saturating_add(HEADER_BYTES)));
    ZEROS.get(..field::narrow(bytes)).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed(42);

    #[test]
    fn headers_come_back() {
        let header = Header {
            kind: Kind::Lease,
            payload_bytes: 17,
            id: 1 << 40,
            payload_crc: 0xdead_beef,
        };
        assert_eq!(Header::decode(&header.encode(SEED), SEED), Some(header));
    }

    #[test]
    fn no_flipped_bit_and_no_other_segment_validates() {
        let header = Header {
            kind: Kind::Item,
            payload_bytes: 5,
            id: 9,
            payload_crc: 3,
        };
        let bytes = header.encode(SEED);
        assert_eq!(Header::decode(&bytes, Seed(43)), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped, SEED), None, "bit {bit}");
        }
    }

    #[test]
    fn entries_are_padded_to_eight_bytes() {
        for payload in 0..40 {
            let total = HEADER_BYTES + payload + padding(payload).len();
            assert_eq!(total % 8, 0);
            assert_eq!(entry_bytes(payload as u64), total as u64);
        }
    }
}
