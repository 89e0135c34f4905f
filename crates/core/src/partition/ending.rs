//! Flush and stop: what is waited for, and what becomes of the rest.

use super::Partition;
use crate::action::Origin;
use crate::config::Storage;
use crate::ends::EndedRun;
use crate::outcome::{DoubtReason, FailReason, Outcome};
use crate::queue_item::QueueItemError;

/// Ends of what is given up.
#[derive(Clone, Debug)]
pub(super) struct Abandoned {
    /// Of what the local queue has.
    stored: Outcome,
    /// Of what it does not have.
    unstored: Outcome,
    /// Of what was perhaps appended and is not left in the queue.
    sent: DoubtReason,
}

impl<T: Clone> Partition<T> {
    /// Calls that are queued at the level of the local queue.
    #[must_use]
    pub fn queued_calls(&self) -> u64 {
        match self.storage {
            Storage::Memory => self.ends.counters().accepted_calls(),
            Storage::Disk => self.ends.counters().stored_calls(),
        }
    }

    /// Returns whether any call of this run failed, or ended in doubt: one that counts as
    /// [queued](Self::queued_calls) may have, and its end may not be polled yet.
    #[must_use]
    pub fn has_failed_calls(&self) -> bool {
        self.ends.counters().has_failed_calls()
    }

    /// Returns whether accepted bytes are not on their way to the local queue yet: they are
    /// appended at the next [`request_commit`](Self::request_commit).
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        !self.holds_appends && self.intake.has_uncommitted()
    }

    /// Returns whether the local queue is storing calls right now: their ends are not known before
    /// that is done.
    #[must_use]
    pub fn is_appending(&self) -> bool {
        self.intake.is_appending()
    }

    /// Everything accepted so far goes to the local queue at the next poll.
    pub fn request_commit(&mut self) {
        self.intake.request_commit();
    }

    /// Returns whether the calls before `calls`, and everything that previous runs left, have come
    /// to their end.
    #[must_use]
    pub fn is_flushed(&self, calls: u64) -> bool {
        self.ends.counters().are_finished(calls)
            && !self.backlog.has_recovered()
            && !self.sending.has_previous_run()
    }

    /// Ends the linger of what was accepted so far. Returns the count of calls that must have
    /// ended for the flush to be complete.
    pub fn flush(&mut self) -> u64 {
        let calls = self.ends.counters().accepted_calls();
        self.intake.flush(calls);
        calls
    }

    /// No call is accepted any more: the local queue holds what this version cannot read, and it
    /// would not be sent.
    pub fn refuse_unreadable(&mut self, error: QueueItemError) {
        self.intake.refuse(error);
    }

    /// No call is accepted from here on; what was accepted is still sent, without linger.
    pub fn stop_accepting(&mut self) {
        self.intake.stop();
    }

    /// No call is accepted and nothing is sent any more; what is in flight is awaited.
    pub fn wind_down(&mut self) {
        self.intake.stop();
        self.sending.wind_down();
        self.end_held();
    }

    /// Fails what is held at a stop: nobody was told that it is queued.
    pub(super) fn end_held(&mut self) {
        if self.holds_appends && self.sending.is_winding_down() {
            let stopped = Outcome::Failed(FailReason::Stopped);
            self.intake
                .abandon(&mut self.backlog, &stopped, &mut self.ends);
        }
    }

    /// Returns whether every answer that was due has come.
    #[must_use]
    pub fn is_wound_down(&self) -> bool {
        self.sending.is_wound_down()
    }

    /// Gives up everything that is not finished: what the local queue on disk has is left there,
    /// the rest fails with `unsent`, or is in doubt for `sent` where it was perhaps appended.
    ///
    /// Records of an append that is under way end when its event has come, and a lease that comes
    /// later is given back.
    pub fn abandon(&mut self, unsent: &FailReason, sent: DoubtReason) {
        let unstored = Outcome::Failed(unsent.clone());
        let stored = match self.storage {
            Storage::Disk => Outcome::LeftInQueue,
            Storage::Memory => unstored.clone(),
        };
        self.give_up(Abandoned {
            stored,
            unstored,
            sent,
        });
    }

    /// Fails everything of this run: it can never be delivered. The local queue is to be removed
    /// with it. What was perhaps appended is in doubt all the same.
    pub fn reject(&mut self, reason: &FailReason) {
        let outcome = Outcome::Failed(reason.clone());
        self.give_up(Abandoned {
            stored: outcome.clone(),
            unstored: outcome,
            sent: DoubtReason::Stopped,
        });
    }

    /// Returns whether previous runs left something that has not come to its end.
    #[must_use]
    pub fn has_recovered(&self) -> bool {
        self.backlog.has_recovered() || self.sending.has_previous_run()
    }

    fn give_up(&mut self, abandoned: Abandoned) {
        self.wind_down();
        self.abandoned.get_or_insert(abandoned);
        self.end_abandoned();
    }

    /// Ends everything that can be ended now, once it was given up.
    pub(super) fn end_abandoned(&mut self) {
        let Some(Abandoned {
            stored,
            unstored,
            sent,
        }) = self.abandoned.clone()
        else {
            return;
        };
        if stored == Outcome::LeftInQueue {
            self.releases.extend(self.sending.unsent_leases());
        }
        for slot in self.sending.drain() {
            let was_sent = slot.was_perhaps_appended() || slot.is_awaiting_answer();
            let (run, _) = slot.finish();
            let outcome = match (&stored, &run.origin) {
                // The queue that has the records of another makes of the doubt what it can.
                (Outcome::Failed(_), _) | (_, Origin::Foreign(_)) if was_sent => {
                    Outcome::InDoubt(sent)
                }
                _ => stored.clone(),
            };
            self.ends.end(run, outcome, None);
        }
        let foreign: Vec<_> = self.backlog.drain_foreign().collect();
        for foreign in foreign {
            let run = EndedRun {
                origin: Origin::Foreign(foreign.ticket),
                first_record: 0,
                records: foreign.body.record_count(),
                calls: u64::from(foreign.body.call_count()),
                held_bytes: 0,
            };
            self.ends.end(run, stored.clone(), None);
        }
        while let Some(entry) = self.backlog.pop() {
            self.ends.end(entry.into_run(), stored.clone(), None);
        }
        self.intake
            .abandon(&mut self.backlog, &unstored, &mut self.ends);
    }
}
