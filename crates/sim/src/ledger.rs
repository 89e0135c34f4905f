//! Ends that callers were told, and what must hold of the counters and of the brokers' logs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use wolff::{Delivery, DeliveryError, Leftover, PartitionId, ProducerStats, Receipt};
use wolff_testbroker::Cluster;

use crate::trace::Trace;
use crate::world::TOPIC;

/// A promise that was broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// The end of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
enum End {
    Open,
    Acked {
        partition: i32,
        offset: Option<i64>,
        possibly_duplicated: bool,
    },
    Failed,
    InDoubt,
    Left,
}

/// Scope in which calls keep their order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stream {
    /// Calls that name a partition.
    Partition(i32),
    /// Calls with a key, which lead to a partition as long as their number stays the same.
    Key(u64),
}

/// A call that was accepted.
#[derive(Debug)]
struct Entry {
    stream: Stream,
    records: u32,
    end: End,
}

/// All calls of all runs, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: Arc<Mutex<BTreeMap<u32, Entry>>>,
}

/// The value of a record: the number of its call, its place in it, and so many bytes more.
pub(crate) fn value(call: u32, record: u32, longer: usize) -> String {
    format!("{call}.{record}:{:longer$}", "")
}

impl Ledger {
    /// A call was accepted; its end is awaited.
    pub(crate) fn accepted(
        &self,
        call: u32,
        stream: Stream,
        records: u32,
        receipt: Receipt,
        trace: &Trace,
    ) {
        self.insert(call, stream, records, End::Open);
        let (ledger, trace) = (self.clone(), trace.clone());
        drop(tokio::spawn(async move {
            let delivery = receipt.await;
            trace.note(format_args!("call {call} ended: {delivery:?}"));
            if let Some(entry) = ledger.entries.lock().get_mut(&call) {
                entry.end = End::of(&delivery);
            }
        }));
    }

    /// A call may be in the queue, or not.
    pub(crate) fn in_doubt(&self, call: u32, stream: Stream, records: u32) {
        self.insert(call, stream, records, End::InDoubt);
    }

    fn insert(&self, call: u32, stream: Stream, records: u32, end: End) {
        let entry = Entry {
            stream,
            records,
            end,
        };
        self.entries.lock().insert(call, entry);
    }

    /// Calls that have not ended.
    pub(crate) fn open(&self) -> usize {
        let entries = self.entries.lock();
        entries
            .values()
            .filter(|entry| entry.end == End::Open)
            .count()
    }

    /// Checks what must hold of the counters of a producer, at every moment.
    pub(crate) fn check_counters(&self, stats: &ProducerStats) -> Result<(), Violation> {
        let sum = stats.acked + stats.failed + stats.in_doubt + stats.left + stats.queued;
        if stats.accepted != sum {
            return Err(Violation(format!(
                "{} records accepted, but {sum} are accounted for: {stats:?}",
                stats.accepted
            )));
        }
        Ok(())
    }

    /// Checks that what a stop says is left of the calls of its run is what their callers were
    /// told.
    pub(crate) fn check_left(&self, first_call: u32, left: &Leftover) -> Result<(), Violation> {
        let entries = self.entries.lock();
        let told: u64 = (entries.range(first_call..))
            .filter(|(_, entry)| entry.end == End::Left)
            .map(|(_, entry)| u64::from(entry.records))
            .sum();
        if told == left.in_queue {
            return Ok(());
        }
        Err(Violation(format!(
            "callers of {told} records were told that they are left in the queue, the stop says {left:?}"
        )))
    }

    /// Checks what must hold of the logs when everything has been delivered. Returns how many
    /// records are there more often than once, each of them allowed to be.
    pub(crate) fn check_logs(
        &self,
        cluster: &Cluster,
        partitions: i32,
        rules: Rules,
        trace: &Trace,
    ) -> Result<u64, Violation> {
        let entries = self.entries.lock();
        let mut seen = BTreeMap::new();
        for partition in 0..partitions {
            read_log(&entries, cluster, partition, &mut seen)?;
        }
        let (mut duplicates, mut lost) = (0, 0_u64);
        for (call, entry) in &*entries {
            for record in 0..entry.records {
                let places = seen.get(&(*call, record)).map_or(&[][..], Vec::as_slice);
                if places.is_empty() && entry.end == End::Left {
                    lost += 1;
                }
                entry.check(*call, record, places, rules)?;
                if places.len() > 1 {
                    trace.note(format_args!(
                        "record {record} of call {call} is at {places:?}"
                    ));
                    duplicates += 1;
                }
            }
        }
        if lost > 0 && rules.damaged == 0 {
            return Err(Violation(format!(
                "{lost} records were left in the queue and are not there, none is counted as damaged"
            )));
        }
        Ok(duplicates)
    }
}

