//! Counts of a producer.

use wolff_codec::PartitionId;
use wolff_core::{Refusal, Replay, Snapshot, Tally};

use crate::failures::FailureCount;

/// Counts over all partitions of a producer, at one moment.
/// `accepted = acked + failed + in_doubt + left + queued` holds for this run's records, and in
/// [`calls`](Self::calls) for its calls.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records that calls handed over.
    pub accepted: u64,
    /// Of those: Kafka has them.
    pub acked: u64,
    /// Of those: given up.
    pub failed: u64,
    /// Calls of this run, by what became of them.
    pub calls: Tally,
    /// Records that previous runs left on disk and that Kafka has now.
    pub replayed: u64,
    /// Records that previous runs left on disk and that were given up.
    pub replay_failed: u64,
    /// This run's records that are accepted and have not ended; those in flight are among them.
    pub queued: u64,
    /// Of the accepted ones: sent, and nobody can say whether Kafka has them.
    pub in_doubt: u64,
    /// Of the accepted ones: in the queue on disk for the next run.
    pub left: u64,
    /// Records sent and not answered yet.
    pub in_flight: u64,
    /// Queue items (fragments of one or more records) that previous runs left and that are not
    /// leased yet.
    pub recovered_items: u64,
    /// Encoded bytes of the records that are accepted and not finished.
    pub queued_bytes: u64,
    /// Produce requests that were sent again.
    pub retried_batches: u64,
    /// Records that may be in Kafka twice.
    pub possibly_duplicated: u64,
    /// Records that a previous run left in doubt, and that are sent under the sequence numbers
    /// that they had: the broker recognises those that it has.
    pub resumed: u64,
    /// Number of times that the cluster turned out to have lost what it had acknowledged, or took a
    /// batch for another one. What is concerned is sent again and counted as possibly duplicated.
    pub broker_data_loss: u64,
    /// Partitions to which nothing is sent, since the cluster is not the one that has what a
    /// previous run left in doubt.
    pub other_cluster_partitions: usize,
    /// Records of any run that a local queue lost to damage, as far as they can be counted.
    pub damaged_records: u64,
    /// Damaged places that were found in the files of local queues.
    pub damages: u64,
    /// Queue items on disk that another version has written: they are kept, and nothing behind them
    /// is sent.
    pub unknown_items: u64,
    /// Partitions with a link to their leader.
    pub connected_partitions: usize,
    /// Partitions that the producer has queues for.
    pub partitions: usize,
    /// Records that wait for the topic's partitions to become known; they are among the queued
    /// ones.
    pub unrouted: u64,
    /// Callbacks that panicked. Their calls have ended as they would have otherwise.
    pub callback_panics: u64,
    /// True if the broker recognises what is sent again: false once a partition goes on without
    /// idempotence, and where it is not configured.
    pub is_idempotent: bool,
    /// Records that ended without an acknowledgement, by reason.
    pub failures: Vec<FailureCount>,
    /// The last refusal of each partition whose batches a broker refuses at the moment.
    pub refusals: Vec<PartitionRefusal>,
}

/// A broker refuses the batches of a partition.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PartitionRefusal {
    /// The partition.
    pub partition: PartitionId,
    /// The last refusal, since nothing was acknowledged.
    pub refusal: Refusal,
}

impl ProducerStats {
    /// Adds a partition.
    pub(crate) fn add(&mut self, number: Option<PartitionId>, partition: &Snapshot) {
        self.add_counts(partition);
        if let (Some(partition), Some(refusal)) = (number, &partition.refusal) {
            self.refusals.push(PartitionRefusal {
                partition,
                refusal: refusal.clone(),
            });
        }
        self.in_flight += partition.in_flight_records;
        self.retried_batches += partition.retried_batches;
        self.connected_partitions += usize::from(partition.is_connected);
        self.partitions += 1;
        self.is_idempotent &= partition.is_idempotent;
    }

    /// Adds the queue of calls whose partition is not known yet.
    pub(crate) fn add_unrouted(&mut self, unrouted: &Snapshot) {
        self.add_counts(unrouted);
        self.unrouted = unrouted.records.queued;
    }

    fn add_counts(&mut self, queue: &Snapshot) {
        self.recovered_items += queue.recovered_items;
        self.queued_bytes += queue.held_bytes;
        self.possibly_duplicated += queue.possibly_duplicated_records;
        self.resumed += queue.resumed_records;
        self.broker_data_loss += queue.broker_data_loss;
        self.other_cluster_partitions += usize::from(queue.is_other_cluster);
        self.damaged_records += queue.damaged_records;
        self.add_tally(&queue.records, &queue.calls, &queue.replay);
    }

    fn add_tally(&mut self, records: &Tally, calls: &Tally, replay: &Replay) {
        self.calls.add(calls);
        self.accepted += records.accepted;
        self.acked += records.acked;
        self.failed += records.failed;
        self.in_doubt += records.in_doubt;
        self.left += records.left;
        self.queued += records.queued;
        self.replayed += replay.acked;
        self.replay_failed += replay.failed + replay.in_doubt;
    }

    /// Adds what queues that are closed had counted.
    pub(crate) fn add_past(&mut self, past: &Past) {
        self.add_tally(&past.records, &past.calls, &past.replay);
        self.damages += past.damages;
        self.possibly_duplicated += past.possibly_duplicated;
        self.resumed += past.resumed;
        self.broker_data_loss += past.broker_data_loss;
        self.damaged_records += past.damaged;
    }
}

/// Counts of queues that are closed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    records: Tally,
    calls: Tally,
    replay: Replay,
    damages: u64,
    possibly_duplicated: u64,
    resumed: u64,
    broker_data_loss: u64,
    damaged: u64,
}

impl Past {
    /// Adds the last counts of a queue.
    pub(crate) fn add(&mut self, closed: &Snapshot, damages: u64) {
        self.damages += damages;
        self.calls.add(&closed.calls);
        self.records.add(&closed.records);
        self.replay.acked += closed.replay.acked;
        self.replay.failed += closed.replay.failed;
        self.replay.in_doubt += closed.replay.in_doubt;
        self.possibly_duplicated += closed.possibly_duplicated_records;
        self.resumed += closed.resumed_records;
        self.broker_data_loss += closed.broker_data_loss;
        self.damaged += closed.damaged_records;
    }
}
