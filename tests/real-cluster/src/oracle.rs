//! The judge of a log: which of the numbered records are there, how often, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::record::Place;

/// Findings in the log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Records that an outside process knew to be accepted.
    pub accepted: u64,
    /// Different records of the log.
    pub records: u64,
    /// Of those: accepted, but killed before anybody could be told.
    pub unreported: u64,
    /// Records that are there more than once.
    pub repeated: u64,
    /// Their copies beyond the first.
    pub copies: u64,
    /// Records whose first copy is behind one that was accepted later.
    pub out_of_order: u64,
    /// Records that are missing: reported as accepted, or before one that is there.
    pub missing: u64,
    /// Messages that are no record of ours, or in the wrong partition.
    pub unknown: u64,
    /// Some of the records of the last four kinds.
    pub examples: Vec<String>,
}

/// Examples that are kept.
const EXAMPLES: usize = 10;

impl Verdict {
    /// Returns whether each record that was accepted is there, and in order; copies may be there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.out_of_order == 0 && self.unknown == 0
    }

    /// Returns whether each record that was accepted is there once and in order.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_complete() && self.copies == 0
    }

    fn example(&mut self, what: &str, place: impl fmt::Debug) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{what}: {place:?}"));
        }
    }
}

/// Reads a log, and knows what must be in it.
#[derive(Debug, Default)]
pub struct Oracle {
    partitions: BTreeMap<i32, Partition>,
    verdict: Verdict,
}

/// Knowledge of one partition.
#[derive(Debug, Default)]
struct Partition {
    /// Of each run, the number after the highest one in the log.
    ends: BTreeMap<u32, u64>,
    /// Below those, the ones that were not there yet.
    holes: BTreeSet<Place>,
    repeated: BTreeSet<Place>,
    /// Of each run, how many were reported as accepted.
    accepted: BTreeMap<u32, u64>,
}

impl Oracle {
    /// The first `count` records of a run and partition are known to be accepted.
    pub fn accepted(&mut self, run: u32, partition: i32, count: u64) {
        let known = self.partitions.entry(partition).or_default();
        known.accepted.insert(run, count);
    }

    /// Takes the next message of a partition into account.
    pub fn message(&mut self, partition: i32, value: &[u8]) {
        let place = Place::from_value(value).filter(|place| place.partition == partition);
        let Some(place) = place else {
            self.verdict.unknown += 1;
            let start = value.get(..40).unwrap_or(value);
            let shown = String::from_utf8_lossy(start).into_owned();
            self.verdict.example("unknown", (partition, shown));
            return;
        };
        let known = self.partitions.entry(partition).or_default();
        let is_late = known.ends.keys().any(|run| *run > place.run);
        let end = known.ends.entry(place.run).or_default();
        let is_first = if place.number >= *end {
            let between = (*end..place.number).map(|number| Place { number, ..place });
            known.holes.extend(between);
            *end = place.number + 1;
            if is_late {
                self.verdict.out_of_order += 1;
                self.verdict.example("out of order", place);
            }
            true
        } else if known.holes.remove(&place) {
            self.verdict.out_of_order += 1;
            self.verdict.example("out of order", place);
            true
        } else {
            self.verdict.copies += 1;
            self.verdict.example("repeated", place);
            self.verdict.repeated += u64::from(known.repeated.insert(place));
            false
        };
        self.verdict.records += u64::from(is_first);
    }

    /// The verdict on all that was read.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.verdict.clone();
        for (partition, known) in &self.partitions {
            for place in &known.holes {
                verdict.missing += 1;
                verdict.example("missing", place);
            }
            for (run, accepted) in &known.accepted {
                verdict.accepted += accepted;
                let end = known.ends.get(run).copied().unwrap_or_default();
                if end < *accepted {
                    verdict.missing += accepted - end;
                    let place = Place {
                        run: *run,
                        partition: *partition,
                        number: end,
                    };
                    verdict.example("missing from here on", place);
                }
            }
            for (run, end) in &known.ends {
                let accepted = known.accepted.get(run).copied().unwrap_or_default();
                verdict.unreported += end.saturating_sub(accepted);
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of partition 0: runs and numbers.
    fn judge(log: &[(u32, u64)], accepted: &[(u32, u64)]) -> Verdict {
        let mut oracle = Oracle::default();
        for (run, number) in log {
            let place = Place {
                run: *run,
                partition: 0,
                number: *number,
            };
            oracle.message(0, place.to_value().as_bytes());
        }
        for (run, count) in accepted {
            oracle.accepted(*run, 0, *count);
        }
        oracle.verdict()
    }

    #[test]
    fn each_record_once_and_in_order_is_exact() {
        let verdict = judge(&[(0, 0), (0, 1), (1, 0), (1, 1)], &[(0, 2), (1, 1)]);
        assert!(verdict.is_exact(), "{verdict:?}");
        assert_eq!((verdict.accepted, verdict.records), (3, 4));
        assert_eq!(verdict.unreported, 1);
    }

    #[test]
    fn a_record_that_was_accepted_and_is_not_there_is_missing() {
        assert_eq!(judge(&[(0, 0)], &[(0, 3)]).missing, 2);
        assert_eq!(judge(&[], &[(0, 3), (1, 1)]).missing, 4);
        assert_eq!(judge(&[(0, 0), (1, 0)], &[(0, 2), (1, 1)]).missing, 1);
        // Never reported, but the next one is there.
        assert_eq!(judge(&[(0, 0), (0, 2)], &[]).missing, 1);
        assert_eq!(judge(&[(1, 1)], &[]).missing, 1);
    }

    #[test]
    fn copies_are_counted_and_are_not_out_of_order() {
        let log = [(0, 0), (0, 1), (0, 0), (0, 1), (0, 1), (1, 0), (0, 1)];
        let verdict = judge(&log, &[(0, 2), (1, 1)]);
        assert!(verdict.is_complete() && !verdict.is_exact());
        assert_eq!((verdict.repeated, verdict.copies), (2, 4));
        assert_eq!((verdict.records, verdict.missing), (3, 0));
    }

    #[test]
    fn order_is_that_of_first_copies() {
        let verdict = judge(&[(0, 1), (0, 0)], &[(0, 2)]);
        assert_eq!((verdict.out_of_order, verdict.missing), (1, 0));
        let verdict = judge(&[(0, 0), (1, 0), (0, 1)], &[(0, 2), (1, 1)]);
        assert_eq!((verdict.out_of_order, verdict.missing), (1, 0));
        assert!(!verdict.is_complete());
    }

    #[test]
    fn whatever_is_not_ours_is_unknown() {
        let mut oracle = Oracle::default();
        let place = Place {
            run: 0,
            partition: 1,
            number: 0,
        };
        oracle.message(0, place.to_value().as_bytes());
        oracle.message(0, b"");
        assert_eq!(oracle.verdict().unknown, 2);
    }
}
