//! Content of the topic, counted against what should be there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::workload;

/// Counts of one partition, or of all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(super) struct Counts {
    /// Records in the log.
    pub(super) records: u64,
    /// Different records of the workload among them, unaltered.
    pub(super) arrived: u64,
    /// Records that were there before.
    pub(super) duplicates: u64,
    /// Records that appear for the first time behind one that was produced later, or in two
    /// partitions.
    pub(super) out_of_order: u64,
    /// Records that are not what was produced.
    pub(super) altered: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.arrived += other.arrived;
        self.duplicates += other.duplicates;
        self.out_of_order += other.out_of_order;
        self.altered += other.altered;
    }
}

/// Takes the records of each partition, in their order.
#[derive(Debug)]
pub(super) struct Tally {
    seen: Vec<bool>,
    partition_of_key: BTreeMap<u64, i32>,
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    counts: Counts,
    latest: Option<u64>,
}

impl Tally {
    /// Of a workload of so many records.
    pub(super) fn new(records: u64) -> Self {
        Self {
            seen: vec![false; usize::try_from(records).unwrap_or(usize::MAX)],
            partition_of_key: BTreeMap::new(),
            partitions: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) {
        let state = self.partitions.entry(partition).or_default();
        state.counts.records += 1;
        let number = value.and_then(workload::number).filter(|number| {
            value == Some(workload::value(*number).as_bytes())
                && key == Some(workload::key(*number).as_bytes())
        });
        let place = number.and_then(|number| Some((number, usize::try_from(number).ok()?)));
        let Some((number, seen)) =
            place.and_then(|(number, at)| Some((number, self.seen.get_mut(at)?)))
        else {
            state.counts.altered += 1;
            return;
        };
        let home = self.partition_of_key.entry(number % workload::KEYS);
        let is_elsewhere = *home.or_insert(partition) != partition;
        let is_first = !std::mem::replace(seen, true);
        let is_late = is_first && state.latest.is_some_and(|latest| number < latest);
        state.counts.arrived += u64::from(is_first);
        state.counts.duplicates += u64::from(!is_first);
        state.counts.out_of_order += u64::from(is_late || is_elsewhere);
        state.latest = state.latest.max(Some(number));
    }

    /// Number of the first `count` records that are nowhere.
    pub(super) fn missing_of(&self, count: u64) -> u64 {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let missing = self.seen.iter().take(count).filter(|seen| !**seen).count();
        u64::try_from(missing).unwrap_or(u64::MAX)
    }

    /// By partition.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (i32, &Counts)> {
        self.partitions
            .iter()
            .map(|(partition, state)| (*partition, &state.counts))
    }

    /// Of all partitions together.
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.partitions
            .values()
            .for_each(|partition| total.add(&partition.counts));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(records: u64, arrivals: &[(i32, u64)]) -> Tally {
        let mut tally = Tally::new(records);
        for (partition, number) in arrivals {
            let (key, value) = (workload::key(*number), workload::value(*number));
            tally.take(*partition, Some(key.as_bytes()), Some(value.as_bytes()));
        }
        tally
    }

    #[test]
    fn all_there_in_order_is_fine() {
        let tally = tally(4, &[(0, 0), (1, 1), (0, 2), (1, 3)]);
        assert_eq!(
            tally.total(),
            Counts {
                records: 4,
                arrived: 4,
                ..Counts::default()
            }
        );
        assert_eq!(tally.missing_of(4), 0);
    }

    #[test]
    fn what_is_missing_is_counted() {
        let tally = tally(4, &[(0, 0), (0, 3)]);
        assert_eq!(
            (
                tally.missing_of(4),
                tally.missing_of(1),
                tally.missing_of(2)
            ),
            (2, 0, 1)
        );
    }

    #[test]
    fn a_repetition_is_a_duplicate_and_not_out_of_order() {
        let total = tally(3, &[(0, 0), (0, 1), (0, 0), (0, 1), (0, 2)]).total();
        assert_eq!(
            total,
            Counts {
                records: 5,
                arrived: 3,
                duplicates: 2,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn a_first_appearance_behind_a_later_record_is_out_of_order() {
        assert_eq!(tally(3, &[(0, 1), (0, 0), (0, 2)]).total().out_of_order, 1);
        assert_eq!(
            tally(50, &[(0, 0), (1, 24)]).total().out_of_order,
            1,
            "one key, two partitions"
        );
    }

    #[test]
    fn anything_changed_is_altered() {
        let mut tally = Tally::new(2);
        let (key, value) = (workload::key(0), workload::value(0));
        let changed = value.replace(' ', "_");
        tally.take(0, Some(key.as_bytes()), Some(changed.as_bytes()));
        tally.take(0, Some(b"key-01"), Some(value.as_bytes()));
        tally.take(0, None, Some(value.as_bytes()));
        tally.take(0, Some(key.as_bytes()), None);
        let beyond = (workload::key(2), workload::value(2));
        tally.take(0, Some(beyond.0.as_bytes()), Some(beyond.1.as_bytes()));
        assert_eq!(
            tally.total(),
            Counts {
                records: 5,
                altered: 5,
                ..Counts::default()
            }
        );
        assert_eq!(tally.missing_of(2), 2);
    }
}
