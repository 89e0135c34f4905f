//! Zstandard, RFC 8878; the C library, compiled in.

use std::io::{self, Write};

use bytes::Bytes;
use zstd::stream::{read::Decoder, write::Encoder};

use super::{
    bounded::{Fault, read_all},
    pieces::total_len,
};

/// The largest window that is accepted, as a power of two: 128 MiB, the library's own limit and
/// that of level 22.
const MAX_WINDOW_LOG: u32 = 27;

pub(super) fn compress(level: Option<i32>, pieces: &[Bytes]) -> io::Result<Vec<u8>> {
    let total = total_len(pieces);
    let mut encoder = Encoder::new(
        Vec::with_capacity(total / 4),
        level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL),
    )?;
    // Lets the library choose tables that fit the data, and readers one allocation.
    encoder.set_pledged_src_size(u64::try_from(total).ok())?;
    for piece in pieces {
        encoder.write_all(piece)?;
    }
    encoder.finish()
}

pub(super) fn decompress(input: &[u8], max_output_bytes: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::with_buffer(input)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    read_all(&mut decoder, input.len(), max_output_bytes)
}
