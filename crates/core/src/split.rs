//! Making smaller batches out of one that a broker refused: between calls, never within one.

use std::collections::BTreeSet;

use wolff_codec::records::Compression;

use crate::batch::BatchBody;
use crate::reencode::{BatchEncoder, Piece};

/// Rule by which a refused batch is made into smaller ones.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SplitRule {
    /// Into pieces of at most so many bytes of uncompressed records; a larger call alone is one
    /// piece.
    AtMost {
        /// Bytes of records.
        bytes: usize,
    },
    /// Into two halves by number of calls.
    Halves,
    /// Before each of these records, where a call begins with it.
    Before {
        /// Record numbers within the batch.
        records: BTreeSet<u32>,
    },
    /// Each of the calls that hold these records alone, the calls between them together.
    Isolate {
        /// Record numbers within the batch.
        records: BTreeSet<u32>,
    },
}

/// A run of records of a lease that was a batch of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoredBatch {
    /// Its first record within the lease.
    pub first_record: u32,
    /// Records in it.
    pub record_count: u32,
    /// Its compression.
    pub compression: Compression,
}

impl StoredBatch {
    /// The record behind its last one.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.first_record.saturating_add(self.record_count)
    }
}

/// Cuts a piece before each of these records of its lease, so far as a call begins there.
pub(crate) fn cut(piece: Piece, before: &BTreeSet<u32>) -> Vec<Piece> {
    let first = piece.first_record();
    let end = first.saturating_add(piece.body().record_count());
    let inside: BTreeSet<u32> = before
        .iter()
        .filter(|record| (first.saturating_add(1)..end).contains(*record))
        .map(|record| record - first)
        .collect();
    if inside.is_empty() {
        return vec![piece];
    }
    let pieces = split_by(piece.body(), &SplitRule::Before { records: inside });
    let found: u32 = pieces.iter().map(|cut| cut.body().record_count()).sum();
    if found != piece.body().record_count() {
        // Its bytes cannot be read back: nothing smaller can be made of it.
        return vec![piece];
    }
    pieces.into_iter().map(|cut| cut.shifted(first)).collect()
}

/// Splits a batch. The pieces are in order and hold all its records; at least two of them unless
/// the batch has a single call. Fewer records come back only where the bytes cannot be read.
#[must_use]
pub fn split(body: &BatchBody, rule: &SplitRule) -> Vec<Piece> {
    let pieces = split_by(body, rule);
    if pieces.len() == 1 && body.call_count() > 1 {
        // The cause of the split would request it again.
        return split_by(body, &SplitRule::Halves);
    }
    pieces
}

fn split_by(body: &BatchBody, rule: &SplitRule) -> Vec<Piece> {
    let base = body.totals().base_timestamp_ms;
    let half_calls = body.call_count().div_ceil(2);
    let mut pieces = Vec::new();
    let mut current = Current::new(0, base);
    let mut first_record = 0u32;
    for call in body.calls() {
        let records = u32::try_from(call.len()).unwrap_or(u32::MAX);
        let end = first_record.saturating_add(records);
        let max_bytes = match rule {
            SplitRule::AtMost { bytes } if current.calls > 0 => *bytes,
            _ => usize::MAX,
        };
        let is_full = match rule {
            SplitRule::AtMost { .. } => false,
            SplitRule::Halves => current.calls >= half_calls,
            SplitRule::Before { records } => records.contains(&first_record),
            SplitRule::Isolate { records } => {
                current.is_isolated || records.range(first_record..end).next().is_some()
            }
        };
        let is_next =
            (is_full && current.calls > 0) || !current.encoder.push_within(&call, max_bytes);
        if is_next {
            let full = std::mem::replace(&mut current, Current::new(first_record, base));
            pieces.extend(full.finish());
            if !current.encoder.push(&call) {
                break;
            }
        }
        current.calls = current.calls.saturating_add(1);
        current.is_isolated = match rule {
            SplitRule::Isolate { records } => records.range(first_record..end).next().is_some(),
            _ => false,
        };
        first_record = end;
    }
    pieces.extend(current.finish());
    pieces
}

/// The piece that is being made.
struct Current {
    first_record: u32,
    encoder: BatchEncoder,
    calls: u32,
    is_isolated: bool,
}

impl Current {
    fn new(first_record: u32, base_timestamp_ms: i64) -> Self {
        Self {
            first_record,
            encoder: BatchEncoder::new(base_timestamp_ms, 0),
            calls: 0,
            is_isolated: false,
        }
    }

