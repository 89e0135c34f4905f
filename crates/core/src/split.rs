//! Making batches out of leased frames, and smaller batches out of one that is too large.
//!
//! Offset deltas count from 0 within a batch, so a piece that does not start its batch is encoded anew. That costs a copy
//! and happens only where a batch was refused for its size or the queue lost a frame of it.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use wolff_codec::records::{Frame, FrameMetadata, FrameTotals, Record, Records, RecordsBuilder};

use crate::batch::{BatchBody, CallRun, push_call};
use crate::frame::{self, FrameError};

/// Frames smaller than this on average are joined, so that a batch does not go to the socket in thousands of pieces.
const JOIN_BELOW_BYTES: usize = 4 * 1024;

/// A batch, and where it begins within the batch that it was cut from.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) first_record: u32,
    pub(crate) body: BatchBody,
}

/// The batches that a lease holds, ready to be taken by
/// [`Partition::handle_leased`](crate::Partition::handle_leased). Made outside of the partition, and so outside of its
/// owner's lock.
#[derive(Debug)]
pub struct LeasedBatches {
    pub(crate) first_item: Option<u64>,
    pub(crate) items: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) pieces: Vec<Piece>,
    unreadable: Option<FrameError>,
}

impl LeasedBatches {
    /// Reads the items of one batch, given with their ids, oldest first.
    #[must_use]
    pub fn read(items: &[(u64, Bytes)]) -> Self {
        let payloads: Vec<Bytes> = items.iter().map(|(_, payload)| payload.clone()).collect();
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        Self {
            first_item: items.first().map(|(id, _)| *id),
            items: count(items.len()),
            payload_bytes: count(payloads.iter().map(Bytes::len).sum()),
            unreadable: payloads.iter().find_map(|item| frame::decode(item).err()),
            pieces: batches_of(&payloads),
        }
    }

    /// The batches, to be prepared (compressed) before they are handed over.
    pub fn bodies(&self) -> impl Iterator<Item = &BatchBody> {
        self.pieces.iter().map(|piece| &piece.body)
    }

    /// The first item that is not a frame, if there is one: its records are lost.
    #[must_use]
    pub fn unreadable(&self) -> Option<FrameError> {
        self.unreadable
    }
}

/// The batches that leased items make: one, unless items of the batch are missing or unreadable.
fn batches_of(items: &[Bytes]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut group: Vec<(Frame, Vec<CallRun>)> = Vec::new();
    for item in items {
        let Ok(next) = frame::decode(item) else {
            continue;
        };
        let continues = group.last().is_some_and(|(last, _)| {
            last.first_delta.checked_add(last.record_count) == Some(next.0.first_delta)
                && last.base_timestamp_ms == next.0.base_timestamp_ms
        });
        if !continues {
            pieces.extend(finish_group(std::mem::take(&mut group)));
        }
        group.push(next);
    }
    pieces.extend(finish_group(group));
    pieces
}

fn finish_group(group: Vec<(Frame, Vec<CallRun>)>) -> Option<Piece> {
    let first_record = group.first()?.0.first_delta;
    let mut runs: Vec<CallRun> = Vec::new();
    for run in group.iter().flat_map(|(_, runs)| runs) {
        match runs.last_mut() {
            Some(last) if last.records == run.records => {
                last.calls = last.calls.saturating_add(run.calls)
            }
            _ => runs.push(*run),
        }
    }
    let frames: Vec<Frame> = group.into_iter().map(|(frame, _)| frame).collect();
    if first_record == 0 {
        let totals = FrameTotals::of(&frames).ok()?;
        let records = join_small(frames, totals.records_len);
        return Some(Piece {
            first_record,
            body: BatchBody {
                frames: records,
                totals,
                runs,
                compressed: OnceLock::new(),
            },
        });
    }
    let joined = join(
        frames.iter().map(|frame| &frame.records),
        frames.iter().map(|frame| frame.records.len()).sum(),
    );
    let count = frames
        .iter()
        .fold(0u32, |sum, frame| sum.saturating_add(frame.record_count));
    let base = frames.first()?.base_timestamp_ms;
    let mut bodies = encode_anew(&joined, count, base, &runs, &[count]);
    Some(Piece {
        first_record,
        body: bodies.pop()?,
    })
}

