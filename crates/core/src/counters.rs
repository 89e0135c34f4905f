//! The counts of a partition queue: the only place that writes them, and the sums they keep.

use crate::finished::FinishedCalls;
use crate::outcome::Outcome;

/// Owner of records that came to an end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// Accepted in this run.
    ThisRun,
    /// Left by a previous run.
    PreviousRun,
}

/// Records and calls of one run, by what became of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Handed over by callers.
    pub accepted: u64,
    /// Kafka has them (acks=none: sent).
    pub acked: u64,
    /// Definitely not in Kafka.
    pub failed: u64,
    /// Sent, and nobody can say.
    pub in_doubt: u64,
    /// In the queue on disk for the next run.
    pub left: u64,
    /// None of these yet.
    pub queued: u64,
}

impl Tally {
    fn accept(&mut self, count: u64) {
        self.accepted = self.accepted.saturating_add(count);
        self.queued = self.queued.saturating_add(count);
    }

    /// # Panics
    /// When more ends than was accepted: something would end twice.
    fn end(&mut self, count: u64, outcome: &Outcome) {
        assert!(
            self.queued >= count,
            "conservation: {count} end, {} are queued",
            self.queued
        );
        self.queued -= count;
        let total = match outcome {
            Outcome::Acked { .. } => &mut self.acked,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::InDoubt(_) => &mut self.in_doubt,
            Outcome::LeftInQueue => &mut self.left,
        };
        *total = total.saturating_add(count);
        let sum = self.acked + self.failed + self.in_doubt + self.left + self.queued;
        assert!(sum == self.accepted, "conservation: {self:?}");
    }

    /// Calls or records that came to an end.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.accepted.saturating_sub(self.queued)
    }

    /// Adds the counts of another queue.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.acked += other.acked;
        self.failed += other.failed;
        self.in_doubt += other.in_doubt;
        self.left += other.left;
        self.queued += other.queued;
    }
}

/// Records that a previous run left on disk, by what became of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Replay {
    /// Kafka has them now.
    pub acked: u64,
    /// Definitely not in Kafka.
    pub failed: u64,
    /// Sent, and nobody can say.
    pub in_doubt: u64,
}

/// The counts. `accepted = acked + failed + in_doubt + left + queued` holds for records and for
/// calls after every change, and is asserted in release builds.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    records: Tally,
    calls: Tally,
    replay: Replay,
    finished: FinishedCalls,
    held_bytes: u64,
    /// Held beside the records: for those who observe their ends.
    beside_bytes: u64,
    stored_calls: u64,
    retried_batches: u64,
    damaged_records: u64,
    doubts: Doubts,
}

/// Counts of what was in doubt, and of what the cluster had acknowledged.
#[derive(Debug, Default)]
struct Doubts {
    possibly_duplicated_records: u64,
    resumed_records: u64,
    broker_data_loss: u64,
}

