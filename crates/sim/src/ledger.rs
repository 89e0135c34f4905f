//! What callers were told, and what must hold of the counters and of the brokers' logs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use wolff::{Delivery, DeliveryError, PartitionId, ProducerStats, Receipt};
use wolff_testbroker::Cluster;

use crate::trace::Trace;
use crate::world::TOPIC;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Open,
    Acked {
        offset: Option<i64>,
        possibly_duplicated: bool,
    },
    Failed,
    InDoubt,
    Left,
}

/// A call that was accepted.
#[derive(Debug)]
struct Entry {
    partition: i32,
    records: u32,
    end: End,
    /// The process was killed after it, or the queue could not be closed: an acknowledgement may not have
    /// reached the disk, and the next run sends what it finds there. Exactly once needs the resume protocol.
    may_repeat: bool,
}

/// All calls of all runs, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: Arc<Mutex<BTreeMap<u32, Entry>>>,
}

/// The value of a record: the number of its call, and its place in it.
pub(crate) fn value(call: u32, record: u32) -> String {
    format!("{call}.{record}")
}

impl Ledger {
    /// A call was accepted; its end is awaited.
    pub(crate) fn accepted(
        &self,
        call: u32,
        partition: i32,
        records: u32,
        receipt: Receipt,
        trace: &Trace,
    ) {
        let entry = Entry {
            partition,
            records,
            end: End::Open,
            may_repeat: false,
        };
        self.entries.lock().insert(call, entry);
        let (ledger, trace) = (self.clone(), trace.clone());
        drop(tokio::spawn(async move {
            let delivery = receipt.await;
            trace.note(format_args!("call {call} ended: {delivery:?}"));
            if let Some(entry) = ledger.entries.lock().get_mut(&call) {
                entry.end = End::of(&delivery);
            }
        }));
    }

    /// Acknowledgements up to now may not have reached the disk.
    pub(crate) fn acks_may_be_lost(&self) {
        for entry in self.entries.lock().values_mut() {
            entry.may_repeat = true;
        }
    }

    /// Calls that have not ended.
    pub(crate) fn open(&self) -> usize {
        let entries = self.entries.lock();
        entries
            .values()
            .filter(|entry| entry.end == End::Open)
            .count()
    }

    /// What must hold of the counters of a producer, at every moment.
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

    /// What must hold of the logs when everything has been delivered. Returns the records that are there
    /// more often than once, each of them allowed to be.
    pub(crate) fn check_logs(&self, cluster: &Cluster, partitions: i32) -> Result<u64, Violation> {
        let mut duplicates = 0;
        for partition in 0..partitions {
            duplicates += self.check_log(cluster, partition)?;
        }
        Ok(duplicates)
    }

    fn check_log(&self, cluster: &Cluster, partition: i32) -> Result<u64, Violation> {
        let records = cluster.records(TOPIC, partition);
        let records = records.map_err(|error| Violation(error.to_string()))?;
        let mut seen: BTreeMap<(u32, u32), Vec<i64>> = BTreeMap::new();
        let mut last_first = None;
        for record in &records {
            let id = parse(record.value.as_deref().unwrap_or_default()).ok_or_else(|| {
                Violation(format!(
                    "partition {partition} has {record:?}, which nobody sent"
                ))
            })?;
            let places = seen.entry(id).or_default();
            if places.is_empty() {
                // The first time, in the order of acceptance.
                if last_first.is_some_and(|last| last > id) {
                    return Err(Violation(format!(
                        "partition {partition}: {id:?} came after {last_first:?}"
                    )));
                }
                last_first = Some(id);
            }
            places.push(record.offset.0);
        }
        let entries = self.entries.lock();
        for (call, _) in seen.keys() {
            let is_expected = |entry: &Entry| entry.partition == partition;
            if !entries.get(call).is_some_and(is_expected) {
                return Err(Violation(format!(
                    "partition {partition} has call {call}, which was not accepted there"
                )));
            }
        }
        let mut duplicates = 0;
        for (call, entry) in entries
            .iter()
            .filter(|(_, entry)| entry.partition == partition)
        {
            for record in 0..entry.records {
                let places = seen.get(&(*call, record)).map_or(&[][..], Vec::as_slice);
                entry.check(*call, record, places)?;
                duplicates += places.len().saturating_sub(1) as u64;
            }
        }
        Ok(duplicates)
    }
}

impl Entry {
    /// Whether what the caller was told is true, given the offsets of a record.
    fn check(&self, call: u32, record: u32, places: &[i64]) -> Result<(), Violation> {
        let is_true = match &self.end {
            End::Open => false,
            End::Failed => places.is_empty(),
            End::InDoubt => true,
            // It may have been sent before the stop, which the next run does not recognise yet.
            End::Left => !places.is_empty(),
            End::Acked {
                offset,
                possibly_duplicated,
            } => {
                let is_there =
                    offset.is_none_or(|offset| places.contains(&(offset + i64::from(record))));
                is_there
                    && !places.is_empty()
                    && (places.len() == 1 || *possibly_duplicated || self.may_repeat)
            }
        };
        if is_true {
            return Ok(());
        }
        Err(Violation(format!(
            "record {record} of call {call} ended as {:?}, and is at offsets {places:?} of partition {}",
            self.end, self.partition
        )))
    }
}

impl End {
    fn of(delivery: &Delivery) -> Self {
        match delivery {
            Ok(ack) => Self::Acked {
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
    let (call, record) = std::str::from_utf8(value).ok()?.split_once('.')?;
    Some((call.parse().ok()?, record.parse().ok()?))
}

/// The partition of an acknowledgement, to be compared with the one that was asked for.
pub(crate) fn partition_id(partition: i32) -> PartitionId {
    PartitionId(partition)
}
