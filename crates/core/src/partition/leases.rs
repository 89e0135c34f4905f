//! Leases of the local queue that came back: whose they are, and what was lost.

use std::sync::Arc;

use super::Partition;
use crate::action::{LeaseNo, Origin};
use crate::assemble::LeasedBatches;
use crate::backlog::{Entry, Held};
use crate::reencode::Piece;
use crate::sending::slot::{Doubt, SlotParts};

impl<T: Clone> Partition<T> {
    /// The lease that was requested.
    pub(super) fn handle_leased(&mut self, lease: LeaseNo, batches: LeasedBatches) {
        self.is_leasing = false;
        if self.abandoned.is_some() {
            self.releases.push(lease);
            return;
        }
        if let Some((error, _)) = batches.unreadable()
            && error.is_foreign()
        {
            // Another version wrote it, and may read it again.
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
            Held::Previous { was_tagged } => self.push_previous(lease, was_tagged, batches),
            Held::Own(entry) => self.push_own(lease, &entry, batches.into_pieces()),
            Held::Nobody => self.ends.end_lease(lease),
            Held::Unexpected => self.releases.push(lease),
        }
    }

    fn push_previous(&mut self, lease: LeaseNo, was_tagged: bool, batches: LeasedBatches) {
        let (missing, position) = batches.missing_since(self.backlog.position());
        self.ends.counters_mut().damage(missing);
        self.backlog.move_to(position);
        let doubt = if was_tagged {
            Doubt::Unresolvable
        } else {
            Doubt::None
        };
        let pieces = batches.into_pieces();
        let held: u64 = pieces.iter().map(Piece::byte_count).sum();
        self.ends.counters_mut().hold(held);
        self.push_pieces(lease, &Origin::PreviousRun, held, pieces, doubt);
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
        self.push_pieces(lease, &origin, held, pieces, Doubt::None);
    }

    fn push_pieces(
        &mut self,
        lease: LeaseNo,
        origin: &Origin<T>,
        held_bytes: u64,
        pieces: Vec<Piece>,
        doubt: Doubt,
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
            self.sending.push(SlotParts {
                first_record: piece.first_record(),
                body: Arc::new(piece.into_body()),
                origin: origin.clone(),
                held_bytes,
                lease: Some((lease, is_last)),
                doubt,
            });
        }
    }
}
