//! From a leased batch to the records field of a produce request.

use bytes::Bytes;
use wolff_codec::records::{
    BatchTooLarge, Compression, CompressionLevel, compress as compress_frames,
};
use wolff_codec::wire::Chunks;
use wolff_core::{BatchBody, Transmit};

/// Compresses a batch ahead of its sending. Where that does not pay, or fails, the batch stays as it is.
pub(super) fn compress(body: &BatchBody, compression: Compression, level: CompressionLevel) {
    if compression == Compression::None || body.compressed.get().is_some() {
        return;
    }
    let made = match compress_frames(compression, level, &body.frames) {
        Ok(smaller) if smaller.len() < body.totals.records_len => (compression, smaller),
        Ok(_) => (Compression::None, Bytes::new()),
        Err(error) => {
            tracing::warn!(%error, "a batch could not be compressed; it is sent as it is");
            (Compression::None, Bytes::new())
        }
    };
    // Set by nobody else: a batch is prepared once, before it is handed over.
    let _ = body.compressed.set(made);
}

/// The batch as it goes over the wire: its header, and the records' bytes as they are.
pub(super) fn batch_chunks(transmit: &Transmit) -> Result<Chunks, BatchTooLarge> {
    let body = &transmit.body;
    match body.compressed.get() {
        Some((compression, records)) if *compression != Compression::None => {
            let header = body.header(transmit.stamp, *compression)?;
            let crc = wolff_codec::records::crc32c(records);
            let header = Bytes::copy_from_slice(&header.encode(records.len(), crc)?);
            Ok(Chunks::from(vec![header, records.clone()]))
        }
        _ => {
            let header = body.header(transmit.stamp, Compression::None)?;
            let header = header.encode(body.totals.records_len, body.totals.records_crc32c)?;
            let mut chunks = Vec::with_capacity(body.frames.len() + 1);
            chunks.push(Bytes::copy_from_slice(&header));
            chunks.extend(body.frames.iter().cloned());
            Ok(Chunks::from(chunks))
        }
    }
}
