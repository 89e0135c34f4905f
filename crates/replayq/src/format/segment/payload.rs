//! Checksums of payloads.

use twox_hash::XxHash3_64;

/// The checksum of an entry's payload, by the algorithm that the entry's kind names.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum PayloadSum {
    /// CRC-32C: entries of segments of version 1, and those that say nothing any more.
    Crc32c(u32),
    /// The lower half of XXH3's 64 bits: half the time of the former, for small payloads as for large ones.
    Xxh3(u32),
}

impl PayloadSum {
    /// Of an entry whose payload nobody reads.
    pub(crate) const NONE: Self = Self::Crc32c(0);

    /// What is written today.
    #[inline]
    pub(crate) fn of(payload: &[u8]) -> Self {
        Self::Xxh3(xxh3(payload))
    }

    /// Whether the payload has this checksum.
    #[inline]
    pub(crate) fn fits(self, payload: &[u8]) -> bool {
        match self {
            Self::Crc32c(sum) => sum == crc32c::crc32c(payload),
            Self::Xxh3(sum) => sum == xxh3(payload),
        }
    }

    /// The bits that are in the header.
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::Crc32c(sum) | Self::Xxh3(sum) => sum,
        }
    }
}

#[inline]
fn xxh3(payload: &[u8]) -> u32 {
    let [a, b, c, d, ..] = XxHash3_64::oneshot(payload).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_published_algorithms() {
        // XXH3 of no bytes is 2d06800538d394c2; CRC-32C is known by its sum of nine digits.
        assert_eq!(PayloadSum::of(b""), PayloadSum::Xxh3(0x38d3_94c2));
        assert!(PayloadSum::Crc32c(0xe306_9283).fits(b"123456789"));
    }

    #[test]
    fn no_flipped_bit_fits() {
        for bytes in [1_usize, 3, 8, 16, 17, 128, 129, 240, 241, 1024, 1500] {
            let payload: Vec<u8> = (0..=250).cycle().step_by(7).take(bytes).collect();
            let sums = [
                PayloadSum::of(&payload),
                PayloadSum::Crc32c(crc32c::crc32c(&payload)),
            ];
            for bit in 0..bytes * 8 {
                let mut flipped = payload.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                for sum in sums {
                    assert!(sum.fits(&payload) && !sum.fits(&flipped), "{sum:?} {bit}");
                }
            }
        }
    }
}
