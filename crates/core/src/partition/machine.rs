//! The machine's state, its counts and its clock.

use std::collections::VecDeque;
use std::time::Instant;

use crate::action::{Completion, EndedLease};
use crate::backlog::Backlog;
use crate::batch::BatchNo;
use crate::config::{Config, Durability, Idempotence};
use crate::identity::Identity;
use crate::link::{Link, LinkState};
use crate::open_batch::{CutFrame, OpenBatch};
use crate::outcome::Outcome;
use crate::window::Window;

/// The decisions of one partition queue. See the crate's documentation for the way of a record through it.
///
/// `T` is the owner's token of a batch: it comes back with the batch's outcome. One is made for each batch.
#[derive(Debug)]
pub struct Partition<T> {
    pub(super) config: Config,
    pub(super) open: OpenBatch<T>,
    /// Frames that were cut and wait for the local queue.
    pub(super) cut: VecDeque<CutFrame<T>>,
    pub(super) cut_bytes: usize,
    /// Frames that the local queue is taking right now.
    pub(super) appending: Vec<CutFrame<T>>,
    pub(super) backlog: Backlog<T>,
    pub(super) leasing: bool,
    pub(super) window: Window<T>,
    /// Leases to acknowledge.
    pub(super) acks: Vec<EndedLease>,
    pub(super) identity: Identity,
    pub(super) link: Link,
    /// Before this time no failed batch is sent again.
    pub(super) resend_at: Option<Instant>,
    /// Grown smaller when the broker says that batches are too large.
    pub(super) max_batch_bytes: usize,
    /// Calls below this number do not linger.
    pub(super) flush_through: u64,
    pub(super) stopping: bool,
    pub(super) outcomes: VecDeque<Completion<T>>,
    /// The driver has to drop its connection.
    pub(super) disconnect: bool,
    pub(super) counters: Snapshot,
}

/// Counts of one partition queue. Except where said, they only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls taken in.
    pub accepted_calls: u64,
    /// Calls that are queued at the configured durability; a prefix of the accepted ones.
    pub queued_calls: u64,
    /// Calls that came to an end.
    pub finished_calls: u64,
    /// Records taken in.
    pub accepted_records: u64,
    /// Records of this life that Kafka has.
    pub acked_records: u64,
    /// Records of this life that were given up.
    pub failed_records: u64,
    /// Records of an earlier life that Kafka has.
    pub replayed_records: u64,
    /// Records of an earlier life that were given up.
    pub replay_failed_records: u64,
    /// Records that may be in Kafka twice: their fate was unknown when they had to be numbered anew, or they were sent
    /// again without an identity.
    pub possibly_duplicated_records: u64,
    /// Produce requests sent again.
    pub retried_batches: u64,
    /// Encoded bytes of the records that are accepted and not finished; goes up and down.
    pub held_bytes: u64,
    /// Records on their way to Kafka or waiting for the answer; goes up and down.
    pub in_flight_records: u64,
    /// Items of an earlier life that are still in the queue; goes down.
    pub recovered_items: u64,
    /// Whether the link to the leader is up.
    pub is_connected: bool,
    /// Whether batches carry a producer id.
    pub is_idempotent: bool,
}

impl<T: Clone> Partition<T> {
    /// A partition queue whose local queue holds `recovered_items` items of an earlier life, `recovered_bytes` together.
    #[must_use]
    pub fn new(config: Config, recovered_items: u64, recovered_bytes: u64) -> Self {
        let identity = match config.idempotence {
            Idempotence::Off => Identity::Off,
            Idempotence::Auto | Idempotence::Required => Identity::Absent,
        };
        Self {
            open: OpenBatch::new(),
            cut: VecDeque::new(),
            cut_bytes: 0,
            appending: Vec::new(),
            backlog: Backlog::new(recovered_items, recovered_bytes),
            leasing: false,
            window: Window::new(),
            acks: Vec::new(),
            identity,
            link: Link::new(config.retry_delay, config.seed),
            resend_at: None,
            max_batch_bytes: config.max_batch_bytes,
            flush_through: 0,
            stopping: false,
            outcomes: VecDeque::new(),
            disconnect: false,
            counters: Snapshot::default(),
            config,
        }
    }

