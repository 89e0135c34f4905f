//! The layout of an item of the local queue: a fragment of records, and a trailer that says how to
//! send them. `FORMAT.md` of this crate describes it byte by byte.
//!
//! The trailer follows the records, so that it can be added to the buffer that they were encoded
//! into, and so that the records can go to the socket as they are.

use bytes::{BufMut, Bytes, BytesMut};
use wolff_codec::records::{Frame, FrameMetadata};

use crate::batch::{CallRun, Calls};

/// The only version. Version 1 was never released.
const VERSION: u8 = 2;
/// The only kind: a fragment of a record batch.
const KIND_FRAGMENT: u8 = 1;
const RUN_BYTES: usize = 8;
/// Bytes of the fixed fields of version 2; later writers may put more in front of them.
const TAIL_BYTES: usize = 66;
/// Bytes that an encoded record has at least: its length and six fields.
const LEAST_RECORD_BYTES: usize = 7;

/// An item of the local queue that is not a fragment that this version can read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueItemError {
    /// The item is shorter than a trailer, or than its trailer says.
    #[error("the queue item of {0} bytes is too short for its trailer")]
    Short(usize),
    /// Written by another version of wolff, or not by wolff. The item is intact and is left
    /// untouched.
    #[error(
        "the queue item has format version {version} and kind {kind}; this wolff reads version 2, kind 1: \
         use the version of wolff that wrote it, or another queue directory"
    )]
    Unknown {
        /// Its version byte.
        version: u8,
        /// Its kind byte.
        kind: u8,
    },
    /// The counts of the trailer contradict each other.
    #[error("the trailer of the queue item is inconsistent")]
    Inconsistent,
}

impl QueueItemError {
    /// Returns whether the item must be left untouched for the program that wrote it.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

/// The place of a fragment among the records that one run of a queue has accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RunPosition {
    /// Number of the run: random, so that two runs of a queue never share it.
    pub run: u64,
    /// Records of that run before the fragment.
    pub number: u64,
}

impl RunPosition {
    /// The position behind `records` more records.
    #[must_use]
    pub fn after(self, records: u32) -> Self {
        Self {
            run: self.run,
            number: self.number.saturating_add(u64::from(records)),
        }
    }
}

/// Contents of a trailer beside the records' own metadata.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ItemContext {
    /// Place that the fragment belongs to.
    pub position: RunPosition,
    /// Time at which its first call was accepted, milliseconds since the epoch.
    pub accepted_at_ms: i64,
}

/// An item that was read.
#[derive(Clone, Debug)]
pub struct QueueItem {
    fragment: Frame,
    calls: Calls,
    context: ItemContext,
}

impl QueueItem {
    /// Reads an item of the local queue.
    ///
    /// # Errors
    /// [`QueueItemError`]: the item is no fragment of this version.
    pub fn decode(payload: &Bytes) -> Result<Self, QueueItemError> {
        let short = QueueItemError::Short(payload.len());
        let (version, kind, tail_len) = ending(payload).ok_or(short)?;
        if (version, kind) != (VERSION, KIND_FRAGMENT) {
            return Err(QueueItemError::Unknown { version, kind });
        }
        if tail_len < TAIL_BYTES {
            return Err(QueueItemError::Inconsistent);
        }
        let tail_at = payload.len().checked_sub(tail_len).ok_or(short)?;
        let known_at = payload.len().checked_sub(TAIL_BYTES).ok_or(short)?;
        let mut tail = Fields(payload.get(known_at..).ok_or(short)?);
        let runs_len = usize::try_from(tail.u32()).unwrap_or(usize::MAX);
        let extra_len = usize::try_from(tail.u32()).unwrap_or(usize::MAX);
        let base_timestamp_ms = tail.i64();
        let max_timestamp_ms = tail.i64();
        let context = ItemContext {
            accepted_at_ms: tail.i64(),
            position: RunPosition {
                run: tail.u64(),
                number: tail.u64(),
            },
        };
        let metadata = FrameMetadata {
            first_delta: tail.u32(),
            record_count: tail.u32(),
            crc32c: tail.u32(),
            base_timestamp_ms,
            max_timestamp_ms,
        };
        let runs_end = tail_at.checked_sub(extra_len).ok_or(short)?;
        let records_len = runs_end.checked_sub(runs_len).ok_or(short)?;
        let calls = decode_calls(payload.get(records_len..runs_end).unwrap_or_default())
            .filter(|calls| is_plausible(&metadata, calls, records_len))
            .ok_or(QueueItemError::Inconsistent)?;
        Ok(Self {
            fragment: Frame::from_parts(payload.slice(..records_len), metadata),
            calls,
            context,
        })
    }

