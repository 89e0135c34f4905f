//! Gzip, RFC 1952.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{Compression as Level, bufread::MultiGzDecoder, write::GzEncoder};

use super::{
    bounded::{Fault, read_all},
    pieces::total_len,
};

pub(super) fn compress(level: Option<i32>, pieces: &[Bytes]) -> io::Result<Vec<u8>> {
    // Levels were checked: what does not fit the type cannot come here.
    let level = level
        .and_then(|level| u32::try_from(level).ok())
        .map_or(Level::default(), Level::new);
    let output = Vec::with_capacity(total_len(pieces) / 4);
    let mut encoder = GzEncoder::new(output, level);
    for piece in pieces {
        encoder.write_all(piece)?;
    }
    encoder.finish()
}

/// Several members in a row are one stream, as the format says and Java reads it.
pub(super) fn decompress(input: &[u8], max_output_bytes: usize) -> Result<Vec<u8>, Fault> {
    read_all(
        &mut MultiGzDecoder::new(input),
        input.len(),
        max_output_bytes,
    )
}