impl Counters {
    #[inline]
    pub(crate) fn accept(&mut self, records: u32, bytes: usize) {
        self.calls.accept(1);
        self.records.accept(u64::from(records));
        self.hold(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Bytes of a previous run's records that are in memory now.
    pub(crate) fn hold(&mut self, bytes: u64) {
        self.held_bytes = self.held_bytes.saturating_add(bytes);
    }

    /// So many bytes are held beside the records.
    #[inline]
    pub(crate) fn hold_beside(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.beside_bytes = self.beside_bytes.saturating_add(bytes);
    }

    /// So many of them are not held any more.
    pub(crate) fn let_go_beside(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.beside_bytes = self.beside_bytes.saturating_sub(bytes);
    }

    pub(crate) fn beside_bytes(&self) -> u64 {
        self.beside_bytes
    }

    pub(crate) fn let_go(&mut self, bytes: u64) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    /// Calls were stored by the local queue, or failed to be.
    pub(crate) fn store(&mut self, calls: u64) {
        self.stored_calls = self.stored_calls.saturating_add(calls);
    }

    /// So many calls after those that were finished before came to their end.
    pub(crate) fn finish_next(&mut self, calls: u64) {
        self.finished.finish_next(calls);
    }

    /// Calls came to their end, perhaps ahead of earlier ones.
    pub(crate) fn finish_from(&mut self, first_call: u64, calls: u64) {
        self.finished.finish(first_call, calls);
    }

    /// Returns whether every call before this one came to its end.
    pub(crate) fn are_finished(&self, calls: u64) -> bool {
        self.finished.first_unfinished() >= calls
    }

    /// A run of records came to an end.
    pub(crate) fn end(&mut self, owner: Owner, records: u32, calls: u64, outcome: &Outcome) {
        let count = u64::from(records);
        match owner {
            Owner::ThisRun => {
                self.records.end(count, outcome);
                self.calls.end(calls, outcome);
            }
            Owner::PreviousRun => match outcome {
                Outcome::Acked { .. } => self.replay.acked += count,
                Outcome::Failed(_) => self.replay.failed += count,
                Outcome::InDoubt(_) => self.replay.in_doubt += count,
                Outcome::LeftInQueue => {}
            },
        }
        if let Outcome::Acked {
            possibly_duplicated: true,
            ..
        } = outcome
        {
            self.doubts.possibly_duplicated_records += count;
        }
    }

    pub(crate) fn retry(&mut self) {
        self.retried_batches += 1;
    }

    /// Records that a previous run had left in doubt are to be sent under their old numbers.
    pub(crate) fn resume(&mut self, records: u32) {
        self.doubts.resumed_records = self
            .doubts
            .resumed_records
            .saturating_add(u64::from(records));
    }

    /// The cluster turned out to have lost what it had acknowledged.
    pub(crate) fn lose_in_cluster(&mut self) {
        self.doubts.broker_data_loss = self.doubts.broker_data_loss.saturating_add(1);
    }

    /// The local queue lost records to damage.
    pub(crate) fn damage(&mut self, records: u64) {
        self.damaged_records = self.damaged_records.saturating_add(records);
    }

    #[inline]
    pub(crate) fn accepted_calls(&self) -> u64 {
        self.calls.accepted
    }

    pub(crate) fn stored_calls(&self) -> u64 {
        self.stored_calls
    }

    /// Returns true if any call failed, or is in doubt for good.
    pub(crate) fn has_failed_calls(&self) -> bool {
        self.calls.failed > 0 || self.calls.in_doubt > 0
    }

    #[inline]
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Writes the counts into a snapshot.
    pub(crate) fn fill(&self, snapshot: &mut Snapshot) {
        snapshot.records = self.records;
        snapshot.calls = self.calls;
        snapshot.replay = self.replay;
        snapshot.held_bytes = self.held_bytes;
        snapshot.retried_batches = self.retried_batches;
        snapshot.possibly_duplicated_records = self.doubts.possibly_duplicated_records;
        snapshot.damaged_records = self.damaged_records;
        snapshot.broker_data_loss = self.doubts.broker_data_loss;
        snapshot.resumed_records = self.doubts.resumed_records;
    }
}

/// Counts and state of one partition queue at one moment. Except where said, counts only grow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Records of this run.
    pub records: Tally,
    /// Calls of this run.
    pub calls: Tally,
    /// Records of previous runs.
    pub replay: Replay,
    /// Calls that are queued at the level of the local queue; a prefix of the accepted ones.
    pub queued_calls: u64,
    /// Records that may be in Kafka twice.
    pub possibly_duplicated_records: u64,
    /// Records of any run that the local queue lost to damage, as far as they can be counted.
    pub damaged_records: u64,
    /// Records that a previous run had left in doubt, and that are sent under the sequence numbers
    /// that they had, so that the broker recognises what it has.
    pub resumed_records: u64,
    /// Number of times that the cluster turned out to have lost what it had acknowledged, or to
    /// acknowledge a batch as another one.
    pub broker_data_loss: u64,
    /// Produce requests that were sent again.
    pub retried_batches: u64,
    /// Encoded bytes of records that are accepted and not finished; goes up and down.
    pub held_bytes: u64,
    /// Records leased for sending and not finished; goes up and down.
    pub leased_records: u64,
    /// Records sent and not answered; goes up and down.
    pub in_flight_records: u64,
    /// Queue items of previous runs that are not leased yet; goes down.
    pub recovered_items: u64,
    /// True if the link to the leader is up.
    pub is_connected: bool,
    /// True if batches carry a producer id, as far as that is known.
    pub is_idempotent: bool,
    /// True if the leader belongs to another cluster than the one that has what is in doubt:
    /// nothing is sent to it.
    pub is_other_cluster: bool,
    /// The most bytes of a batch that the link to the leader is taken to carry, where it was lost
    /// in the middle of larger ones. Batches that may be with the broker keep their size.
    pub link_limit_bytes: Option<usize>,
    /// The last refusal since the last success.
    pub refusal: Option<crate::verdict::Refusal>,
}
