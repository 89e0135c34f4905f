//! Leases on their way to the owner, who separates them by partition.

use super::Unrouted;
use crate::action::{EndedLease, LeaseNo, LeaseOperation, Origin};
use crate::assemble::LeasedBatches;
use crate::backlog::{Entry, Held};
use crate::batch::BatchBody;
use crate::config::Storage;
use crate::reencode::Piece;
use crate::routable::{Routable, RoutedPart};
use crate::routing::Opened;
use crate::routing_tag::RoutingTag;

impl<T: Clone> Unrouted<T> {
    /// A lease was read, for the first time or again.
    pub(super) fn handle_leased(&mut self, lease: LeaseNo, batches: LeasedBatches) {
        self.lease_work.succeeded();
        if let Some(origin) = self.routing.origin(lease) {
            return self.reloaded(lease, origin, batches);
        }
        if self.abandoned.is_some() {
            return self.release(lease);
        }
        if let Some((error, _)) = batches.unreadable()
            && error.is_foreign()
        {
            self.intake.refuse(error);
            self.backlog.block();
            return self.release(lease);
        }
        let found = self.backlog.leased(lease, &batches);
        self.ends.counters_mut().damage(found.lost_items);
        for entry in found.lost {
            self.ends
                .end_damaged(entry.first_call, vec![entry.into_run()]);
        }
        match found.held {
            Held::Previous { tag, .. } => {
                // Leases end in any order, so that positions tell of gaps within one only.
                let (missing, _) = batches.missing_since(None);
                let pieces = batches.into_pieces();
                let held = pieces.iter().map(Piece::byte_count).sum();
                let counters = self.ends.counters_mut();
                counters.damage(missing);
                counters.hold(held);
                let tag = tag.map(|tag| RoutingTag::decode(&tag));
                let opened = Opened {
                    origin: Origin::PreviousRun,
                    calls: (0, 0),
                    records: 0,
                    bytes: held,
                    tag: tag.unwrap_or_default(),
                };
                self.push(lease, opened, pieces);
            }
            Held::Own(entry) => self.push_own(lease, entry, batches.into_pieces()),
            Held::Nobody => self.acks.push(EndedLease { lease, body: None }),
            Held::Unexpected => self.release(lease),
        }
    }

    fn release(&mut self, lease: LeaseNo) {
        self.lease_work.push(LeaseOperation::Release(lease));
    }

    /// A lease was read again, for partitions that have room now.
    fn reloaded(&mut self, lease: LeaseNo, origin: Origin<T>, batches: LeasedBatches) {
        let due = self.routing.due(lease);
        if due.is_empty() {
            return;
        }
        self.routable.push_back(Routable {
            lease,
            origin,
            pieces: into_parts(batches.into_pieces()),
            part: RoutedPart::Deferred(due),
            was_sent: self.routing.was_sent(lease),
        });
    }

    fn push_own(&mut self, lease: LeaseNo, entry: Entry<T>, pieces: Vec<Piece>) {
        let lost = entry.missing(&pieces);
        let lost_calls: u64 = lost.iter().map(|run| run.calls).sum();
        let lost_bytes: u64 = lost.iter().map(|run| run.held_bytes).sum();
        let calls = entry.calls.saturating_sub(lost_calls);
        self.ends.end_damaged(entry.first_call + calls, lost);
        let opened = Opened {
            bytes: entry.bytes.saturating_sub(lost_bytes),
            calls: (entry.first_call, calls),
            records: 0,
            origin: Origin::ThisRun(entry.token),
            tag: RoutingTag::default(),
        };
        self.push(lease, opened, pieces);
    }

    /// A lease of which these pieces are left.
    fn push(&mut self, lease: LeaseNo, mut opened: Opened<T>, pieces: Vec<Piece>) {
        let routable = Routable {
            lease,
            origin: opened.origin.clone(),
            pieces: into_parts(pieces),
            part: RoutedPart::AllBut(opened.tag.done.clone()),
            was_sent: opened.tag.is_doubtful,
        };
        let calls = routable.calls();
        opened.records = calls.iter().map(|(_, records)| u64::from(*records)).sum();
        if calls.is_empty() {
            self.ends.counters_mut().let_go(opened.bytes);
            self.acks.push(EndedLease { lease, body: None });
            return;
        }
        self.routing.open(lease, opened);
        if self.storage == Storage::Memory || !self.tagging.tags(lease) {
            self.routable.push_back(routable);
            return;
        }
        let tag = self.routing.tag(lease);
        self.write_tag(lease, &tag);
        self.tagging.wait(routable);
    }
}

fn into_parts(pieces: Vec<Piece>) -> Vec<(u32, BatchBody)> {
    let parts = pieces
        .into_iter()
        .map(|piece| (piece.first_record(), piece.into_body()));
    parts.collect()
}
