//! The queue of calls that were accepted before the topic's partitions were known.
//!
//! It needs neither a link nor an identity: its leased batches are separated by partition and handed to
//! the partitions' own machines as [foreign](crate::Event::Foreign) batches. A lease is acknowledged
//! when all its records have come to their end there.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::BytesMut;
use wolff_codec::records::RecordRef;

use crate::action::{
    Accepted, AppendOperation, Completion, EndedLease, LeaseNo, LeaseOperation, Origin, Refused,
};
use crate::assemble::LeasedBatches;
use crate::backlog::{Backlog, Entry, Held, Recovered};
use crate::batch::BatchBody;
use crate::config::{Config, Storage};
use crate::counters::{Owner, Snapshot};
use crate::driver::Machine;
use crate::ends::Ends;
use crate::event::Event;
use crate::intake::{Intake, Opening};
use crate::outcome::{FailReason, Outcome};
use crate::reencode::Piece;
use crate::retry::{Pace, Retry};

/// A leased batch whose records can be routed.
#[derive(Debug)]
pub struct Routable<T> {
    /// Its lease, to be named with each end.
    pub lease: LeaseNo,
    /// Whose records: of this run, or of a previous one.
    pub origin: Origin<T>,
    /// The records, and where they begin within the batch that the origin stands for.
    pub pieces: Vec<(u32, BatchBody)>,
}

/// A lease of which records are still being delivered.
#[derive(Debug)]
struct Outstanding {
    lease: LeaseNo,
    is_this_run: bool,
    records: u64,
    bytes: u64,
    /// First call and count, of this run.
    calls: (u64, u64),
    /// Some of it stays in the queue for the next run.
    is_left: bool,
}

/// The machine of an unrouted queue. `T` is the owner's token of a batch.
#[derive(Debug)]
pub struct Unrouted<T> {
    storage: Storage,
    intake: Intake<T>,
    backlog: Backlog<T>,
    ends: Ends<T>,
    outstanding: VecDeque<Outstanding>,
    routable: VecDeque<Routable<T>>,
    acks: Vec<EndedLease>,
    releases: Vec<LeaseNo>,
    /// Bytes of records that may be on their way to partitions; 0: nothing is routed.
    max_outstanding_bytes: u64,
    is_leasing: bool,
    /// Back-off of reads that failed.
    retry: Retry,
    /// The end of what is not finished, once it was given up.
    abandoned: Option<FailReason>,
}

impl<T: Clone> Unrouted<T> {
    /// An unrouted queue whose local queue holds what `recovered` says.
    #[must_use]
    pub fn new(config: &Config, recovered: Recovered) -> Self {
        let mut ends = Ends::new();
        ends.counters_mut().damage(recovered.lost_items);
        Self {
            storage: config.storage,
            intake: Intake::new(config),
            backlog: Backlog::new(recovered),
            ends,
            outstanding: VecDeque::new(),
            routable: VecDeque::new(),
            acks: Vec::new(),
            releases: Vec::new(),
            max_outstanding_bytes: 0,
            is_leasing: false,
            retry: Retry::new(config.retry_delay, config.seed),
            abandoned: None,
        }
    }

    /// Accepts one call; see [`Partition::accept`](crate::Partition::accept).
    ///
    /// # Errors
    /// [`Refused`]; nothing of the call was kept.
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

    /// The partitions are known: batches may be leased, with so many bytes on their way at once.
    pub fn start_routing(&mut self, max_outstanding_bytes: u64) {
        self.max_outstanding_bytes = max_outstanding_bytes;
    }

    /// Nothing is leased any more.
    pub fn wind_down(&mut self) {
        self.intake.stop();
        self.max_outstanding_bytes = 0;
    }

    /// The next batch to separate and hand to partitions.
    pub fn poll_routable(&mut self) -> Option<Routable<T>> {
        self.routable.pop_front()
    }

    fn could_lease(&self, now: Instant) -> bool {
        let bytes: u64 = self.outstanding.iter().map(|lease| lease.bytes).sum();
        bytes < self.max_outstanding_bytes && self.retry.is_due(now)
    }

