//! Counts of what was routed late.

use std::sync::atomic::{AtomicU64, Ordering};

use wolff_core::Snapshot;

use crate::stats::ProducerStats;

/// Counts of what was moved: it is accepted twice, and must be counted once.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// This life's records that left the queue of the unrouted.
    pub(super) live: AtomicU64,
    /// An earlier life's, and how they ended.
    pub(super) recovered: AtomicU64,
    pub(super) recovered_acked: AtomicU64,
    pub(super) recovered_failed: AtomicU64,
    /// Accepted by queues of the unrouted that are closed since.
    pub(super) accepted_before: AtomicU64,
}

impl Moved {
    /// Makes sums over the partitions into counts of what the user handed over.
    pub(super) fn correct(&self, stats: &mut ProducerStats, unrouted: Option<&Snapshot>) {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        let (live, recovered) = (read(&self.live), read(&self.recovered));
        let (recovered_acked, recovered_failed) =
            (read(&self.recovered_acked), read(&self.recovered_failed));
        let unrouted_accepted =
            unrouted.map_or(0, |queue| queue.accepted_records) + read(&self.accepted_before);
        stats.accepted = (stats.accepted + unrouted_accepted)
            .saturating_sub(live)
            .saturating_sub(recovered);
        stats.acked = stats.acked.saturating_sub(recovered_acked);
        stats.failed = stats.failed.saturating_sub(recovered_failed);
        stats.replayed += recovered_acked;
        stats.replay_failed += recovered_failed;
        if let Some(queue) = unrouted {
            stats.unrouted = unrouted_accepted.saturating_sub(live);
            stats.recovered_items += queue.recovered_items;
            stats.queued_bytes += queue.held_bytes;
            stats.failed += queue.failed_records;
        }
    }
}