    /// The records, with their counts, timestamps and checksum.
    #[must_use]
    pub fn fragment(&self) -> &Frame {
        &self.fragment
    }

    /// Position and time of acceptance.
    #[must_use]
    pub fn context(&self) -> ItemContext {
        self.context
    }

    /// Calls of which the fragment has the records.
    #[must_use]
    pub fn call_count(&self) -> u32 {
        self.calls.count()
    }

    pub(crate) fn into_parts(self) -> (Frame, Calls, ItemContext) {
        (self.fragment, self.calls, self.context)
    }
}

/// Writes the trailer after the records.
pub(crate) fn encode_trailer(
    meta: &FrameMetadata,
    calls: &Calls,
    context: &ItemContext,
    out: &mut BytesMut,
) {
    let runs = calls.runs();
    let runs_len = runs.len().saturating_mul(RUN_BYTES);
    out.reserve(runs_len.saturating_add(TAIL_BYTES));
    for run in runs {
        out.put_u32_le(run.records());
        out.put_u32_le(run.calls());
    }
    out.put_u32_le(u32::try_from(runs_len).unwrap_or(u32::MAX));
    out.put_u32_le(0);
    out.put_i64_le(meta.base_timestamp_ms);
    out.put_i64_le(meta.max_timestamp_ms);
    out.put_i64_le(context.accepted_at_ms);
    out.put_u64_le(context.position.run);
    out.put_u64_le(context.position.number);
    out.put_u32_le(meta.first_delta);
    out.put_u32_le(meta.record_count);
    out.put_u32_le(meta.crc32c);
    // Flags: none is defined.
    out.put_u16_le(0);
    out.put_u16_le(u16::try_from(TAIL_BYTES).unwrap_or(u16::MAX));
    out.put_u8(KIND_FRAGMENT);
    out.put_u8(VERSION);
}

/// Position of the first record of the batch that an item belongs to, which is the same for all its
/// fragments and no others: a lease ends where it changes, whatever was lost in between. `None` for
/// an item that cannot be read.
#[must_use]
pub fn batch_start(payload: &[u8]) -> Option<RunPosition> {
    /// Distance of the field `run` from the end of the item.
    const RUN_FROM_END: usize = 34;
    let (version, kind, _) = ending(payload)?;
    if (version, kind) != (VERSION, KIND_FRAGMENT) {
        return None;
    }
    let mut fields = Fields(payload.get(payload.len().checked_sub(RUN_FROM_END)?..)?);
    let (run, number) = (fields.u64(), fields.u64());
    let first_delta = fields.u32();
    Some(RunPosition {
        run,
        number: number.wrapping_sub(u64::from(first_delta)),
    })
}

/// Version, kind and length of the tail, which are the last bytes in every version.
fn ending(payload: &[u8]) -> Option<(u8, u8, usize)> {
    let [low, high, kind, version] = *payload.last_chunk::<4>()?;
    let tail_len = usize::from(u16::from_le_bytes([low, high]));
    Some((version, kind, tail_len))
}

fn decode_calls(bytes: &[u8]) -> Option<Calls> {
    if !bytes.len().is_multiple_of(RUN_BYTES) {
        return None;
    }
    let mut calls = Calls::default();
    for chunk in bytes.chunks_exact(RUN_BYTES) {
        let mut fields = Fields(chunk);
        calls.push_run(CallRun::new(fields.u32(), fields.u32()));
    }
    Some(calls)
}

/// Returns whether the counts agree with one another and with the bytes that are there.
fn is_plausible(meta: &FrameMetadata, calls: &Calls, records_len: usize) -> bool {
    let described = calls.runs().iter().try_fold(0u32, |sum, run| {
        let records = run.records().checked_mul(run.calls())?;
        sum.checked_add(records)
    });
    let end = meta.first_delta.checked_add(meta.record_count);
    described == Some(meta.record_count)
        && meta.record_count > 0
        && calls.runs().iter().all(|run| run.records() > 0)
        && usize::try_from(meta.record_count).is_ok_and(|n| n <= records_len / LEAST_RECORD_BYTES)
        && end.is_some_and(|end| i32::try_from(end).is_ok())
}

/// Little-endian fields of a slice whose length was checked; missing bytes read as 0.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.next())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.next())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.next())
    }
}

#[cfg(test)]
mod tests {
    use wolff_codec::records::{RecordRef, RecordsBuilder};

    use super::*;

    const CONTEXT: ItemContext = ItemContext {
        position: RunPosition {
            run: 1_700_000_000_000,
            number: 5,
        },
        accepted_at_ms: 1_700_000_000_123,
    };

