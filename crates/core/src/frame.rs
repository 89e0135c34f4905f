//! The item that a frame is in the local queue: the records' bytes, and behind them a trailer that tells how to send them.
//!
//! ```text
//! records │ runs: (records u32, calls u32)* │ runs_len u32 │ base_timestamp i64 │ max_timestamp i64
//!         │ first_delta u32 │ record_count u32 │ crc32c u32 │ version u8
//! ```
//! All numbers are little endian. The trailer stands behind the records so that it can be added to the buffer that they
//! were encoded into, and so that the records can go to the socket as they are.

use bytes::{BufMut, Bytes, BytesMut};
use wolff_codec::records::{Frame, FrameMetadata};

use crate::batch::CallRun;

const VERSION: u8 = 1;
const RUN_BYTES: usize = 8;
const TAIL_BYTES: usize = 4 + 8 + 8 + 4 + 4 + 4 + 1;

/// An item of the local queue that is not a frame of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The item is shorter than its trailer says.
    #[error("the queue item is too short to be a frame: {0} bytes")]
    Short(usize),
    /// Written by a newer wolff, or not by wolff.
    #[error("the queue item has frame version {0}; this wolff reads version 1")]
    Version(u8),
    /// The counts of the trailer contradict each other.
    #[error("the queue item's trailer is inconsistent")]
    Inconsistent,
}

/// Writes the trailer behind the records.
pub(crate) fn encode_trailer(meta: &FrameMetadata, runs: &[CallRun], out: &mut BytesMut) {
    let runs_len = runs.len().saturating_mul(RUN_BYTES);
    out.reserve(runs_len.saturating_add(TAIL_BYTES));
    for run in runs {
        out.put_u32_le(run.records);
        out.put_u32_le(run.calls);
    }
    out.put_u32_le(u32::try_from(runs_len).unwrap_or(u32::MAX));
    out.put_i64_le(meta.base_timestamp_ms);
    out.put_i64_le(meta.max_timestamp_ms);
    out.put_u32_le(meta.first_delta);
    out.put_u32_le(meta.record_count);
    out.put_u32_le(meta.crc32c);
    out.put_u8(VERSION);
}

/// Splits an item into the frame and its call boundaries.
pub(crate) fn decode(payload: &Bytes) -> Result<(Frame, Vec<CallRun>), FrameError> {
    let short = FrameError::Short(payload.len());
    let (tail_at, tail) = split_tail(payload).ok_or(short)?;
    let mut tail = Fields(tail);
    let runs_len = usize::try_from(tail.u32()).unwrap_or(usize::MAX);
    let meta = FrameMetadata {
        base_timestamp_ms: tail.i64(),
        max_timestamp_ms: tail.i64(),
        first_delta: tail.u32(),
        record_count: tail.u32(),
        crc32c: tail.u32(),
    };
    let version = tail.u8();
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let records_len = tail_at.checked_sub(runs_len).ok_or(short)?;
    let runs = decode_runs(payload.get(records_len..tail_at).unwrap_or_default());
    let described = runs.iter().try_fold(0u32, |sum, run| {
        run.records
            .checked_mul(run.calls)
            .and_then(|n| sum.checked_add(n))
    });
    // Every record has a length and six fields of at least a byte, so the count is bounded by the bytes.
    let plausible = meta.record_count > 0
        && usize::try_from(meta.record_count).is_ok_and(|n| n <= records_len / 7)
        && meta
            .first_delta
            .checked_add(meta.record_count)
            .is_some_and(|n| i32::try_from(n).is_ok());
    if runs_len % RUN_BYTES != 0 || described != Some(meta.record_count) || !plausible {
        return Err(FrameError::Inconsistent);
    }
    Ok((Frame::from_parts(payload.slice(..records_len), meta), runs))
}

/// The frame in an item of the local queue, for whoever looks into one.
///
/// # Errors
/// The item is no frame.
pub fn frame_of(payload: &Bytes) -> Result<Frame, FrameError> {
    decode(payload).map(|(frame, _)| frame)
}

/// Whether an item of the local queue is the first frame of a batch: a lease stops before the next one.
#[must_use]
pub fn starts_batch(payload: &[u8]) -> bool {
    let Some((_, tail)) = split_tail(payload) else {
        return true;
    };
    let mut fields = Fields(tail.get(20..24).unwrap_or_default());
    fields.u32() == 0
}

/// Position of the tail, and the tail.
fn split_tail(payload: &[u8]) -> Option<(usize, &[u8])> {
    let at = payload.len().checked_sub(TAIL_BYTES)?;
    Some((at, payload.get(at..)?))
}

fn decode_runs(bytes: &[u8]) -> Vec<CallRun> {
    bytes
        .chunks_exact(RUN_BYTES)
        .map(|chunk| {
            let mut fields = Fields(chunk);
            CallRun {
                records: fields.u32(),
                calls: fields.u32(),
            }
        })
        .collect()
}

/// Little-endian fields of a slice whose length was checked; what is missing reads as 0.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            None => [0; N],
        }
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(first_delta: u32, record_count: u32) -> FrameMetadata {
        FrameMetadata {
            base_timestamp_ms: 1_700_000_000_000,
            max_timestamp_ms: 1_700_000_000_001,
            first_delta,
            record_count,
            crc32c: 0xdead_beef,
        }
    }

    const RUNS: [CallRun; 2] = [
        CallRun {
            records: 1,
            calls: 2,
        },
        CallRun {
            records: 2,
            calls: 1,
        },
    ];

    fn payload(meta: &FrameMetadata, runs: &[CallRun]) -> Bytes {
        let mut out = BytesMut::from(&[7u8; 40][..]);
        encode_trailer(meta, runs, &mut out);
        out.freeze()
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let (frame, runs) = decode(&payload(&meta(3, 4), &RUNS)).unwrap();
        assert_eq!(&frame.records[..], &[7u8; 40]);
        assert_eq!(frame.metadata(), meta(3, 4));
        assert_eq!(runs, RUNS);
    }

    #[test]
    fn the_first_frame_of_a_batch_is_recognised() {
        assert!(!starts_batch(&payload(&meta(3, 4), &RUNS)));
        assert!(starts_batch(&payload(&meta(0, 4), &RUNS)));
    }

    #[test]
    fn no_bytes_make_it_panic_and_contradictions_are_errors() {
        let good = payload(&meta(3, 4), &RUNS);
        for cut in 0..good.len() {
            let _ = decode(&good.slice(..cut));
            let _ = decode(&good.slice(cut..));
        }
        assert_eq!(
            decode(&payload(&meta(3, 5), &RUNS)),
            Err(FrameError::Inconsistent)
        );
        let runs = [CallRun {
            records: u32::MAX,
            calls: 1,
        }];
        assert_eq!(
            decode(&payload(&meta(0, u32::MAX), &runs)),
            Err(FrameError::Inconsistent)
        );
        let mut other = good.to_vec();
        *other.last_mut().unwrap() = 9;
        assert_eq!(decode(&Bytes::from(other)), Err(FrameError::Version(9)));
    }
}
