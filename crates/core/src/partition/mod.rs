//! The decisions of one partition queue.

mod ending;

mod leases;

mod memory;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use wolff_codec::records::RecordRef;

use self::ending::Abandoned;
pub use self::memory::MemoryUse;
use crate::action::{
    Accepted, Action, AppendOperation, Ended, EndedLease, LeaseNo, LeaseOperation, Origin, Refused,
};
use crate::backlog::{Backlog, Foreign, Recovered};
use crate::config::{Config, Storage};
use crate::counters::Snapshot;
use crate::ends::Ends;
use crate::event::Event;
use crate::intake::{Intake, Opening};
use crate::sending::Sending;
use crate::sending::slot::{Doubt, Resumed, SlotParts};

/// The decisions of one partition queue. See the crate's documentation for the way of a record
/// through it.
///
/// `T` is the owner's token of a batch: it comes back with the ends of the batch's records. One is
/// made for each batch.
#[derive(Debug)]
pub struct Partition<T> {
    storage: Storage,
    intake: Intake<T>,
    backlog: Backlog<T>,
    sending: Sending<T>,
    ends: Ends<T>,
    /// Leases to acknowledge, oldest first.
    acks: Vec<EndedLease>,
    /// Leases to give back untouched.
    releases: Vec<LeaseNo>,
    /// A lease operation is under way.
    is_leasing: bool,
    /// Ends of what is not finished, once it was given up.
    abandoned: Option<Abandoned>,
    /// Calls of this run are stored once all batches of other queues have ended.
    holds_appends: bool,
}

impl<T: Clone> Partition<T> {
    /// A partition queue whose local queue holds what `recovered` says.
    #[must_use]
    pub fn new(config: &Config, recovered: Recovered) -> Self {
        let mut ends = Ends::new();
        ends.counters_mut().damage(recovered.lost_items);
        let backlog = Backlog::new(recovered);
        Self {
            storage: config.storage,
            intake: Intake::new(config),
            sending: Sending::new(config, backlog.plan(), backlog.has_recovered_leases()),
            backlog,
            ends,
            acks: Vec::new(),
            releases: Vec::new(),
            is_leasing: false,
            abandoned: None,
            holds_appends: false,
        }
    }

