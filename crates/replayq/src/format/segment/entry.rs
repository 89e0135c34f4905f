//! An entry of a segment: a header of 24 bytes, a payload, and zeros up to the next multiple of
//! eight. See FORMAT.md.

use bytes::Bytes;

use crate::config::MAX_ITEM_BYTES;
use crate::field::{self, take_u32, take_u64};
use crate::moment::Elapsed;

use super::payload::PayloadSum;
use super::sums::HeaderSums;

/// Bytes of the largest record of a lease.
pub(crate) const MAX_LEASE_PAYLOAD_BYTES: u64 = 24 + 2048;
/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 24;
/// Entries start at multiples of this many bytes, so that the search behind a damaged one has few
/// places to look at.
pub(crate) const ALIGNMENT: u64 = 8;

const ZEROS: [u8; 8] = [0; 8];

/// The kind of an entry.
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
    /// The first byte of an entry of this kind.
    const fn code(self) -> u8 {
        match self {
            Self::Item => 0xd1,
            Self::Lease => 0xd2,
            Self::Void => 0xd3,
        }
    }

    /// Bytes of the largest payload. A header that names more is none.
    #[inline]
    const fn most_payload_bytes(self) -> u64 {
        match self {
            Self::Item => MAX_ITEM_BYTES,
            Self::Lease | Self::Void => MAX_LEASE_PAYLOAD_BYTES,
        }
    }

    #[inline]
    const fn of(code: u8) -> Option<Self> {
        match code {
            0xd1 => Some(Self::Item),
            0xd2 => Some(Self::Lease),
            0xd3 => Some(Self::Void),
            _ => None,
        }
    }
}

/// The header of an entry. Its own checksum covers the payload's.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// The time from the making of the segment to the acceptance of the item.
    pub(crate) elapsed: Elapsed,
    pub(crate) payload_bytes: u32,
    /// The item's id; of other entries the id of the last item before.
    pub(crate) id: u64,
    pub(crate) payload_sum: PayloadSum,
}

impl Header {
    /// Writes the header.
    #[inline]
    pub(crate) fn encode(&self, sums: &mut HeaderSums, out: &mut [u8; HEADER_BYTES]) {
        let code = self.elapsed.bits() << 8 | u32::from(self.kind.code());
        let payload_sum = self.payload_sum.bits();
        let crc = sums.of(code, self.payload_bytes, self.id, payload_sum);
        let start = u64::from(self.payload_bytes) << 32 | u64::from(code);
        let end = u64::from(crc) << 32 | u64::from(payload_sum);
        // Word by word: a processor waits for small stores that it has to read as a larger one.
        let (places, _) = out.as_chunks_mut();
        for (place, word) in places.iter_mut().zip([start, self.id, end]) {
            *place = word.to_le_bytes();
        }
    }

    /// The header at the start of the bytes; none if there is none that validates.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], sums: &mut HeaderSums) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        // The cheap look first: a search comes by here for every eight bytes.
        let [code, ..] = header;
        let kind = Kind::of(*code)?;
        let mut rest = header.as_slice();
        let first = take_u32(&mut rest)?;
        let payload_bytes = take_u32(&mut rest)?;
        let id = take_u64(&mut rest)?;
        let sum = take_u32(&mut rest)?;
        let crc = sums.of(first, payload_bytes, id, sum);
        let is_possible = u64::from(payload_bytes) <= kind.most_payload_bytes();
        (take_u32(&mut rest)? == crc && is_possible).then_some(Self {
            kind,
            elapsed: Elapsed::from_bits(first >> 8),
            payload_bytes,
            id,
            payload_sum: PayloadSum::from_bits(sum),
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

/// Bytes of the entries of items with these payloads.
pub(crate) fn entries_bytes(payloads: &[Bytes]) -> u64 {
    payloads
        .iter()
        .map(|payload| entry_bytes(field::wide(payload.len())))
        .fold(0, u64::saturating_add)
}

/// The zeros that follow a payload.
pub(crate) fn padding(payload_bytes: usize) -> &'static [u8] {
    let bytes = entry_bytes(field::wide(payload_bytes))
        .saturating_sub(field::wide(payload_bytes.saturating_add(HEADER_BYTES)));
    ZEROS.get(..field::narrow(bytes)).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::super::key::Seed;
    use super::*;

    fn sums(seed: u32) -> HeaderSums {
        HeaderSums::new(Seed(seed))
    }

    fn encode(header: &Header) -> Vec<u8> {
        let mut bytes = [0; HEADER_BYTES];
        header.encode(&mut sums(42), &mut bytes);
        bytes.to_vec()
    }

    #[test]
    fn headers_come_back() {
        let header = Header {
            kind: Kind::Lease,
            elapsed: Elapsed::from_bits(0x00ab_cdef),
            payload_bytes: 17,
            id: 1 << 40,
            payload_sum: PayloadSum::of(b"lease"),
        };
        let bytes = encode(&header);
        assert_eq!(Header::decode(&bytes, &mut sums(42)), Some(header));
    }

    #[test]
    fn no_flipped_bit_and_no_other_segment_validates() {
        let header = Header {
            kind: Kind::Item,
            elapsed: Elapsed::from_bits(3),
            payload_bytes: 5,
            id: 9,
            payload_sum: PayloadSum::of(b"item"),
        };
        let bytes = encode(&header);
        assert_eq!(Header::decode(&bytes, &mut sums(43)), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let decoded = Header::decode(&flipped, &mut sums(42));
            assert_eq!(decoded, None, "bit {bit}");
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