    /// When to look again if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.retry.due_at(now)
    }

    /// Records of a lease came to their end at a partition, or cannot be routed. Returns the lease if it
    /// ends with them: it goes back with [`Event::Reported`] once their owner knows.
    pub fn ended(
        &mut self,
        lease: LeaseNo,
        records: u32,
        calls: u64,
        outcome: &Outcome,
    ) -> Option<EndedLease> {
        let at = self
            .outstanding
            .iter()
            .position(|open| open.lease == lease)?;
        let open = self.outstanding.get_mut(at)?;
        let share = open.bytes.saturating_mul(u64::from(records)) / open.records.max(1);
        open.records = open.records.saturating_sub(u64::from(records));
        open.bytes = open.bytes.saturating_sub(share);
        open.is_left |= matches!(outcome, Outcome::LeftInQueue);
        let owner = if open.is_this_run {
            Owner::ThisRun
        } else {
            Owner::PreviousRun
        };
        let counters = self.ends.counters_mut();
        counters.end(owner, records, calls, outcome);
        counters.let_go(share);
        self.close_outstanding(at)
    }

    /// Takes out a lease of which all records have ended. Returns it if it is to be acknowledged.
    fn close_outstanding(&mut self, at: usize) -> Option<EndedLease> {
        let is_over = self
            .outstanding
            .get(at)
            .is_some_and(|open| open.records == 0);
        let open = is_over.then(|| self.outstanding.remove(at)).flatten()?;
        let counters = self.ends.counters_mut();
        counters.let_go(open.bytes);
        counters.finish_from(open.calls.0, open.calls.1);
        let lease = open.lease;
        (!open.is_left).then_some(EndedLease { lease, body: None })
    }

    /// The next end to report that no partition has reported: records that were never routed.
    pub fn poll_end(&mut self) -> Option<crate::action::Ended<T>> {
        self.ends.poll()
    }

    /// Gives up everything that is not on its way to a partition: what the local queue on disk has is
    /// left there, the rest fails with `unsent`. Records of an append that is under way end when its
    /// event has come.
    pub fn abandon(&mut self, unsent: &FailReason) {
        self.wind_down();
        self.abandoned.get_or_insert_with(|| unsent.clone());
        self.end_abandoned();
    }

    /// Ends everything that can be ended now, once it was given up.
    fn end_abandoned(&mut self) {
        let Some(unsent) = self.abandoned.clone() else {
            return;
        };
        let lost = Outcome::Failed(unsent);
        let kept = match self.storage {
            Storage::Disk => Outcome::LeftInQueue,
            Storage::Memory => lost.clone(),
        };
        while let Some(routable) = self.routable.pop_front() {
            self.end_unrouted(routable, &kept);
        }
        while let Some(entry) = self.backlog.pop() {
            let counters = self.ends.counters_mut();
            counters.finish_from(entry.first_call, entry.calls);
            self.ends
                .end_out_of_order(entry.into_run(), kept.clone(), None);
        }
        self.intake
            .abandon(&mut self.backlog, &lost, &mut self.ends);
    }

    /// Ends the records of a lease that was not routed.
    fn end_unrouted(&mut self, routable: Routable<T>, outcome: &Outcome) {
        for (first_record, body) in routable.pieces {
            let (records, calls) = (body.record_count(), u64::from(body.call_count()));
            // The counts are those of any other end; only the report is made here.
            let ended = self.ended(routable.lease, records, calls, outcome);
            let completion = Completion {
                origin: routable.origin.clone(),
                first_record,
                record_count: records,
                outcome: outcome.clone(),
            };
            self.ends.report(completion, ended);
        }
    }

    /// Calls that are queued at the level of the local queue.
    #[must_use]
    pub fn queued_calls(&self) -> u64 {
        match self.storage {
            Storage::Memory => self.ends.counters().accepted_calls(),
            Storage::Disk => self.ends.counters().stored_calls(),
        }
    }

    /// See [`Partition::has_uncommitted`](crate::Partition::has_uncommitted).
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        self.intake.has_uncommitted()
    }

    /// See [`Partition::request_commit`](crate::Partition::request_commit).
    pub fn request_commit(&mut self) {
        self.intake.request_commit();
    }

    /// No call is accepted from here on.
    pub fn stop_accepting(&mut self) {
        self.intake.stop();
    }

    /// What was accepted so far is routed without linger. Returns the count of calls that must have
    /// ended for the flush to be complete.
    pub fn flush(&mut self) -> u64 {
        let calls = self.ends.counters().accepted_calls();
        self.intake.flush(calls);
        calls
    }

    /// Whether the calls before `calls`, and everything that previous runs left, have come to their end.
    #[must_use]
    pub fn is_flushed(&self, calls: u64) -> bool {
        self.ends.counters().are_finished(calls)
            && !self.backlog.has_recovered()
            && self.outstanding.iter().all(|open| open.is_this_run)
    }

    /// Whether nothing is left: accepted, stored, or on its way to a partition.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.intake.is_empty()
            && self.backlog.is_empty()
            && self.outstanding.is_empty()
            && self.routable.is_empty()
            && self.acks.is_empty()
            && self.ends.is_empty()
            && !self.is_leasing
    }

    /// Whether records are on their way to partitions.
    #[must_use]
    pub fn has_outstanding(&self) -> bool {
        !self.outstanding.is_empty()
    }

    /// The counts as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            queued_calls: self.queued_calls(),
            recovered_items: self.backlog.recovered_items(),
            ..Snapshot::default()
        };
        self.ends.counters().fill(&mut snapshot);
        snapshot
    }

    /// Whether there is an append or an acknowledgement to do.
    #[must_use]
    pub fn wants_append(&self, now: Instant) -> bool {
        !self.acks.is_empty() || self.intake.wants_append(self.closes(now))
    }

    /// Whether there is a lease to do.
    #[must_use]
    pub fn wants_lease(&self, now: Instant) -> bool {
        !self.is_leasing
            && (!self.releases.is_empty()
                || (self.could_lease(now) && self.backlog.next_lease().is_some()))
    }

    /// The open batch is closed when everything before it is on its way.
    fn closes(&self, now: Instant) -> bool {
        self.could_lease(now) && self.intake.has_open() && self.backlog.holds_only_the_open_batch()
    }

    fn handle_leased(&mut self, lease: LeaseNo, batches: LeasedBatches) {
        self.is_leasing = false;
        self.retry.succeeded();
        if self.abandoned.is_some() {
            self.releases.push(lease);
            return;
        }
        if let Some((error, _)) = batches.unreadable()
            && error.is_foreign()
        {
            self.intake.refuse(error);
            self.backlog.block();
            self.releases.push(lease);
            return;
        }
        let found = self.backlog.leased(lease, &batches);
        self.ends.counters_mut().damage(found.lost_items);
        for entry in found.lost {
            self.ends
                .end_damaged(entry.first_call, vec![entry.into_run()]);
        }
        match found.held {
            Held::Previous { .. } => {
                // Leases end in any order: only gaps within one say that something was lost.
                let (missing, _) = batches.missing_since(None);
                let pieces = batches.into_pieces();
                let held = pieces.iter().map(Piece::byte_count).sum();
                let counters = self.ends.counters_mut();
                counters.damage(missing);
                counters.hold(held);
                self.push(lease, Origin::PreviousRun, held, (0, 0), pieces);
            }
            Held::Own(entry) => self.push_own(lease, entry, batches.into_pieces()),
            Held::Nobody => self.acks.push(EndedLease { lease, body: None }),
            Held::Unexpected => self.releases.push(lease),
        }
    }

    fn push_own(&mut self, lease: LeaseNo, entry: Entry<T>, pieces: Vec<Piece>) {
        let lost = entry.missing(&pieces);
        let lost_calls: u64 = lost.iter().map(|run| run.calls).sum();
        let lost_bytes: u64 = lost.iter().map(|run| run.held_bytes).sum();
        let calls = entry.calls.saturating_sub(lost_calls);
        self.ends.end_damaged(entry.first_call + calls, lost);
        let held = entry.bytes.saturating_sub(lost_bytes);
        let calls = (entry.first_call, calls);
        self.push(lease, Origin::ThisRun(entry.token), held, calls, pieces);
    }

    fn push(
        &mut self,
        lease: LeaseNo,
        origin: Origin<T>,
        bytes: u64,
        calls: (u64, u64),
        pieces: Vec<Piece>,
    ) {
        if pieces.is_empty() {
            self.acks.push(EndedLease { lease, body: None });
            return;
        }
        let records = pieces
            .iter()
            .map(|piece| u64::from(piece.body().record_count()))
            .sum();
        self.outstanding.push_back(Outstanding {
            lease,
            is_this_run: matches!(origin, Origin::ThisRun(_)),
            records,
            bytes,
            calls,
            is_left: false,
        });
        self.routable.push_back(Routable {
            lease,
            origin,
            pieces: pieces
                .into_iter()
                .map(|piece| (piece.first_record(), piece.into_body()))
                .collect(),
        });
    }
}

