//! Snappy in the framing of Java's `SnappyOutputStream` ("xerial"), which Kafka's clients agree on,
//! instead of Snappy's own.
//!
//! A header of 16 bytes, then blocks: each a big-endian length and that many bytes of raw Snappy.
//! Some producers write one raw block without any framing; both are read.

use std::io;

use bytes::Bytes;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{bounded::Fault, pieces::total_len};

/// A byte that is no ASCII, the name, a zero; then the version and the oldest compatible one,
/// big-endian.
const STREAM_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// The part of the header that every version has.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// Bytes of a block: as much as the Java client puts there.
const BLOCK_BYTES: usize = 32 * 1024;

/// No Snappy data expands further: its densest element makes 64 bytes of three.
const MAX_EXPANSION: usize = 22;

pub(super) fn compress(pieces: &[Bytes]) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(total_len(pieces) / 2 + max_compress_len(BLOCK_BYTES));
    output.extend_from_slice(&STREAM_HEADER);
    let mut encoder = Encoder::new();
    for_each_block(pieces, |block| {
        append_block(&mut encoder, block, &mut output)
    })?;
    Ok(output)
}

fn append_block(encoder: &mut Encoder, block: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let start = output.len();
    output.resize(start + size_of::<u32>() + max_compress_len(block.len()), 0);
    let Some((length, body)) = output
        .get_mut(start..)
        .and_then(<[u8]>::split_first_chunk_mut)
    else {
        return Ok(()); // It was just made long enough.
    };
    let compressed = encoder.compress(block, body)?;
    *length = u32::try_from(compressed)
        .map_err(io::Error::other)?
        .to_be_bytes();
    output.truncate(start + size_of::<u32>() + compressed);
    Ok(())
}

/// Goes through the pieces block by block; only blocks that span pieces, and the last one, are
/// copied together.
fn for_each_block(
    pieces: &[Bytes],
    mut visit: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut spanning = Vec::new();
    for piece in pieces {
        let mut rest = &piece[..];
        if !spanning.is_empty() {
            let (missing, behind) = rest.split_at(rest.len().min(BLOCK_BYTES - spanning.len()));
            spanning.extend_from_slice(missing);
            rest = behind;
            if spanning.len() == BLOCK_BYTES {
                visit(&spanning)?;
                spanning.clear();
            }
        }
        let mut blocks = rest.chunks_exact(BLOCK_BYTES);
        blocks.try_for_each(&mut visit)?;
        spanning.extend_from_slice(blocks.remainder());
    }
    if spanning.is_empty() {
        Ok(())
    } else {
        visit(&spanning)
    }
}

pub(super) fn decompress(input: &[u8], max_output_bytes: usize) -> Result<Vec<u8>, Fault> {
    let mut output = Vec::new();
    let mut decoder = Decoder::new();
    if !input.starts_with(&MAGIC) {
        append_decompressed(&mut decoder, input, &mut output, max_output_bytes)?;
        return Ok(output);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Streams may be concatenated: a header can come between blocks, whose lengths never look
        // like one.
        if rest.starts_with(&MAGIC) {
            rest = rest.get(STREAM_HEADER.len()..).ok_or_else(truncated)?;
            continue;
        }
        let (length, behind) = rest.split_first_chunk().ok_or_else(truncated)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(Fault::corrupt)?;
        let (block, behind) = behind.split_at_checked(length).ok_or_else(truncated)?;
        append_decompressed(&mut decoder, block, &mut output, max_output_bytes)?;
        rest = behind;
    }
    Ok(output)
}

fn append_decompressed(
    decoder: &mut Decoder,
    block: &[u8],
    output: &mut Vec<u8>,
    max_output_bytes: usize,
) -> Result<(), Fault> {
    let claimed = decompress_len(block).map_err(Fault::corrupt)?;
    if claimed > max_output_bytes - output.len() {
        return Err(Fault::TooLarge);
    }
    if claimed > block.len().saturating_mul(MAX_EXPANSION) {
        return Err(Fault::corrupt("a block claims more bytes than it can hold"));
    }
    let start = output.len();
    output.resize(start + claimed, 0);
    let room = output.get_mut(start..).unwrap_or_default();
    let written = decoder.decompress(block, room).map_err(Fault::corrupt)?;
    output.truncate(start + written);
    Ok(())
}

fn truncated() -> Fault {
    Fault::corrupt("the data ends inside a block")
}