    /// Two fragments of one batch: a call of two records, then a call of one.
    fn fragments() -> Vec<Bytes> {
        let mut builder = RecordsBuilder::new(1_000);
        let mut items = Vec::new();
        for values in [&[&b"one"[..], b"two"][..], &[b"three"]] {
            let mut calls = Calls::default();
            for value in values {
                let record = RecordRef {
                    timestamp_ms: 1_001,
                    value: Some(value),
                    ..RecordRef::default()
                };
                builder.append(&record).unwrap();
            }
            calls.push(u32::try_from(values.len()).unwrap());
            let frame = builder
                .cut_with_trailer(|meta, out| encode_trailer(meta, &calls, &CONTEXT, out))
                .unwrap();
            items.push(frame.with_trailer);
        }
        items
    }

    #[test]
    fn what_was_written_is_read() {
        let items = fragments();
        let second = QueueItem::decode(&items[1]).unwrap();
        assert!(second.fragment().is_intact());
        assert_eq!(second.fragment().first_delta, 2);
        assert_eq!(second.fragment().record_count, 1);
        assert_eq!(second.fragment().base_timestamp_ms, 1_000);
        assert_eq!(second.fragment().max_timestamp_ms, 1_001);
        assert_eq!(second.context(), CONTEXT);
        assert_eq!(second.call_count(), 1);
    }

    #[test]
    fn the_fragments_of_a_batch_have_one_start_and_no_others_have_it() {
        let items = fragments();
        // The second one claims as many records before it as the first.
        let mut second = items[1].to_vec();
        let at = second.len() - 26;
        second[at] += 2;
        assert_eq!(batch_start(&items[0]), Some(CONTEXT.position));
        assert_eq!(batch_start(&second), batch_start(&items[0]));
        assert_ne!(batch_start(&items[1]), batch_start(&items[0]));
        assert_eq!(batch_start(b"something else"), None);
        assert_eq!(batch_start(b""), None);
    }

    #[test]
    fn the_bytes_are_those_of_the_golden_file() {
        let golden = include_bytes!("../tests/golden/queue_item_v2.bin");
        assert_eq!(fragments()[0].as_ref(), golden.as_slice());
    }

    #[test]
    fn other_versions_and_kinds_are_refused_by_name() {
        for (from_end, byte) in [(1, 1), (1, 3), (1, 255), (2, 0), (2, 2)] {
            let mut item = fragments()[0].to_vec();
            let at = item.len() - from_end;
            item[at] = byte;
            let error = QueueItem::decode(&Bytes::from(item)).unwrap_err();
            assert!(error.is_foreign(), "{error}");
        }
    }

    #[test]
    fn a_longer_tail_of_the_same_version_is_read() {
        let item = fragments()[0].to_vec();
        let tail_at = item.len() - TAIL_BYTES;
        let mut longer = item[..tail_at].to_vec();
        longer.extend_from_slice(b"a later field");
        longer.extend_from_slice(&item[tail_at..]);
        let at = longer.len() - 4;
        longer[at] += 13;
        let read = QueueItem::decode(&Bytes::from(longer)).unwrap();
        assert_eq!(
            read.fragment().records,
            QueueItem::decode(&Bytes::from(item))
                .unwrap()
                .fragment()
                .records
        );
    }

    #[test]
    fn truncation_at_every_byte_and_every_flipped_byte_end_in_a_value_or_an_error() {
        let item = fragments().remove(0);
        for cut in 0..item.len() {
            let _ = QueueItem::decode(&item.slice(..cut));
            let _ = QueueItem::decode(&item.slice(cut..));
        }
        for at in 0..item.len() {
            let mut flipped = item.to_vec();
            flipped[at] ^= 0xff;
            let _ = QueueItem::decode(&Bytes::from(flipped));
        }
    }

    #[test]
    fn counts_that_contradict_the_bytes_are_errors() {
        let good = fragments().remove(0);
        let change = |from_end: usize, value: u32| {
            let mut item = good.to_vec();
            let at = item.len() - from_end;
            item[at..at + 4].copy_from_slice(&value.to_le_bytes());
            QueueItem::decode(&Bytes::from(item)).err()
        };
        // The count of records, and the length of the runs.
        assert_eq!(change(14, 3), Some(QueueItemError::Inconsistent));
        assert_eq!(change(14, u32::MAX), Some(QueueItemError::Inconsistent));
        assert_eq!(change(TAIL_BYTES, 7), Some(QueueItemError::Inconsistent));
        assert_eq!(
            change(TAIL_BYTES, u32::MAX),
            Some(QueueItemError::Short(good.len()))
        );
    }
}
