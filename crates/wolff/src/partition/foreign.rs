//! Records of the unrouted queue that a partition delivers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use wolff_codec::{Offset, PartitionId};
use wolff_core::{
    DoubtReason, EndedLease, FailReason, LeaseNo, Origin, Outcome, RoutedEnd, Ticket,
};

use super::Token;
use crate::clock;
use crate::completion::Called;

/// The queue that foreign records come from.
pub(crate) trait ForeignSource: fmt::Debug + Send + Sync {
    /// Records of a lease came to their end. Returns the lease if it ends with them.
    fn ended(&self, end: &RoutedEnd<'_>) -> Option<EndedLease>;

    /// Returns whether records that were not delivered are sent by the next run.
    fn is_durable(&self) -> bool;

    /// The ends of a lease's records were reported: its items leave the queue.
    fn reported(self: Arc<Self>, lease: EndedLease);
}

/// Calls that follow one another in their source as well as in the partition's batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SourceRun {
    /// First record within the source's batch.
    pub(crate) first_record: u32,
    /// Calls in the run.
    pub(crate) calls: u32,
    /// Records of each call.
    pub(crate) call_records: u32,
}

impl SourceRun {
    pub(crate) fn records(self) -> u32 {
        self.calls.saturating_mul(self.call_records)
    }

    /// Both runs as one, if the second continues the first.
    pub(crate) fn extended(self, next: Self) -> Option<Self> {
        let continues = self.first_record.saturating_add(self.records()) == next.first_record
            && self.call_records == next.call_records;
        continues.then(|| Self {
            calls: self.calls.saturating_add(next.calls),
            ..self
        })
    }
}

/// The part of a partition's batch that came from one lease.
#[derive(Debug)]
pub(crate) struct ForeignPart {
    pub(crate) lease: LeaseNo,
    pub(crate) origin: Origin<Token>,
    pub(crate) runs: Vec<SourceRun>,
}

/// Where the records of a batch for a partition came from.
#[derive(Debug)]
pub(crate) struct ForeignBatch {
    source: Arc<dyn ForeignSource>,
    parts: Vec<ForeignPart>,
    /// Records that have not ended.
    left: u32,
}

impl ForeignBatch {
    pub(crate) fn new(source: Arc<dyn ForeignSource>, parts: Vec<ForeignPart>) -> Self {
        let runs = parts.iter().flat_map(|part| &part.runs);
        let left = runs.fold(0u32, |sum, run| sum.saturating_add(run.records()));
        Self {
            source,
            parts,
            left,
        }
    }
}

/// The tickets of a partition.
#[derive(Debug, Default)]
pub(super) struct ForeignBatches {
    next: u64,
    open: HashMap<Ticket, ForeignBatch>,
}

/// A lease of the unrouted queue that ended.
#[derive(Debug)]
pub(super) struct SourceLease {
    source: Arc<dyn ForeignSource>,
    lease: EndedLease,
}

impl SourceLease {
    /// The ends were reported: the items leave the unrouted queue.
    pub(super) fn reported(self) {
        self.source.reported(self.lease);
    }
}

/// The ends of records of a ticket: callbacks to be called, and leases that end with them.
pub(super) type ForeignEnd = (Called, Vec<SourceLease>);

impl ForeignBatches {
    pub(super) fn add(&mut self, batch: ForeignBatch) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.open.insert(ticket, batch);
        ticket
    }

    /// Records of a ticket ended.
    pub(super) fn end(
        &mut self,
        ticket: Ticket,
        partition: Option<PartitionId>,
        (first_record, records): (u32, u32),
        outcome: &Outcome,
    ) -> ForeignEnd {
        let mut called = Called::new();
        let mut leases = Vec::new();
        let Some(batch) = self.open.get_mut(&ticket) else {
            return (called, leases);
        };
        let was_sent = matches!(outcome, Outcome::InDoubt(_));
        let outcome = &kept(outcome, batch.source.is_durable());
        let end = first_record.saturating_add(records);
        let mut at = 0u32;
        for part in &batch.parts {
            let (mut part_records, mut part_calls) = (Vec::new(), 0u64);
            for run in &part.runs {
                // Batches are cut between calls: the bounds are between calls of the run.
                let start = at.max(first_record);
                let stop = at.saturating_add(run.records()).min(end);
                if start < stop {
                    let count = stop.saturating_sub(start);
                    let first = run.first_record.saturating_add(start.saturating_sub(at));
                    part_records.push((first, count));
                    part_calls += u64::from(count / run.call_records.max(1));
                    if let Origin::ThisRun(token) = &part.origin {
                        let outcome = shifted(outcome, start.saturating_sub(first_record));
                        // What observes a call of another queue is not counted there.
                        let (callbacks, _) = token.complete_in(partition, first, count, &outcome);
                        called.extend(callbacks);
                    }
                }
                at = at.saturating_add(run.records());
            }
            if !part_records.is_empty() {
                let ended = batch.source.ended(&RoutedEnd {
                    lease: part.lease,
                    at: partition.map(|partition| (partition, clock::now())),
                    records: &part_records,
                    calls: part_calls,
                    outcome,
                    was_sent,
                });
                leases.extend(ended.map(|lease| SourceLease {
                    source: batch.source.clone(),
                    lease,
                }));
            }
        }
        batch.left = batch.left.saturating_sub(records);
        if batch.left == 0 {
            self.open.remove(&ticket);
        }
        (called, leases)
    }
}

/// The end of records that a partition gave up without Kafka's word: a source on disk still has
/// them, also where the partition that was to deliver them had its queue in memory.
fn kept(outcome: &Outcome, is_durable: bool) -> Outcome {
    let is_given_up = matches!(
        outcome,
        Outcome::Failed(FailReason::Stopped | FailReason::WorkerCrashed)
            | Outcome::InDoubt(
                DoubtReason::Stopped | DoubtReason::Dropped | DoubtReason::WorkerCrashed
            )
    );
    if is_given_up && is_durable {
        Outcome::LeftInQueue
    } else {
        outcome.clone()
    }
}

/// The outcome of records that follow the first ones by `distance`.
fn shifted(outcome: &Outcome, distance: u32) -> Outcome {
    match outcome {
        Outcome::Acked {
            base_offset,
            possibly_duplicated,
        } => Outcome::Acked {
            base_offset: base_offset.map(|base| Offset(base.0.saturating_add(i64::from(distance)))),
            possibly_duplicated: *possibly_duplicated,
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_on_disk_keeps_what_was_given_up_and_nothing_that_a_broker_refused() {
        let stopped = Outcome::Failed(FailReason::Stopped);
        let in_doubt = Outcome::InDoubt(DoubtReason::Dropped);
        assert_eq!(kept(&stopped, true), Outcome::LeftInQueue);
        assert_eq!(kept(&in_doubt, true), Outcome::LeftInQueue);
        assert_eq!(kept(&stopped, false), stopped);
        assert_eq!(kept(&in_doubt, false), in_doubt);
        let refused = Outcome::Failed(FailReason::QueueDamaged);
        assert_eq!(kept(&refused, true), refused);
        assert_eq!(kept(&Outcome::acked(None), true), Outcome::acked(None));
    }
}
