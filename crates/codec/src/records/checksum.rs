//! CRC32C of bytes that are never together: the checksum of a concatenation from the checksums of
//! its parts.

/// The CRC32C (Castagnoli) of `bytes`.
#[inline]
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The CRC32C of `bytes` behind something that has the checksum `first`.
#[inline]
pub(super) fn append(first: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(first, bytes)
}

/// The CRC32C of `first ++ second`, from the checksums of both and the length of `second` in bytes.
///
/// Neither part's bytes are needed. The cost grows with the number of hexadecimal digits of the
/// length: some 200 ns for a megabyte, which is why this is not the `crc32c` crate's own function
/// (some microseconds).
#[must_use]
pub fn combine(first: u32, second: u32, second_len: usize) -> u32 {
    let mut shifted = first;
    let mut remaining = second_len;
    // A usize has at most 16 digits, and so many rows the table has.
    for row in &ZERO_BYTES {
        if remaining == 0 {
            break;
        }
        if let Some(&factor) = row.get(remaining & 0xf)
            && remaining & 0xf != 0
        {
            shifted = multiply(shifted, factor);
        }
        remaining >>= 4;
    }
    shifted ^ second
}

/// The generator polynomial, lowest power in the top bit, without the x^32 term.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1 in that bit order.
const ONE: u32 = 1 << 31;

/// `ZERO_BYTES[row][digit]` is x^(8 * digit * 16^row) modulo the generator: multiplying by it
/// appends that many zero bytes.
static ZERO_BYTES: [[u32; 16]; 16] = zero_bytes_table();

/// The product of two polynomials modulo the generator.
#[inline]
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut term = b;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= term & ((a >> bit) & 1).wrapping_neg();
        term = (term >> 1) ^ (POLYNOMIAL & (term & 1).wrapping_neg());
    }
    product
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler only, where a wrong index fails the build"
)]
const fn zero_bytes_table() -> [[u32; 16]; 16] {
    let mut table = [[ONE; 16]; 16];
    // x^8, the factor for one byte.
    let mut unit = ONE >> 8;
    let mut row = 0;
    while row < 16 {
        let mut digit = 1;
        while digit < 16 {
            table[row][digit] = multiply(table[row][digit - 1], unit);
            digit += 1;
        }
        unit = multiply(table[row][15], unit);
        row += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_check_value_of_the_castagnoli_polynomial() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_empty_part_changes_nothing() {
        assert_eq!(combine(crc32c(b"abc"), crc32c(b""), 0), crc32c(b"abc"));
        assert_eq!(combine(crc32c(b""), crc32c(b"abc"), 3), crc32c(b"abc"));
    }

    proptest! {
        #[test]
        fn combining_equals_the_checksum_of_the_whole(
            first in proptest::collection::vec(any::<u8>(), 0..300),
            second in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let whole = [first.as_slice(), second.as_slice()].concat();
            prop_assert_eq!(combine(crc32c(&first), crc32c(&second), second.len()), crc32c(&whole));
        }

        #[test]
        fn any_length_agrees_with_an_independent_implementation(first: u32, second: u32, len in 0..=usize::MAX / 8) {
            prop_assert_eq!(combine(first, second, len), crc32c::crc32c_combine(first, second, len));
        }
    }
}
