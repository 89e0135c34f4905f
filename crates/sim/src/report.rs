//! Account of a run.

use crate::trace::Trace;

/// Number of times that rare states were reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rare {
    /// Five batches of a partition were in flight at once.
    pub five_in_flight: u64,
    /// A leader moved while batches were in flight.
    pub leader_moved: u64,
    /// The answer to a Produce request was lost after it was applied.
    pub answer_lost: u64,
    /// A batch was appended and answered with an error.
    pub error_after_append: u64,
    /// The disk refused an append, and the call was not accepted.
    pub append_failed: u64,
    /// A broker was killed and came back.
    pub broker_killed: u64,
    /// The process was killed.
    pub killed: u64,
    /// A stop left records in the queue.
    pub left_in_queue: u64,
    /// Records that a run delivered for the ones before.
    pub replayed: u64,
    /// Records that a kill or a stop had left in doubt, and that were sent under their old numbers.
    pub resumed: u64,
    /// A queue could not be closed in order.
    pub close_failed: u64,
    /// An append failed, and whether the call is in the queue is not known.
    pub append_in_doubt: u64,
    /// The topic got another partition.
    pub grown: u64,
    /// The topic's limit of a batch was changed.
    pub limited: u64,
    /// A leader forgot its producers.
    pub forgotten: u64,
    /// Records that are in the log again, and were counted.
    pub repeated: u64,
    /// Records that were lost to damage, and were counted.
    pub damaged: u64,
}

impl Rare {
    /// Each state with its count.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 17] {
        [
            ("five in flight", self.five_in_flight),
            ("leader moved", self.leader_moved),
            ("answer lost", self.answer_lost),
            ("error after append", self.error_after_append),
            ("append failed", self.append_failed),
            ("broker killed", self.broker_killed),
            ("killed", self.killed),
            ("left in queue", self.left_in_queue),
            ("replayed", self.replayed),
            ("resumed", self.resumed),
            ("close failed", self.close_failed),
            ("append in doubt", self.append_in_doubt),
            ("grown", self.grown),
            ("limit changed", self.limited),
            ("forgotten", self.forgotten),
            ("repeated", self.repeated),
            ("damaged", self.damaged),
        ]
    }
}

impl std::ops::AddAssign for Rare {
    fn add_assign(&mut self, other: Self) {
        self.five_in_flight += other.five_in_flight;
        self.leader_moved += other.leader_moved;
        self.answer_lost += other.answer_lost;
        self.error_after_append += other.error_after_append;
        self.append_failed += other.append_failed;
        self.broker_killed += other.broker_killed;
        self.killed += other.killed;
        self.left_in_queue += other.left_in_queue;
        self.replayed += other.replayed;
        self.resumed += other.resumed;
        self.close_failed += other.close_failed;
        self.append_in_doubt += other.append_in_doubt;
        self.grown += other.grown;
        self.limited += other.limited;
        self.forgotten += other.forgotten;
        self.repeated += other.repeated;
        self.damaged += other.damaged;
    }
}

/// The outcome of a run whose promises were kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Events.
    pub trace: Trace,
    /// The rare states that were reached.
    pub rare: Rare,
}