fn join_small(frames: Vec<Frame>, total: usize) -> Vec<Bytes> {
    if frames.len() > 1 && total / frames.len() < JOIN_BELOW_BYTES {
        return vec![join(frames.iter().map(|frame| &frame.records), total)];
    }
    frames.into_iter().map(|frame| frame.records).collect()
}

fn join<'a>(parts: impl Iterator<Item = &'a Bytes>, total: usize) -> Bytes {
    let mut joined = BytesMut::with_capacity(total);
    parts.for_each(|part| joined.extend_from_slice(part));
    joined.freeze()
}

/// Cuts a batch of several calls in two between calls. `None` where it has a single call or cannot be read.
pub(crate) fn halve(body: &BatchBody) -> Option<[Piece; 2]> {
    let calls = body.call_count();
    if calls < 2 {
        return None;
    }
    let left_records = records_of_first_calls(&body.runs, calls / 2);
    let right_records = body.record_count().checked_sub(left_records)?;
    let joined = join(body.frames.iter(), body.totals.records_len);
    let base = body.totals.base_timestamp_ms;
    let mut halves = encode_anew(
        &joined,
        body.record_count(),
        base,
        &body.runs,
        &[left_records, right_records],
    )
    .into_iter();
    let left = halves.next()?;
    let right = halves.next()?;
    Some([
        Piece {
            first_record: 0,
            body: left,
        },
        Piece {
            first_record: left_records,
            body: right,
        },
    ])
}

fn records_of_first_calls(runs: &[CallRun], mut calls: u32) -> u32 {
    let mut records = 0u32;
    for run in runs {
        let taken = run.calls.min(calls);
        records = records.saturating_add(run.records.saturating_mul(taken));
        calls -= taken;
    }
    records
}

/// Encodes `count` records anew as batches of the given sizes. Fewer come back where the bytes cannot be read.
fn encode_anew(
    joined: &Bytes,
    count: u32,
    base_timestamp_ms: i64,
    runs: &[CallRun],
    sizes: &[u32],
) -> Vec<BatchBody> {
    let mut records = records_of(joined.clone(), count, base_timestamp_ms);
    let mut calls = runs
        .iter()
        .flat_map(|run| std::iter::repeat_n(run.records, usize::try_from(run.calls).unwrap_or(0)));
    let mut bodies = Vec::with_capacity(sizes.len());
    for size in sizes {
        let mut builder =
            RecordsBuilder::with_capacity(base_timestamp_ms, joined.len() / sizes.len().max(1));
        for _ in 0..*size {
            let Some(Ok(record)) = records.next() else {
                return bodies;
            };
            if builder.append(&record.as_record_ref()).is_err() {
                return bodies;
            }
        }
        let mut own_runs = Vec::new();
        let mut covered = 0u32;
        while covered < *size {
            let Some(call) = calls.next() else { break };
            push_call(&mut own_runs, call);
            covered = covered.saturating_add(call);
        }
        let Some(frame) = builder.cut() else {
            return bodies;
        };
        let Ok(totals) = FrameTotals::of([&frame]) else {
            return bodies;
        };
        bodies.push(BatchBody {
            frames: vec![frame.records],
            totals,
            runs: own_runs,
            compressed: OnceLock::new(),
        });
    }
    bodies
}

/// Iterates over records that stand one behind the other.
pub(crate) fn records_of(joined: Bytes, count: u32, base_timestamp_ms: i64) -> Records {
    let metadata = FrameMetadata {
        crc32c: 0,
        first_delta: 0,
        record_count: count,
        base_timestamp_ms,
        max_timestamp_ms: base_timestamp_ms,
    };
    Records::of_frame(&Frame::from_parts(joined, metadata))
}

impl BatchBody {
    /// The calls of the batch, each with its records decoded: for routing them elsewhere. Ends early where the bytes cannot
    /// be read.
    pub fn calls(&self) -> impl Iterator<Item = Vec<Record>> + '_ {
        let joined = match self.frames.as_slice() {
            [only] => only.clone(),
            several => join(several.iter(), self.totals.records_len),
        };
        let mut records = records_of(joined, self.record_count(), self.totals.base_timestamp_ms);
        let sizes = self.runs.iter().flat_map(|run| {
            std::iter::repeat_n(run.records, usize::try_from(run.calls).unwrap_or(0))
        });
        sizes.map_while(move |size| {
            let size = usize::try_from(size).ok()?;
            let call: Vec<Record> = records.by_ref().take(size).map_while(Result::ok).collect();
            (call.len() == size).then_some(call)
        })
    }
}
