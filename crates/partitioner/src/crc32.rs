//! The hash of librdkafka's `consistent` partitioners.

/// The polynomial of IEEE 802.3, reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The checksum of every single byte.
const TABLE: [u32; 256] = table();

/// CRC-32 as in zlib and Ethernet (not the CRC-32C of Kafka's record batches).
///
/// ```
/// assert_eq!(wolff_partitioner::crc32(b"123456789"), 0xcbf4_3926);
/// ```
#[must_use]
pub fn crc32(key: &[u8]) -> u32 {
    !key.iter().fold(!0, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ of_byte(low ^ byte)
    })
}

#[expect(
    clippy::indexing_slicing,
    reason = "a byte is below the table's length of 256"
)]
fn of_byte(byte: u8) -> u32 {
    TABLE[usize::from(byte)]
}

#[expect(clippy::indexing_slicing, reason = "the loop ends at the table's end")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            let carry = if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            crc = (crc >> 1) ^ carry;
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
}
