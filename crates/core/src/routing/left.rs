//! Records left to deliver, by partition, and how they are given up.

use std::time::Instant;

use wolff_codec::PartitionId;

use super::Routing;
use crate::action::{LeaseNo, Origin};
use crate::deferred::DeferredCalls;

/// Calls of a lease that were deferred.
#[derive(Debug)]
pub(crate) struct DeferredOfLease<T> {
    pub(crate) lease: LeaseNo,
    pub(crate) origin: Origin<T>,
    /// First record and count of each.
    pub(crate) calls: Vec<(u32, u32)>,
}

impl<T: Clone> Routing<T> {
    /// Takes out all that was deferred.
    pub(crate) fn drain_deferred(&mut self) -> Vec<DeferredOfLease<T>> {
        self.ready.clear();
        self.reloading.clear();
        for lane in self.lanes.values_mut() {
            lane.deferred.clear();
        }
        let mut drained = Vec::new();
        for (lease, delivery) in &mut self.leases {
            let deferred = std::mem::take(&mut delivery.deferred);
            if deferred.is_empty() {
                continue;
            }
            let notes: usize = deferred.values().map(DeferredCalls::byte_count).sum();
            self.notes_bytes = self.notes_bytes.saturating_sub(notes);
            let mut calls: Vec<(u32, u32)> =
                deferred.values().flat_map(DeferredCalls::iter).collect();
            calls.sort_unstable();
            drained.push(DeferredOfLease {
                lease: *lease,
                origin: delivery.origin.clone(),
                calls,
            });
        }
        drained
    }

    /// Partitions for which calls wait in their leases.
    pub(crate) fn deferring(&self) -> Vec<PartitionId> {
        let lanes = self.lanes.iter();
        lanes
            .filter(|(_, lane)| !lane.deferred.is_empty())
            .map(|(partition, _)| *partition)
            .collect()
    }

    /// Partitions that do not take what they get.
    pub(crate) fn blocked(&self, now: Instant) -> Vec<PartitionId> {
        let lanes = self.lanes.iter();
        lanes
            .filter(|(_, lane)| lane.is_blocked(now))
            .map(|(partition, _)| *partition)
            .collect()
    }

    /// Partitions that have records that have not ended.
    pub(crate) fn outstanding(&self) -> Vec<PartitionId> {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.bytes > 0);
        lanes.map(|(partition, _)| *partition).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Returns whether a previous run's records are being delivered.
    pub(crate) fn has_previous_run(&self) -> bool {
        let mut leases = self.leases.values();
        leases.any(|delivery| matches!(delivery.origin, Origin::PreviousRun))
    }
}