    /// The counts as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            queued_calls: match self.config.durability {
                Durability::Memory => self.counters.accepted_calls,
                Durability::Queue => self.counters.queued_calls,
            },
            recovered_items: self.backlog.recovered_items,
            in_flight_records: self
                .window
                .iter()
                .map(|slot| u64::from(slot.body.record_count()))
                .sum(),
            is_connected: self.link.is_up(),
            is_idempotent: matches!(self.identity, Identity::Ready { .. }),
            ..self.counters
        }
    }

    /// Calls that are queued at the configured durability.
    #[must_use]
    pub fn queued_calls(&self) -> u64 {
        match self.config.durability {
            Durability::Memory => self.counters.accepted_calls,
            Durability::Queue => self.counters.queued_calls,
        }
    }

    /// Whether nothing is left to send, of this life or an earlier one.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        !self.open.is_open()
            && self.cut.is_empty()
            && self.appending.is_empty()
            && !self.leasing
            && self.backlog.is_empty()
            && self.window.is_empty()
            && self.acks.is_empty()
    }

    /// Whether the calls before `calls`, and all that an earlier life left, have come to their end.
    #[must_use]
    pub fn is_flushed(&self, calls: u64) -> bool {
        self.counters.finished_calls >= calls
            && self.backlog.recovered_items == 0
            && self.window.iter().all(|slot| slot.token.is_some())
    }

    /// The token of a leased batch (none for records of an earlier life), and its first record within what the token stands
    /// for.
    #[must_use]
    pub fn batch_token(&self, batch: BatchNo) -> Option<(Option<T>, u32)> {
        let slot = self.window.iter().find(|slot| slot.no == batch)?;
        Some((slot.token.clone(), slot.first_record))
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing else happens. To be asked when all that can be done
    /// now was polled and done.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let linger = self
            .linger_ends()
            .filter(|at| *at > now && self.could_lease_more());
        let reconnect = match self.link.state {
            LinkState::Down { retry_at } => retry_at,
            _ => None,
        };
        let waits = [linger, reconnect, self.resend_at];
        if self.has_work() {
            waits.into_iter().flatten().min()
        } else {
            None
        }
    }

    /// Time has come for something: poll again.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.resend_at.is_some_and(|at| at <= now) {
            self.resend_at = None;
        }
        if let LinkState::Down { retry_at: Some(at) } = self.link.state
            && at <= now
        {
            self.link.state = LinkState::Down { retry_at: None };
        }
    }

    /// Whether there is anything that needs a leader.
    pub(super) fn has_work(&self) -> bool {
        self.open.is_open()
            || !self.cut.is_empty()
            || !self.appending.is_empty()
            || !self.backlog.is_empty()
            || !self.window.is_empty()
    }

    /// Whether the window has room for one more leased batch.
    pub(super) fn could_lease_more(&self) -> bool {
        self.link.is_up()
            && self.identity.allows_sending()
            && !self.window.has_error()
            && self.resend_at.is_none()
            && self.window.len() < self.config.max_in_flight
    }

    /// The next outcome to report, oldest first.
    pub fn poll_outcome(&mut self) -> Option<Completion<T>> {
        self.outcomes.pop_front()
    }

    /// Records the end of a run of records and tells the owner.
    pub(super) fn complete(
        &mut self,
        token: Option<T>,
        first_record: u32,
        records: u32,
        calls: u64,
        held_bytes: u64,
        outcome: Outcome,
    ) {
        let count = u64::from(records);
        let counters = &mut self.counters;
        match (&outcome, token.is_some()) {
            (Outcome::Acked { .. }, true) => counters.acked_records += count,
            (Outcome::Acked { .. }, false) => counters.replayed_records += count,
            (Outcome::Failed(_), true) => counters.failed_records += count,
            (Outcome::Failed(_), false) => counters.replay_failed_records += count,
            (Outcome::InDoubt(_) | Outcome::LeftInQueue, _) => {}
        }
        if token.is_some() {
            counters.finished_calls += calls;
            counters.held_bytes = counters.held_bytes.saturating_sub(held_bytes);
        }
        self.outcomes.push_back(Completion {
            token,
            first_record,
            record_count: records,
            outcome,
        });
    }
}
