//! Checksums of entry headers, for those who come by one header after the other.
//!
//! The library's routine takes about as long for the twenty bytes of a header as for the hundred of
//! a small payload: it is made for long inputs. But CRC-32C is linear: from one header to the next
//! only the lowest bytes of the id and the length and the payload's checksum change, and what a
//! changed byte does to the result stands in a table.

use super::key::Seed;

/// The polynomial of CRC-32C, its lowest bit last.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The change of the state by each byte, by its value.
type Row = [u32; 256];

/// For bytes that so many more follow.
const fn row(following: usize) -> Row {
    let mut row = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut state = byte;
        let mut bits = 8 * (following + 1);
        while bits > 0 {
            state = (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL } else { 0 };
            bits -= 1;
        }
        #[expect(clippy::indexing_slicing, reason = "the loop goes to the row's end")]
        {
            row[byte as usize] = state;
        }
        byte += 1;
    }
    row
}

/// The two lowest bytes of the payload's length, before the end of the id.
static LENGTH: [Row; 2] = [row(11), row(10)];
/// The lowest byte of the id, before its end.
static ID: Row = row(7);
/// The last four bytes, the payload's checksum.
static LAST: [Row; 4] = [row(3), row(2), row(1), row(0)];

fn look(row: &Row, state: u32) -> u32 {
    let [byte, ..] = state.to_le_bytes();
    row.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The parts of a header that the tables leave alone: its first four bytes, and the length and the
/// id without their lowest bytes.
type Base = (u32, u32, u64);

/// Checksums of headers in one segment.
#[derive(Clone, Debug)]
pub(crate) struct HeaderSums {
    seed: Seed,
    /// Of the last header, and the state behind its id, had the lowest bytes been zeros.
    base: Option<(Base, u32)>,
}

impl HeaderSums {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, base: None }
    }

    /// The checksum of a header with these fields.
    #[inline]
    pub(crate) fn of(&mut self, code: u32, payload_bytes: u32, id: u64, payload_sum: u32) -> u32 {
        let base = (code, payload_bytes & !0xffff, id & !0xff);
        let state = match self.base {
            Some((known, state)) if known == base => state,
            _ => self.change_base(base),
        };
        let [low_id, ..] = id.to_le_bytes();
        let [first_length, second_length] = &LENGTH;
        let [first, second, third, fourth] = &LAST;
        let state = state
            ^ look(first_length, payload_bytes)
            ^ look(second_length, payload_bytes >> 8)
            ^ look(&ID, u32::from(low_id))
            ^ payload_sum;
        !(look(first, state)
            ^ look(second, state >> 8)
            ^ look(third, state >> 16)
            ^ look(fourth, state >> 24))
    }

    #[cold]
    fn change_base(&mut self, base: Base) -> u32 {
        let (code, payload_bytes, id) = base;
        let crc = crc32c::crc32c_append(self.seed.0, &code.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, &payload_bytes.to_le_bytes());
        let state = !crc32c::crc32c_append(crc, &id.to_le_bytes());
        self.base = Some((base, state));
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_say_what_the_library_says() {
        let mut sums = HeaderSums::new(Seed(0x1234_5678));
        let mut dice = 7_u64;
        let mut id = 250;
        for _ in 0..100_000 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let [a, b, c, d, e, f, g, h] = dice.to_le_bytes();
            let [low, high] = [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes);
            let (code, payload_sum) = ((0xd1 + low % 3) | low << 8, high);
            let payload_bytes = low >> (high % 32);
            id += u64::from(high % 300);
            let mut header = code.to_le_bytes().to_vec();
            header.extend(payload_bytes.to_le_bytes());
            header.extend(id.to_le_bytes());
            header.extend(payload_sum.to_le_bytes());
            assert_eq!(
                sums.of(code, payload_bytes, id, payload_sum),
                crc32c::crc32c_append(0x1234_5678, &header)
            );
        }
    }
}
