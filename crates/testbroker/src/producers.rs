//! The idempotence rules of a partition: what it remembers of each producer, and what it does with the next batch.
//!
//! Pure: no log, no clock. The rules are Kafka's (KIP-98, KIP-360; `ProducerStateManager` and `ProducerAppendInfo` in its
//! storage module).

use std::collections::{BTreeMap, VecDeque};

use wolff_codec::ErrorCode;
use wolff_codec::ids::{Offset, ProducerEpoch, ProducerId};
use wolff_codec::records::BatchHeader;

use crate::config::UnknownProducers;

/// How many batches per producer id a broker recognises as duplicates.
const REMEMBERED_BATCHES: usize = 5;

/// Who sent a batch, and which of its sequence numbers it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
}

impl Stamp {
    /// The stamp in a batch header; none if the batch has no producer id. The header's delta is not negative.
    pub(crate) fn of(header: &BatchHeader) -> Option<Self> {
        (header.producer_id != ProducerId::NONE).then(|| Self {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            first_sequence: header.base_sequence,
            last_sequence: sequence_after(header.base_sequence, header.last_offset_delta),
        })
    }
}

/// The sequence number that is `count` after another: they go on at 0 after 2^31 - 1. Both must not be negative.
fn sequence_after(sequence: i32, count: i32) -> i32 {
    sequence.checked_add(count).unwrap_or_else(|| {
        // No overflow: each is at most 2^31 - 1.
        count - (i32::MAX - sequence) - 1
    })
}

/// What the broker that decides knows of the partition beside the producers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knowledge {
    /// Where the log ended when the broker reloaded its state: of what is before, it knows the last batch of each producer
    /// only, since snapshots hold no more.
    pub(crate) reloaded_at: Offset,
    /// Whether the log has ever held a record.
    pub(crate) log_was_used: bool,
    /// What to do with producers that the partition does not know.
    pub(crate) unknown_producers: UnknownProducers,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Append it.
    Append,
    /// Answer with success and this offset: the batch has been appended before.
    Duplicate(Offset),
    /// Answer with this error.
    Refuse(ErrorCode),
}

/// What a partition remembers of its producers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    entries: BTreeMap<ProducerId, Entry>,
}

/// What a partition remembers of one producer.
#[derive(Clone, Debug)]
struct Entry {
    epoch: ProducerEpoch,
    /// The last batches of this epoch, oldest first; never empty, never more than [`REMEMBERED_BATCHES`].
    batches: VecDeque<Remembered>,
}

/// A batch that was appended.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: Offset,
    max_timestamp_ms: i64,
}

/// The state of a producer, as DescribeProducers tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ProducerSummary {
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) last_sequence: i32,
    /// Of the last batch, in milliseconds since the Unix epoch.
    pub(crate) last_timestamp_ms: i64,
}

impl Producers {
    /// Decides on a batch; changes nothing.
    pub(crate) fn judge(&self, stamp: Stamp, knowledge: Knowledge) -> Verdict {
        match self.entries.get(&stamp.producer_id) {
            Some(entry) => entry.judge(stamp, knowledge.reloaded_at),
            None => judge_unknown(stamp, knowledge),
        }
    }

    /// Remembers a batch that was appended.
    pub(crate) fn remember(&mut self, stamp: Stamp, base_offset: Offset, max_timestamp_ms: i64) {
        let batch = Remembered {
            first_sequence: stamp.first_sequence,
            last_sequence: stamp.last_sequence,
            base_offset,
            max_timestamp_ms,
        };
        let entry = self.entries.entry(stamp.producer_id).or_insert(Entry {
            epoch: stamp.epoch,
            batches: VecDeque::new(),
        });
        if entry.epoch != stamp.epoch {
            entry.epoch = stamp.epoch;
            entry.batches.clear();
        }
        if entry.batches.len() == REMEMBERED_BATCHES {
            entry.batches.pop_front();
        }
        entry.batches.push_back(batch);
    }

    /// Forgets every producer, as `producer.id.expiration.ms` does.
    pub(crate) fn expire(&mut self) {
        self.entries.clear();
    }

    /// The last batch of each producer, by producer id.
    pub(crate) fn summaries(&self) -> impl Iterator<Item = ProducerSummary> {
        self.entries.iter().filter_map(|(producer_id, entry)| {
            entry.batches.back().map(|last| ProducerSummary {
                producer_id: *producer_id,
                epoch: entry.epoch,
                last_sequence: last.last_sequence,
                last_timestamp_ms: last.max_timestamp_ms,
            })
        })
    }
}

