//! LZ4 in its standard frame format.
//!
//! Frames are written as the Java client writes them: independent blocks of 64 KiB (it refuses
//! linked ones), no checksums but the header's, which the batch's own CRC32C makes superfluous.

use std::io::{self, Read, Write};

use bytes::Bytes;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{
    bounded::{Fault, read_all},
    pieces::total_len,
};

/// End of the blocks of a frame.
const END_MARK: [u8; 4] = [0; 4];

pub(super) fn compress(pieces: &[Bytes]) -> io::Result<Vec<u8>> {
    let frame = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let output = Vec::with_capacity(total_len(pieces) / 2);
    let mut encoder = FrameEncoder::with_frame_info(frame, output);
    for piece in pieces {
        encoder.write_all(piece)?;
    }
    encoder.finish().map_err(io::Error::from)
}

/// Exactly one frame: a partial one is an error, and so is anything behind it.
pub(super) fn decompress(input: &[u8], max_output_bytes: usize) -> Result<Vec<u8>, Fault> {
    // The decoder takes an input that ends between two blocks for complete. So another end mark
    // follows the input: it stays unread where the frame has its own.
    let mut decoder = FrameDecoder::new(input.chain(END_MARK.as_slice()));
    let output = read_all(&mut decoder, input.len(), max_output_bytes)?;
    let (input, end_mark) = decoder.get_ref().get_ref();
    if end_mark.len() != END_MARK.len() {
        return Err(Fault::corrupt("the frame is incomplete"));
    }
    if !input.is_empty() {
        return Err(Fault::corrupt("there are bytes behind the frame"));
    }
    Ok(output)
}
