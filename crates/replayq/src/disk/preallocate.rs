//! Filling a growing segment with zeros ahead of its entries.
//!
//! The kernel keeps what a large write made in large pieces, and every later write into these costs
//! a third less, in this life of the file and in all those after it was recycled. Together with the
//! zeros that is cheaper than growing the file with each append; and a sync has no new length to
//! write.

use std::io::IoSlice;

use crate::field;
use crate::vfs::{self, VfsFile};

/// A file is filled up to multiples of this many bytes.
const STRIDE_BYTES: u64 = 256 << 10;
/// A segment that holds less than this may stay small: nothing is filled.
const SMALL_BYTES: u64 = 256 << 10;

const ZEROS_BYTES: usize = 16 << 10;
static ZEROS: [u8; ZEROS_BYTES] = [0; ZEROS_BYTES];

/// Fills the file so that there is room up to `end`, if it is large enough to be worth it. Returns
/// its length. A disk without space for it is no error: the entries may still fit.
pub(crate) fn fill(file: &dyn VfsFile, file_bytes: u64, end: u64, segment_bytes: u64) -> u64 {
    if end <= file_bytes || file_bytes < SMALL_BYTES || end > segment_bytes {
        return file_bytes;
    }
    let target = end.next_multiple_of(STRIDE_BYTES).min(segment_bytes);
    let mut missing = field::narrow(target.saturating_sub(file_bytes));
    let mut buffers = Vec::with_capacity(missing.div_ceil(ZEROS_BYTES));
    while missing > 0 {
        let piece = ZEROS.get(..missing).unwrap_or(&ZEROS);
        buffers.push(IoSlice::new(piece));
        missing = missing.saturating_sub(piece.len());
    }
    match vfs::write_all_at(file, &mut buffers, file_bytes) {
        Ok(()) => target,
        Err(_) => {
            // What was written of it takes space that the entries need.
            let _longer_for_nothing = file.set_length(file_bytes);
            file_bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{OpenMode, OsVfs, Vfs};

    fn filled(file_bytes: u64, end: u64) -> (u64, u64) {
        const SEGMENT_BYTES: u64 = 10 << 20;
        let room = tempfile::tempdir().unwrap();
        let file = OsVfs
            .open(&room.path().join("file"), OpenMode::Create)
            .unwrap();
        file.set_length(file_bytes).unwrap();
        let said = fill(&*file, file_bytes, end, SEGMENT_BYTES);
        (said, file.length().unwrap())
    }

    #[test]
    fn a_large_file_is_filled_in_strides_up_to_a_segment_and_a_small_one_is_left_alone() {
        const MIB: u64 = 1 << 20;
        assert_eq!(filled(5000, 9000), (5000, 5000));
        assert_eq!(
            filled(300_000, 300_100),
            (STRIDE_BYTES * 2, STRIDE_BYTES * 2)
        );
        assert_eq!(filled(MIB, MIB), (MIB, MIB));
        assert_eq!(
            filled(MIB, 3 * MIB + 1),
            (3 * MIB + STRIDE_BYTES, 3 * MIB + STRIDE_BYTES)
        );
        assert_eq!(filled(10 * MIB - 5, 10 * MIB), (10 * MIB, 10 * MIB));
        assert_eq!(filled(10 * MIB, 12 * MIB), (10 * MIB, 10 * MIB));
    }
}