impl Entry {
    fn judge(&self, stamp: Stamp, reloaded_at: Offset) -> Verdict {
        if stamp.epoch == self.epoch
            && let Some(batch) = self.duplicate_of(stamp, reloaded_at)
        {
            return Verdict::Duplicate(batch.base_offset);
        }
        if stamp.epoch < self.epoch {
            return Verdict::Refuse(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let expected = if stamp.epoch == self.epoch {
            self.batches
                .back()
                .map_or(0, |last| sequence_after(last.last_sequence, 1))
        } else {
            0
        };
        if stamp.first_sequence == expected {
            Verdict::Append
        } else {
            Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        }
    }

    /// The remembered batch with exactly this range of sequence numbers. Content is not compared.
    fn duplicate_of(&self, stamp: Stamp, reloaded_at: Offset) -> Option<&Remembered> {
        let reloaded = self
            .batches
            .iter()
            .filter(|batch| batch.base_offset < reloaded_at)
            .count();
        // Of the reloaded ones the snapshot kept the last.
        self.batches
            .iter()
            .skip(reloaded.saturating_sub(1))
            .find(|batch| {
                batch.first_sequence == stamp.first_sequence
                    && batch.last_sequence == stamp.last_sequence
            })
    }
}

fn judge_unknown(stamp: Stamp, knowledge: Knowledge) -> Verdict {
    let is_first = stamp.first_sequence == 0;
    match knowledge.unknown_producers {
        UnknownProducers::Accept => Verdict::Append,
        UnknownProducers::AcceptOnUsedLog if is_first || knowledge.log_was_used => Verdict::Append,
        UnknownProducers::AcceptOnUsedLog => {
            Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        }
        UnknownProducers::Refuse if is_first => Verdict::Append,
        UnknownProducers::Refuse => Verdict::Refuse(ErrorCode::UNKNOWN_PRODUCER_ID),
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Append, Duplicate, Refuse};
    use super::*;

    const OUT_OF_ORDER: Verdict = Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);

    fn stamp(epoch: i16, first_sequence: i32, last_sequence: i32) -> Stamp {
        Stamp {
            producer_id: ProducerId(7),
            epoch: ProducerEpoch(epoch),
            first_sequence,
            last_sequence,
        }
    }

    fn knowing(reloaded_at: i64, log_was_used: bool, rule: UnknownProducers) -> Knowledge {
        Knowledge {
            reloaded_at: Offset(reloaded_at),
            log_was_used,
            unknown_producers: rule,
        }
    }

    /// A producer whose batches have these stamps, at offsets 0, 10, 20, …
    fn with_history(history: &[(i16, i32, i32)]) -> Producers {
        let mut producers = Producers::default();
        for (offset, (epoch, first, last)) in (0..).step_by(10).zip(history) {
            producers.remember(stamp(*epoch, *first, *last), Offset(offset), offset);
        }
        producers
    }

    #[test]
    fn a_batch_is_judged_by_epoch_and_sequence() {
        let six = [
            (0, 0, 0),
            (0, 1, 2),
            (0, 3, 3),
            (0, 4, 4),
            (0, 5, 5),
            (0, 6, 9),
        ];
        let wrapping = [(0, i32::MAX - 1, i32::MAX - 1)];
        let bumped = [(0, 0, 4), (0, 5, 9), (1, 0, 2)];
        let at_the_end = [(0, 0, i32::MAX)];
        type Case<'a> = (&'a str, &'a [(i16, i32, i32)], (i16, i32, i32), Verdict);
        let cases: [Case<'_>; 20] = [
            ("the next one", &six, (0, 10, 12), Append),
            ("a gap", &six, (0, 11, 12), OUT_OF_ORDER),
            ("the last one again", &six, (0, 6, 9), Duplicate(Offset(50))),
            (
                "the oldest remembered",
                &six,
                (0, 1, 2),
                Duplicate(Offset(10)),
            ),
            ("too old to be remembered", &six, (0, 0, 0), OUT_OF_ORDER),
            ("other boundaries", &six, (0, 3, 4), OUT_OF_ORDER),
            (
                "a shorter batch at the same start",
                &six,
                (0, 6, 8),
                OUT_OF_ORDER,
            ),
            ("overlap with what is new", &six, (0, 9, 12), OUT_OF_ORDER),
            ("a higher epoch from zero", &six, (1, 0, 3), Append),
            (
                "a much higher epoch from zero",
                &six,
                (i16::MAX, 0, 3),
                Append,
            ),
            (
                "a higher epoch that goes on",
                &six,
                (1, 10, 12),
                OUT_OF_ORDER,
            ),
            (
                "a lower epoch",
                &bumped,
                (0, 10, 12),
                Refuse(ErrorCode::INVALID_PRODUCER_EPOCH),
            ),
            (
                "a lower epoch's duplicate",
                &bumped,
                (0, 5, 9),
                Refuse(ErrorCode::INVALID_PRODUCER_EPOCH),
            ),
            (
                "the range of an old epoch",
                &bumped,
                (1, 5, 9),
                OUT_OF_ORDER,
            ),
            ("the new epoch goes on", &bumped, (1, 3, 3), Append),
            (
                "the last number",
                &wrapping,
                (0, i32::MAX, i32::MAX),
                Append,
            ),
            (
                "beyond the last number",
                &wrapping,
                (0, i32::MAX, 3),
                Append,
            ),
            (
                "zero before the last number",
                &wrapping,
                (0, 0, 3),
                OUT_OF_ORDER,
            ),
            ("zero after the last number", &at_the_end, (0, 0, 3), Append),
            (
                "one after the last number",
                &at_the_end,
                (0, 1, 3),
                OUT_OF_ORDER,
            ),
        ];
        for (name, history, (epoch, first, last), verdict) in cases {
            let producers = with_history(history);
            let knowledge = knowing(0, true, UnknownProducers::Accept);
            assert_eq!(
                producers.judge(stamp(epoch, first, last), knowledge),
                verdict,
                "{name}"
            );
        }
    }

    #[test]
    fn a_reloaded_leader_knows_one_batch_of_what_it_reloaded() {
        let producers = with_history(&[(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3)]);
        let cases = [
            // The log ended at 0 when it was reloaded: all four came later.
            (
                0,
                [
                    Duplicate(Offset(0)),
                    Duplicate(Offset(10)),
                    Duplicate(Offset(20)),
                    Duplicate(Offset(30)),
                ],
            ),
            (
                11,
                [
                    OUT_OF_ORDER,
                    Duplicate(Offset(10)),
                    Duplicate(Offset(20)),
                    Duplicate(Offset(30)),
                ],
            ),
            (
                31,
                [
                    OUT_OF_ORDER,
                    OUT_OF_ORDER,
                    OUT_OF_ORDER,
                    Duplicate(Offset(30)),
                ],
            ),
        ];
        for (reloaded_at, verdicts) in cases {
            let knowledge = knowing(reloaded_at, true, UnknownProducers::Accept);
            for (sequence, verdict) in (0..).zip(verdicts) {
                let judged = producers.judge(stamp(0, sequence, sequence), knowledge);
                assert_eq!(
                    judged, verdict,
                    "sequence {sequence}, reloaded at {reloaded_at}"
                );
            }
            assert_eq!(producers.judge(stamp(0, 4, 4), knowledge), Append);
        }
    }

    #[test]
    fn an_unknown_producer_is_judged_by_the_brokers_release() {
        use UnknownProducers::{Accept, AcceptOnUsedLog, Refuse as RefuseAll};
        let cases = [
            (Accept, false, 0, Append),
            (Accept, false, 5, Append),
            (Accept, true, 5, Append),
            (AcceptOnUsedLog, false, 0, Append),
            (AcceptOnUsedLog, false, 5, OUT_OF_ORDER),
            (AcceptOnUsedLog, true, 5, Append),
            (RefuseAll, false, 0, Append),
            (RefuseAll, true, 0, Append),
            (RefuseAll, true, 5, Refuse(ErrorCode::UNKNOWN_PRODUCER_ID)),
        ];
        for (rule, log_was_used, sequence, verdict) in cases {
            let knowledge = knowing(0, log_was_used, rule);
            let judged = Producers::default().judge(stamp(3, sequence, sequence), knowledge);
            assert_eq!(
                judged, verdict,
                "{rule:?}, used: {log_was_used}, sequence {sequence}"
            );
        }
    }

    #[test]
    fn expiry_forgets_everything() {
        let mut producers = with_history(&[(4, 0, 9)]);
        assert_eq!(
            producers.summaries().collect::<Vec<_>>(),
            [ProducerSummary {
                producer_id: ProducerId(7),
                epoch: ProducerEpoch(4),
                last_sequence: 9,
                last_timestamp_ms: 0
            }]
        );
        producers.expire();
        assert_eq!(producers.summaries().count(), 0);
        let knowledge = knowing(0, true, UnknownProducers::Accept);
        assert_eq!(producers.judge(stamp(0, 3, 3), knowledge), Append);
    }
}
