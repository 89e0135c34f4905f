//! Flush and stop: what is waited for, and what becomes of the rest.

use super::Unrouted;
use crate::action::{Completion, LeaseNo, Origin};
use crate::config::Storage;
use crate::outcome::{FailReason, Outcome};
use crate::queue_item::QueueItemError;
use crate::routable::{RoutedEnd, RoutedPart};

impl<T: Clone> Unrouted<T> {
    /// Calls that are queued at the level of the local queue.
    #[must_use]
    pub fn queued_calls(&self) -> u64 {
        match self.storage {
            Storage::Memory => self.ends.counters().accepted_calls(),
            Storage::Disk => self.ends.counters().stored_calls(),
        }
    }

    /// See [`Partition::has_failed_calls`](crate::Partition::has_failed_calls).
    #[must_use]
    pub fn has_failed_calls(&self) -> bool {
        self.ends.counters().has_failed_calls()
    }

    /// See [`Partition::has_uncommitted`](crate::Partition::has_uncommitted).
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        self.intake.has_uncommitted()
    }

    /// See [`Partition::is_appending`](crate::Partition::is_appending).
    #[must_use]
    pub fn is_appending(&self) -> bool {
        self.intake.is_appending()
    }

    /// See [`Partition::request_commit`](crate::Partition::request_commit).
    pub fn request_commit(&mut self) {
        self.intake.request_commit();
    }

    /// No call is accepted any more: the local queue holds what this version cannot read, and it
    /// would not be sent.
    pub fn refuse_unreadable(&mut self, error: QueueItemError) {
        self.intake.refuse(error);
    }

    /// No call is accepted from here on.
    pub fn stop_accepting(&mut self) {
        self.intake.stop();
    }

    /// Routes what was accepted so far without linger. Returns the count of calls that must have
    /// ended for the flush to be complete.
    pub fn flush(&mut self) -> u64 {
        let calls = self.ends.counters().accepted_calls();
        self.intake.flush(calls);
        calls
    }

    /// Returns whether the calls before `calls`, and everything that previous runs left, have come
    /// to their end.
    #[must_use]
    pub fn is_flushed(&self, calls: u64) -> bool {
        self.ends.counters().are_finished(calls)
            && !self.backlog.has_recovered()
            && !self.routing.has_previous_run()
    }

    /// Returns whether nothing is left: accepted, stored, on its way to a partition, or given back
    /// by one for the next run.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_routed()
            && self.routing.is_empty()
            && !self.routing.has_left()
            && self.lease_work.is_empty()
            && self.acks.is_empty()
            && self.ends.is_empty()
    }

    /// Returns whether records are on their way to partitions.
    #[must_use]
    pub fn has_outstanding(&self) -> bool {
        !self.routing.is_empty()
    }

    /// Gives up everything that is not on its way to a partition: what the local queue on disk has
    /// is left there, the rest fails with `unsent`. Records of an append that is under way end when
    /// its event has come.
    pub fn abandon(&mut self, unsent: &FailReason) {
        self.wind_down();
        self.abandoned.get_or_insert_with(|| unsent.clone());
        self.end_abandoned();
    }

    /// Ends everything that can be ended now, once it was given up.
    pub(super) fn end_abandoned(&mut self) {
        let Some(unsent) = self.abandoned.clone() else {
            return;
        };
        let lost = Outcome::Failed(unsent);
        let kept = match self.storage {
            Storage::Disk => Outcome::LeftInQueue,
            Storage::Memory => lost.clone(),
        };
        let waiting = self.tagging.take().into_iter();
        let waiting: Vec<_> = self.routable.drain(..).chain(waiting).collect();
        for routable in waiting {
            // Deferred ones are ended below.
            if matches!(routable.part, RoutedPart::AllBut(_)) {
                self.end_calls(routable.lease, &routable.origin, &routable.calls(), &kept);
            }
        }
        for deferred in self.routing.drain_deferred() {
            self.end_calls(deferred.lease, &deferred.origin, &deferred.calls, &kept);
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

    /// Ends calls of a lease that are with no partition.
    fn end_calls(
        &mut self,
        lease: LeaseNo,
        origin: &Origin<T>,
        calls: &[(u32, u32)],
        outcome: &Outcome,
    ) {
        let mut at = 0;
        while let Some((first_record, records)) = calls.get(at).copied() {
            // Calls that follow one another have one end.
            let mut run = (first_record, records);
            let mut count = 1;
            while let Some((first, more)) = calls.get(at + count).copied()
                && first == run.0.saturating_add(run.1)
            {
                run.1 = run.1.saturating_add(more);
                count += 1;
            }
            at += count;
            // The counts are those of any other end; only the report is made here.
            let end = RoutedEnd {
                lease,
                at: None,
                records: &[run],
                calls: u64::try_from(count).unwrap_or(u64::MAX),
                outcome,
                was_sent: false,
            };
            let ended = self.ended(&end);
            let completion = Completion {
                origin: origin.clone(),
                first_record: run.0,
                record_count: run.1,
                outcome: outcome.clone(),
            };
            self.ends.report(completion, ended);
        }
    }
}
