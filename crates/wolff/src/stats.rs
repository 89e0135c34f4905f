//! Counts of a producer.

use wolff_core::Snapshot;

use crate::failures::FailureCount;

/// Counts over all partitions of a producer, at one moment. `accepted = acked + failed + queued` holds for this life's
/// records, once nothing moves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records that calls handed over.
    pub accepted: u64,
    /// Of those: Kafka has them.
    pub acked: u64,
    /// Of those: given up.
    pub failed: u64,
    /// Records that an earlier life left on disk and that Kafka has now.
    pub replayed: u64,
    /// Records that an earlier life left on disk and that were given up.
    pub replay_failed: u64,
    /// This life's records that are accepted and neither acked nor failed; those in flight are among them.
    pub queued: u64,
    /// Records on their way to Kafka.
    pub in_flight: u64,
    /// Queue items (frames of one or more records) that an earlier life left and that are not leased yet.
    pub recovered_items: u64,
    /// Encoded bytes of the records that are accepted and not finished.
    pub queued_bytes: u64,
    /// Produce requests that were sent again.
    pub retried_batches: u64,
    /// Records that may be in Kafka twice.
    pub possibly_duplicated: u64,
    /// Partitions with a link to their leader.
    pub connected_partitions: usize,
    /// Partitions that the producer has queues for.
    pub partitions: usize,
    /// Records that wait for the topic's partitions to become known; they are among the queued ones.
    pub unrouted: u64,
    /// Callbacks that panicked. Their calls have ended as they would have otherwise.
    pub callback_panics: u64,
    /// Records that ended without an acknowledgement, by reason.
    pub failures: Vec<FailureCount>,
}

impl ProducerStats {
    pub(crate) fn add(&mut self, partition: &Snapshot) {
        self.accepted += partition.accepted_records;
        self.acked += partition.acked_records;
        self.failed += partition.failed_records;
        self.replayed += partition.replayed_records;
        self.replay_failed += partition.replay_failed_records;
        self.in_flight += partition.in_flight_records;
        self.recovered_items += partition.recovered_items;
        self.queued_bytes += partition.held_bytes;
        self.retried_batches += partition.retried_batches;
        self.possibly_duplicated += partition.possibly_duplicated_records;
        self.connected_partitions += usize::from(partition.is_connected);
        self.partitions += 1;
    }

    /// The same for a queue that is another partition's only for a while.
    pub(crate) fn add_transit(&mut self, transit: &Snapshot) {
        let partitions = self.partitions;
        self.add(transit);
        self.partitions = partitions;
    }
}
