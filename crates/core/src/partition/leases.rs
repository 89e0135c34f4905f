//! Leases of the local queue that came back: whose they are, and what was lost.

use std::sync::Arc;
use std::time::Instant;

use super::Partition;
use crate::action::{LeaseNo, Origin};
use crate::assemble::LeasedBatches;
use crate::backlog::{Entry, Held};
use crate::batch::Stamp;
use crate::reencode::Piece;
use crate::resume::{Fate, LeasePlan};
use crate::sending::slot::{Doubt, Resumed, SlotParts};

impl<T: Clone> Partition<T> {
    /// The lease that was requested.
    pub(super) fn handle_leased(&mut self, lease: LeaseNo, batches: LeasedBatches, now: Instant) {
        self.is_leasing = false;
        self.take_lease(lease, batches);
        // What is known to be delivered ends at once.
        self.sending.settle(now, &mut self.ends);
    }

    /// Leaves the items of a lease in the queue. One that a previous run had open keeps its tag.
    fn give_back(&mut self, lease: LeaseNo) {
        if !self.backlog.is_recovered_lease(lease) {
            self.releases.push(lease);
        }
    }

    pub(super) fn take_lease(&mut self, lease: LeaseNo, batches: LeasedBatches) {
        if self.abandoned.is_some() {
            self.give_back(lease);
            return;
        }
        if let Some((error, _)) = batches.unreadable()
            && error.is_foreign()
        {
            // Another version wrote it, and may read it again.
            self.intake.refuse(error);
            self.backlog.block();
            self.give_back(lease);
            return;
        }
        let found = self.backlog.leased(lease, &batches);
        self.ends.counters_mut().damage(found.lost_items);
        for entry in found.lost {
            self.ends
                .end_damaged(entry.first_call, vec![entry.into_run()]);
        }
        match found.held {
            Held::Previous { plan, .. } => self.push_previous(lease, plan, batches),
            Held::Own(entry) => self.push_own(lease, &entry, batches.into_pieces()),
            Held::Nobody => self.ends.end_lease(lease),
            Held::Unexpected => self.releases.push(lease),
        }
        if !self.backlog.has_recovered_leases() {
            self.sending.all_reloaded();
        }
    }

    /// Records of previous runs. `plan`: of a lease that was open, and so perhaps sent.
    fn push_previous(&mut self, lease: LeaseNo, plan: Option<LeasePlan>, batches: LeasedBatches) {
        let (missing, position) = batches.missing_since(self.backlog.position());
        self.ends.counters_mut().damage(missing);
        self.backlog.move_to(position);
        let pieces = batches.into_pieces();
        let held: u64 = pieces.iter().map(Piece::byte_count).sum();
        self.ends.counters_mut().hold(held);
        self.push_pieces(lease, &Origin::PreviousRun, held, pieces, plan.as_ref());
    }

    /// A batch of this run. Records that no piece covers were lost.
    fn push_own(&mut self, lease: LeaseNo, entry: &Entry<T>, pieces: Vec<Piece>) {
        let lost = entry.missing(&pieces);
        let held = entry
            .bytes
            .saturating_sub(lost.iter().map(|run| run.held_bytes).sum());
        let lost_calls: u64 = lost.iter().map(|run| run.calls).sum();
        // Which calls they are is not known: a flush waits for the others first.
        let first_lost = entry.first_call + entry.calls.saturating_sub(lost_calls);
        self.ends.end_damaged(first_lost, lost);
        let origin = Origin::ThisRun(entry.token.clone());
        self.push_pieces(lease, &origin, held, pieces, None);
    }

    fn push_pieces(
        &mut self,
        lease: LeaseNo,
        origin: &Origin<T>,
        held_bytes: u64,
        pieces: Vec<Piece>,
        plan: Option<&LeasePlan>,
    ) {
        if pieces.is_empty() {
            self.ends.end_lease(lease);
        }
        let last = pieces.len().saturating_sub(1);
        let mut held_left = held_bytes;
        for (index, piece) in pieces.into_iter().enumerate() {
            let is_last = index == last;
            let held_bytes = if is_last {
                held_left
            } else {
                piece.byte_count().min(held_left)
            };
            held_left = held_left.saturating_sub(held_bytes);
            let (doubt, resumed) = plan.map_or((Doubt::None, Resumed::New), |plan| {
                let (fate, stamp) = plan.fate(piece.first_record(), piece.body().record_count());
                history(fate, stamp)
            });
            if matches!(resumed, Resumed::Stamped(_)) {
                let records = piece.body().record_count();
                self.ends.counters_mut().resume(records);
            }
            self.sending.push(SlotParts {
                first_record: piece.first_record(),
                body: Arc::new(piece.into_body()),
                origin: origin.clone(),
                held_bytes,
                lease: Some((lease, is_last)),
                doubt,
                resumed,
            });
        }
    }
}

/// State that a slot begins with, after the previous run's part in its records.
fn history(fate: Fate, stamp: Option<Stamp>) -> (Doubt, Resumed) {
    match (fate, stamp) {
        (Fate::Delivered, _) => (Doubt::None, Resumed::Delivered),
        (Fate::InDoubt, Some(stamp)) => (Doubt::Pending, Resumed::Stamped(stamp)),
        (Fate::InDoubtAgain, Some(stamp)) => (Doubt::Unresolvable, Resumed::Stamped(stamp)),
        (Fate::NotAppended, _) => (Doubt::None, Resumed::New),
        (Fate::InDoubt | Fate::InDoubtAgain | Fate::Unrecognisable, _) => {
            (Doubt::Unresolvable, Resumed::New)
        }
    }
}
