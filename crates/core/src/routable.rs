//! Leased records of the unrouted queue that can be routed, what was decided about them, and their
//! ends.

use std::time::Instant;

use wolff_codec::PartitionId;

use crate::action::{LeaseNo, Origin};
use crate::batch::BatchBody;
use crate::outcome::Outcome;
use crate::routing_tag::RecordSet;

/// A leased batch whose records can be routed.
#[derive(Debug)]
pub struct Routable<T> {
    /// Its lease, to be named with each end.
    pub lease: LeaseNo,
    /// Origin of the records: this run, or a previous one.
    pub origin: Origin<T>,
    /// The records, and where they begin within the batch that the origin stands for.
    pub pieces: Vec<(u32, BatchBody)>,
    /// Records to route.
    pub part: RoutedPart,
    /// A previous run has perhaps sent them.
    pub was_sent: bool,
}

impl<T> Routable<T> {
    /// First record and count of each call that is to be routed.
    pub(crate) fn calls(&self) -> Vec<(u32, u32)> {
        let done = match &self.part {
            RoutedPart::AllBut(done) => done,
            RoutedPart::Deferred(calls) => {
                return calls
                    .iter()
                    .map(|call| (call.first_record, call.records))
                    .collect();
            }
        };
        let mut calls = Vec::new();
        for (first_record, body) in &self.pieces {
            let mut at = *first_record;
            for records in body.call_boundaries().sizes() {
                if !done.contains(at) {
                    calls.push((at, records));
                }
                at = at.saturating_add(records);
            }
        }
        calls
    }
}

/// A call of a leased batch, and the partition that was chosen for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoutedCall {
    /// Its first record within the batch.
    pub first_record: u32,
    /// Records in it.
    pub records: u32,
    /// The partition.
    pub partition: PartitionId,
}

/// The calls of a leased batch that are to be routed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RoutedPart {
    /// All but the calls of these records, which have ended in a previous run.
    AllBut(RecordSet),
    /// These, for which a partition was chosen before; in the order of the batch.
    Deferred(Vec<RoutedCall>),
}

/// The end of records that were routed.
#[derive(Debug)]
pub struct RoutedEnd<'a> {
    /// Their lease.
    pub lease: LeaseNo,
    /// The partition that had them, and the present time; `None`: no partition had them.
    pub at: Option<(PartitionId, Instant)>,
    /// First record and count of each run, within the batch of the lease.
    pub records: &'a [(u32, u32)],
    /// Calls in these runs.
    pub calls: u64,
    /// Their end.
    pub outcome: &'a Outcome,
    /// Of what is left: it was perhaps sent.
    pub was_sent: bool,
}
