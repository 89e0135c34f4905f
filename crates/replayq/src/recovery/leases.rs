//! Leases of the previous run.

use std::path::Path;

use crate::config::Config;
use crate::damage::{RecoveredLease, Recovery};
use crate::disk::reader;
use crate::error::IoFailure;
use crate::format::control::LeaseSlot;
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::key::QueueUuid;
use crate::format::segment::walk::Payloads;
use crate::ids::ranges::RangeSet;
use crate::ids::{ItemId, ItemRange};
use crate::state::leases::{Home, OpenLease};
use crate::state::ledger::Ledger;

/// The lease records that were found, sorted out.
#[derive(Default)]
pub(super) struct Restored {
    /// Slots with leases that are open again, and their records.
    pub(super) kept: Vec<(LeaseSlot, LeaseRecord)>,
    /// Records that a later one of the same items replaces. They must not count when that one is
    /// over.
    pub(super) replaced: Vec<(ItemRange, Home)>,
}

/// Opens the leases again that still have open items; of two that overlap the later one.
pub(super) fn restore_leases(
    ledger: &mut Ledger,
    mut found: Vec<(LeaseRecord, Home)>,
    recovery: &mut Recovery,
    config: &Config,
    directory: &Path,
    uuid: QueueUuid,
) -> Result<Restored, IoFailure> {
    let mut restored = Restored::default();
    found.sort_unstable_by_key(|(record, _)| std::cmp::Reverse(record.sequence));
    ledger.set_lease_sequence(found.first().map_or(0, |(record, _)| record.sequence));
    let mut kept: Vec<(LeaseRecord, Home)> = Vec::new();
    let mut taken = RangeSet::default();
    for (record, home) in found {
        if !ledger.has_open(record.items) {
            continue;
        }
        let (first, last) = (record.items.first.0, record.items.last.0);
        if taken.overlaps(first, last) {
            ledger.pin(home);
            restored.replaced.push((record.items, home));
        } else {
            taken.insert(first, last);
            kept.push((record, home));
        }
    }
    kept.sort_unstable_by_key(|(record, _)| record.items.first);
    let mut counts = vec![(0_u64, 0_u64); kept.len()];
    for span in ledger.spans(kept.iter().map(|(record, _)| record.items)) {
        reader::visit(
            &*config.vfs,
            directory,
            uuid,
            span,
            Payloads::Skip,
            config.read_bytes,
            |id, bytes, _| {
                let at = kept.partition_point(|(record, _)| record.items.last.0 < id);
                if let (Some((record, _)), Some(count)) = (kept.get(at), counts.get_mut(at))
                    && record.items.contains(ItemId(id))
                    && !ledger.acks().contains(id)
                {
                    *count = (count.0.saturating_add(1), count.1.saturating_add(bytes));
                }
            },
        )?;
    }
    for ((record, home), (open_items, open_bytes)) in kept.into_iter().zip(counts) {
        if open_items == 0 {
            continue;
        }
        ledger.pin(home);
        let id = ledger.restore_lease(OpenLease {
            items: record.items,
            held: None,
            open_items,
            open_bytes,
            tag: Some(record.tag.clone()),
            is_recorded: true,
            homes: vec![home],
        });
        if let Home::Slot(slot) = home {
            restored.kept.push((slot, record.clone()));
        }
        recovery.leases.push(RecoveredLease {
            id,
            items: record.items,
            open_items,
            tag: record.tag,
        });
    }
    Ok(restored)
}