    /// Accepts one call: all its records go into one batch, in order and together, encoded in
    /// place. `is_awaited`: somebody waits until it is queued.
    ///
    /// Where a batch has to be opened for it, `opening` makes the batch's token and reads the
    /// clock, which need not be read for every call. `memory` is asked for so many bytes for the
    /// batch's records, unless enough is left of the last batch's; it may well give none.
    ///
    /// The call leaves nothing behind if its iterator panics.
    ///
    /// # Errors
    /// [`Refused`]; nothing of the call was kept.
    #[inline]
    pub fn accept<'a, I>(
        &mut self,
        records: I,
        is_awaited: bool,
        opening: impl FnOnce() -> Opening<T>,
        memory: impl FnOnce(usize) -> BytesMut,
    ) -> Result<Accepted<T>, Refused>
    where
        I: Iterator<Item = RecordRef<'a>> + Clone,
    {
        let recovered_bytes = self.backlog.recovered_bytes();
        let counters = self.ends.counters_mut();
        self.intake.accept(
            records,
            is_awaited,
            opening,
            memory,
            (counters, recovered_bytes),
        )
    }

    /// Something happened.
    pub fn handle(&mut self, event: Event, now: Instant) {
        let ends = &mut self.ends;
        match event {
            Event::Appended { first_item } => {
                self.sending.give_reserved_back();
                self.intake
                    .appended(first_item, &mut self.backlog, ends.counters_mut());
            }
            Event::AppendedLeased {
                first_item,
                lease,
                batches,
            } => {
                self.intake
                    .appended(first_item, &mut self.backlog, ends.counters_mut());
                self.take_lease(lease, batches);
                self.sending.assign_reserved(lease);
            }
            Event::AppendedUnleased { first_item } => {
                self.sending.burn_reserved();
                self.sending.lease_failed(now);
                self.intake
                    .appended(first_item, &mut self.backlog, ends.counters_mut());
            }
            Event::AppendFailed(error) => {
                self.sending.burn_reserved();
                self.intake.append_failed(&error, &mut self.backlog, ends);
            }
            Event::Leased(lease, batches) => self.handle_leased(lease, batches, now),
            Event::LeaseFailed => {
                self.is_leasing = false;
                self.sending.lease_failed(now);
            }
            Event::Stamped(lease) => {
                self.is_leasing = false;
                self.sending.stamped(lease);
            }
            Event::StampFailed(lease) => {
                self.is_leasing = false;
                self.sending.stamp_failed(lease, now);
            }
            Event::Split(batch, pieces) => {
                self.is_leasing = false;
                self.sending.split(batch, pieces, ends);
                self.sending.settle(now, ends);
            }
            Event::Reported(lease) => self.acks.push(lease),
            Event::Foreign {
                ticket,
                body,
                was_sent,
            } => self.backlog.push_foreign(Foreign {
                ticket,
                body: Arc::new(body),
                was_sent,
            }),
            Event::Connected(leader) => self.sending.connected(leader, now),
            Event::ConnectFailed => self.sending.connect_failed(now),
            Event::Disconnected => self.sending.disconnected(now, ends),
            Event::IdentityGranted { producer_id, epoch } => {
                self.sending.identity_granted(producer_id, epoch, now);
            }
            Event::IdentityFailed { is_refused } => self.sending.identity_failed(is_refused, now),
            Event::Answered(batch, answer) => self.sending.answered(batch, answer, now, ends),
            Event::RequestFailed { batch, not_sent } => {
                self.sending.request_failed(batch, not_sent, now, ends);
            }
        }
        self.sending.stamp_next(now);
        self.intake.limit_batches(self.sending.batch_bytes_limit());
        self.let_appends_go_on();
        self.end_abandoned();
    }

    /// Returns whether the open batch is closed and sent now: it is its turn, there is room, and it
    /// has waited long enough.
    fn open_batch_is_due(&self, now: Instant) -> bool {
        self.intake.has_lingered(now)
            && self.sending.could_lease(now)
            && self.backlog.holds_only_the_open_batch()
    }

    /// The next append or acknowledgement, if there is one. One append is under way at a time.
    pub fn poll_append(&mut self, now: Instant) -> Option<AppendOperation> {
        if !self.acks.is_empty() {
            return Some(AppendOperation::Ack {
                leases: std::mem::take(&mut self.acks),
                commit_tag: None,
            });
        }
        let closes = self.open_batch_is_due(now);
        if self.holds_appends || !self.intake.cut_due(closes, &mut self.backlog) {
            return None;
        }
        let leased = self.append_leased(now);
        leased.or_else(|| self.intake.start_append().map(AppendOperation::Append))
    }

    /// The next append, where it completes a batch that can be leased and stamped with it: nothing
    /// before it waits for a lease or a stamp.
    fn append_leased(&mut self, now: Instant) -> Option<AppendOperation> {
        if !self.releases.is_empty()
            || !self.backlog.holds_only_the_open_batch()
            || !self.sending.could_reserve(now)
        {
            return None;
        }
        let batch = self.intake.completed_batch(&self.backlog)?;
        let tag = self.sending.reserve(&batch, now)?;
        let payloads = self.intake.start_append_of(&batch)?;
        Some(AppendOperation::AppendLeased {
            payloads,
            from: batch.first_item(),
            tag,
        })
    }

    /// Returns whether [`poll_append`](Self::poll_append) would have something.
    #[must_use]
    pub fn wants_append(&self, now: Instant) -> bool {
        let wants = || self.intake.wants_append(self.open_batch_is_due(now));
        !self.acks.is_empty() || (!self.holds_appends && wants())
    }

    /// The next lease, stamp or split, if there is one. One is under way at a time.
    pub fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation> {
        if self.is_leasing {
            return None;
        }
        if let Some(lease) = self.releases.pop() {
            return Some(LeaseOperation::Release(lease));
        }
        self.send_foreign(now);
        let operation = (self.sending.poll_operation()).or_else(|| self.next_lease(now));
        self.is_leasing = operation.is_some();
        operation
    }

    /// Returns whether [`poll_lease`](Self::poll_lease) would have something.
    #[must_use]
    pub fn wants_lease(&self, now: Instant) -> bool {
        !self.is_leasing
            && (!self.releases.is_empty()
                || self.sending.wants_operation(now)
                || self.next_lease(now).is_some())
    }

    /// The next lease to read or to request.
    fn next_lease(&self, now: Instant) -> Option<LeaseOperation> {
        if self.backlog.has_recovered_leases() {
            let could_read = self.sending.could_reload(now);
            return could_read.then(|| self.backlog.next_reload()).flatten();
        }
        let could_lease = self.sending.could_lease(now);
        could_lease.then(|| self.backlog.next_lease()).flatten()
    }

    /// Moves batches of other queues into the window, as far as there is room.
    fn send_foreign(&mut self, now: Instant) {
        while self.sending.could_lease(now)
            && let Some(foreign) = self.backlog.pop_foreign()
        {
            self.sending.push(SlotParts {
                body: foreign.body,
                origin: Origin::Foreign(foreign.ticket),
                first_record: 0,
                held_bytes: 0,
                lease: None,
                doubt: if foreign.was_sent {
                    Doubt::Unresolvable
                } else {
                    Doubt::None
                },
                resumed: Resumed::New,
            });
        }
        self.sending.stamp_next(now);
    }

    /// Batches of another queue will still come ([`Event::Foreign`]) and go before the calls of
    /// this run, or no more of them.
    pub fn await_foreign(&mut self, awaits: bool) {
        self.backlog.await_foreign(awaits);
    }

    /// Holds what is accepted from now on until all batches of other queues that are here have
    /// ended: the next run sends what the local queue has before what those queues have. It is not
    /// queued before that, as if the disk were slow, and fails if the queue is stopped meanwhile.
    pub fn hold_appends(&mut self) {
        self.holds_appends = self.storage == Storage::Disk && self.has_foreign();
    }

    fn has_foreign(&self) -> bool {
        self.backlog.has_foreign() || self.sending.has_foreign()
    }

    /// Stores what was held, once nothing of another queue is here.
    fn let_appends_go_on(&mut self) {
        if self.holds_appends && !self.has_foreign() {
            self.holds_appends = false;
            self.intake.request_commit();
        }
        self.end_held();
    }

    /// The next thing to do on the network.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        self.send_foreign(now);
        let has_work = self.has_work();
        self.sending.poll_action(now, has_work, &mut self.ends)
    }

    /// Returns whether [`poll_action`](Self::poll_action) would have something.
    #[must_use]
    pub fn wants_network(&self, now: Instant) -> bool {
        let has_foreign = self.backlog.can_send_foreign() && self.sending.could_lease(now);
        has_foreign || self.sending.wants_network(now, self.has_work())
    }

    /// Time to poll again if nothing else happens. To be asked when everything that can be done now
    /// was polled and done.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let linger = self.intake.linger_ends().filter(|at| *at > now);
        let waits = [linger, self.sending.retry_at(now)];
        waits
            .into_iter()
            .flatten()
            .min()
            .filter(|_| self.has_work())
    }

    /// The next end to report, oldest first. Its lease goes back with [`Event::Reported`].
    pub fn poll_end(&mut self) -> Option<Ended<T>> {
        self.ends.poll()
    }

    /// Returns whether there is anything that needs a leader.
    fn has_work(&self) -> bool {
        let is_waiting = !self.intake.is_empty() || !self.backlog.is_empty();
        (is_waiting && !self.backlog.is_blocked()) || !self.sending.is_empty()
    }

    /// Returns whether nothing is left, of this run or a previous one.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        !self.has_work()
            && !self.backlog.is_blocked()
            && !self.is_leasing
            && self.acks.is_empty()
            && self.ends.is_empty()
    }

    /// Encoded bytes of records that are accepted and not finished.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.ends.counters().held_bytes()
    }

    /// Nothing is known that keeps records from being sent: no refusal stands, and nothing has
    /// failed since the last success.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.sending.is_available()
    }

    /// The counts and the state as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            queued_calls: self.queued_calls(),
            leased_records: self.sending.records(),
            in_flight_records: self.sending.in_flight_records(),
            recovered_items: self.backlog.recovered_items(),
            is_connected: self.sending.is_connected(),
            is_idempotent: self.sending.is_idempotent(),
            is_other_cluster: self.sending.is_other_cluster(),
            link_limit_bytes: self.sending.link_limit_bytes(),
            refusal: self.sending.refusal().cloned(),
            ..Snapshot::default()
        };
        self.ends.counters().fill(&mut snapshot);
        snapshot
    }
}