impl<T: Clone> Machine for Unrouted<T> {
    fn poll_append(&mut self, now: Instant) -> Option<AppendOperation> {
        if !self.acks.is_empty() {
            return Some(AppendOperation::Ack {
                leases: std::mem::take(&mut self.acks),
                commit_tag: None,
            });
        }
        let closes = self.closes(now);
        self.intake
            .poll_append(closes, &mut self.backlog)
            .map(AppendOperation::Append)
    }

    fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation> {
        if self.is_leasing {
            return None;
        }
        if let Some(lease) = self.releases.pop() {
            return Some(LeaseOperation::Release(lease));
        }
        let operation = self
            .could_lease(now)
            .then(|| self.backlog.next_lease())
            .flatten();
        self.is_leasing = operation.is_some();
        operation
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Appended { first_item } => {
                let counters = self.ends.counters_mut();
                self.intake
                    .appended(first_item, &mut self.backlog, counters);
            }
            Event::AppendFailed(error) => {
                self.intake
                    .append_failed(&error, &mut self.backlog, &mut self.ends);
            }
            Event::Leased(lease, batches) => self.handle_leased(lease, batches),
            Event::LeaseFailed => {
                self.is_leasing = false;
                self.retry.failed(Pace::Normal, now);
            }
            Event::Reported(lease) => self.acks.push(lease),
            // Everything else is about a link, which this machine does not have.
            _ => {}
        }
        self.end_abandoned();
    }
}