/// Records that may be there otherwise than once each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Records may be there again, if they are counted.
    pub(crate) may_duplicate: bool,
    /// Records that are counted as damaged. Where some are, others that were left in the queue may
    /// be missing: of an item with no neighbour nobody knows how many it had.
    pub(crate) damaged: u64,
}

/// Place of a record: partition and offset.
type Place = (i32, i64);

/// Reads a partition's log: only accepted calls are there, where they belong, and each stream's
/// records are there for the first time in the order of acceptance.
fn read_log(
    entries: &BTreeMap<u32, Entry>,
    cluster: &Cluster,
    partition: i32,
    seen: &mut BTreeMap<(u32, u32), Vec<Place>>,
) -> Result<(), Violation> {
    let records = cluster.records(TOPIC, partition);
    let records = records.map_err(|error| Violation(error.to_string()))?;
    let mut last_first: BTreeMap<Stream, (u32, u32)> = BTreeMap::new();
    for record in &records {
        let id = parse(record.value.as_deref().unwrap_or_default());
        let entry = id.and_then(|id| Some((id, entries.get(&id.0)?)));
        let Some((id, entry)) = entry else {
            return Err(Violation(format!(
                "partition {partition} has {record:?}, which was not accepted"
            )));
        };
        if matches!(entry.stream, Stream::Partition(named) if named != partition) {
            return Err(Violation(format!(
                "partition {partition} has {id:?}, which was accepted for {:?}",
                entry.stream
            )));
        }
        let places = seen.entry(id).or_default();
        if places.is_empty() {
            let last = last_first.insert(entry.stream, id);
            if last.is_some_and(|last| last > id) {
                return Err(Violation(format!(
                    "partition {partition}: {id:?} came after {last:?} of {:?}",
                    entry.stream
                )));
            }
        }
        places.push((partition, record.offset.0));
    }
    Ok(())
}

impl Entry {
    /// Checks what the caller was told, given the places of a record.
    fn check(
        &self,
        call: u32,
        record: u32,
        places: &[Place],
        rules: Rules,
    ) -> Result<(), Violation> {
        let may_duplicate = rules.may_duplicate;
        let is_true = match &self.end {
            End::Open => false,
            End::Failed => places.is_empty(),
            End::InDoubt => true,
            // The next run sends it under the numbers that it had.
            End::Left => match places.len() {
                0 => rules.damaged > 0,
                1 => true,
                _ => may_duplicate,
            },
            End::Acked {
                partition,
                offset,
                possibly_duplicated,
            } => {
                let is_there = |place: &Place| {
                    let (there, at) = *place;
                    there == *partition
                        && offset.is_none_or(|offset| at == offset + i64::from(record))
                };
                let is_once = places.len() == 1 || *possibly_duplicated || may_duplicate;
                places.iter().any(is_there) && is_once
            }
        };
        if is_true {
            return Ok(());
        }
        Err(Violation(format!(
            "record {record} of call {call} to {:?} ended as {:?}, and is at {places:?}",
            self.stream, self.end
        )))
    }
}

impl End {
    fn of(delivery: &Delivery) -> Self {
        match delivery {
            Ok(ack) => Self::Acked {
                partition: ack.partition.0,
                offset: ack.offset.map(|offset| offset.0),
                possibly_duplicated: ack.possibly_duplicated,
            },
            Err(DeliveryError::LeftInQueue) => Self::Left,
            Err(DeliveryError::InDoubt(_)) => Self::InDoubt,
            Err(_) => Self::Failed,
        }
    }
}

fn parse(value: &[u8]) -> Option<(u32, u32)> {
    let (numbers, _longer) = std::str::from_utf8(value).ok()?.split_once(':')?;
    let (call, record) = numbers.split_once('.')?;
    Some((call.parse().ok()?, record.parse().ok()?))
}

/// The id of a partition by number.
pub(crate) fn partition_id(partition: i32) -> PartitionId {
    PartitionId(partition)
}