    fn finish(self) -> Option<Piece> {
        Some(Piece::new(self.first_record, self.encoder.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use wolff_codec::Offset;
    use wolff_codec::records::Record;

    use super::*;

    fn body(calls: &[usize], value_bytes: usize) -> BatchBody {
        let mut encoder = BatchEncoder::new(0, 0);
        let mut number = 0u32;
        for records in calls {
            let call: Vec<Record> = (0..*records)
                .map(|_| {
                    number += 1;
                    let mut value = number.to_be_bytes().to_vec();
                    value.resize(value_bytes, 0);
                    Record {
                        offset: Offset(0),
                        timestamp_ms: 0,
                        key: None,
                        value: Some(value.into()),
                        headers: Vec::new(),
                    }
                })
                .collect();
            assert!(encoder.push(&call));
        }
        encoder.finish().unwrap()
    }

    fn shape(pieces: &[Piece]) -> Vec<(u32, u32, u32)> {
        pieces
            .iter()
            .map(|piece| {
                let body = piece.body();
                (piece.first_record(), body.record_count(), body.call_count())
            })
            .collect()
    }

    #[test]
    fn halves_are_cut_between_calls() {
        let pieces = split(&body(&[1, 2, 3], 10), &SplitRule::Halves);
        assert_eq!(shape(&pieces), [(0, 3, 2), (3, 3, 1)]);
        let pieces = split(&body(&[4], 10), &SplitRule::Halves);
        assert_eq!(shape(&pieces), [(0, 4, 1)]);
    }

    #[test]
    fn a_piece_is_cut_where_calls_begin_and_nowhere_else() {
        let piece = Piece::new(10, body(&[1, 2, 3, 1], 10));
        let before = BTreeSet::from([0, 10, 11, 12, 13, 17, 40]);
        let pieces = cut(piece, &before);
        assert_eq!(shape(&pieces), [(10, 1, 1), (11, 2, 1), (13, 4, 2)]);
        let untouched = cut(Piece::new(10, body(&[1, 2], 10)), &BTreeSet::from([10, 13]));
        assert_eq!(shape(&untouched), [(10, 3, 2)]);
    }

    #[test]
    fn pieces_keep_to_a_size_and_a_large_call_is_alone() {
        let whole = body(&[1, 1, 1, 1, 5, 1], 100);
        let pieces = split(&whole, &SplitRule::AtMost { bytes: 250 });
        assert_eq!(shape(&pieces), [(0, 2, 2), (2, 2, 2), (4, 5, 1), (9, 1, 1)]);
    }

    #[test]
    fn small_calls_do_not_hide_the_size_of_a_large_one() {
        let mut encoder = BatchEncoder::new(0, 0);
        for value_bytes in [10, 10, 300, 10] {
            let record = Record {
                offset: Offset(0),
                timestamp_ms: 0,
                key: None,
                value: Some(vec![0; value_bytes].into()),
                headers: Vec::new(),
            };
            assert!(encoder.push(&[record]));
        }
        let whole = encoder.finish().unwrap();
        let pieces = split(&whole, &SplitRule::AtMost { bytes: 200 });
        assert_eq!(shape(&pieces), [(0, 2, 2), (2, 1, 1), (3, 1, 1)]);
    }

    #[test]
    fn a_batch_of_several_calls_always_comes_apart() {
        let whole = body(&[1, 1, 1], 10);
        for rule in [
            SplitRule::AtMost { bytes: usize::MAX },
            SplitRule::Isolate {
                records: BTreeSet::new(),
            },
        ] {
            assert_eq!(shape(&split(&whole, &rule)), [(0, 2, 2), (2, 1, 1)]);
        }
    }

    #[test]
    fn bad_records_are_isolated_with_their_calls() {
        let records = BTreeSet::from([2, 5]);
        let pieces = split(&body(&[1, 1, 2, 1, 1], 10), &SplitRule::Isolate { records });
        assert_eq!(shape(&pieces), [(0, 2, 2), (2, 2, 1), (4, 1, 1), (5, 1, 1)]);
    }

    #[test]
    fn all_records_come_back_in_order() {
        let whole = body(&[3, 1, 2, 2], 20);
        for rule in [SplitRule::Halves, SplitRule::AtMost { bytes: 1 }] {
            let values: Vec<_> = split(&whole, &rule)
                .iter()
                .flat_map(|piece| piece.body().calls().flatten().collect::<Vec<_>>())
                .map(|record| record.value)
                .collect();
            let expected: Vec<_> = whole.calls().flatten().map(|record| record.value).collect();
            assert_eq!(values, expected);
        }
    }
}
