//! Checksums of payloads.

use std::hash::Hasher as _;

use twox_hash::XxHash3_64;

/// The checksum of an entry's payload: the lower half of XXH3's 64 bits.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct PayloadSum(u32);

impl PayloadSum {
    /// Of an entry whose payload is not read.
    pub(crate) const NONE: Self = Self(0);

    /// Of an entry with this payload.
    #[inline]
    pub(crate) fn of(payload: &[u8]) -> Self {
        let [a, b, c, d, ..] = XxHash3_64::oneshot(payload).to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    /// As it is in a header.
    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns whether the payload has this checksum.
    #[inline]
    pub(crate) fn fits(self, payload: &[u8]) -> bool {
        self == Self::of(payload)
    }

    /// The bits that are in the header.
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

/// The checksum of a payload that comes in pieces.
#[derive(Default)]
pub(crate) struct PayloadSummer(XxHash3_64);

impl PayloadSummer {
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.0.write(piece);
    }

    pub(crate) fn end(self) -> PayloadSum {
        let [a, b, c, d, ..] = self.0.finish().to_le_bytes();
        PayloadSum(u32::from_le_bytes([a, b, c, d]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_published_algorithm() {
        // XXH3 of no bytes is 2d06800538d394c2.
        assert_eq!(PayloadSum::of(b""), PayloadSum(0x38d3_94c2));
    }

    #[test]
    fn pieces_have_the_sum_of_the_whole() {
        let payload: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for piece in [1, 7, 240, 1024, 4096, 5000] {
            let mut sum = PayloadSummer::default();
            payload.chunks(piece).for_each(|piece| sum.add(piece));
            assert_eq!(sum.end(), PayloadSum::of(&payload));
        }
    }

    #[test]
    fn no_flipped_bit_fits() {
        for bytes in [1_usize, 3, 8, 16, 17, 128, 129, 240, 241, 1024, 1500] {
            let payload: Vec<u8> = (0..=250).cycle().step_by(7).take(bytes).collect();
            let sum = PayloadSum::of(&payload);
            for bit in 0..bytes * 8 {
                let mut flipped = payload.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(sum.fits(&payload) && !sum.fits(&flipped), "{bit}");
            }
        }
    }
}
