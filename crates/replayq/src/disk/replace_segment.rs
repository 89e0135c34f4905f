//! A segment whose sync failed: what it holds beyond what was synced before is anybody's guess after a power loss, and a sync that is tried again says nothing, since the system
//! may have forgotten that there was something to write. It may even have dropped it. So what can be read back is written to a new file, and what is in memory too.

use crate::sync::Mutex;

use crate::disk::Disk;
use crate::disk::copy::{Copy, Source};
use crate::disk::directory::remove_file;
use crate::error::{IoContext, IoFailure};
use crate::format::segment::key::{self, SegmentKey};
use crate::state::ledger::{Ledger, Place};
use crate::state::segments::{Retired, Segment};
use crate::vfs::{self, OpenMode};

impl Disk {
    /// Puts a new segment in the place of one that does not count as durable any more, and is not written any more. The writer must be held. Returns how many items are lost.
    pub(crate) fn rescue(&self, ledger: &Mutex<Ledger>, old: SegmentKey) -> Result<u64, IoFailure> {
        let (key, segment, limit_id, at_hand) = {
            let mut ledger = ledger.lock();
            let Some(segment) = ledger.segments.get(old).cloned() else {
                return Ok(0);
            };
            let limit_id = ledger.segments.limit_id(old);
            let key = if limit_id == old.first_id {
                // It holds leases only, and the next segment has items from the same id on: a later generation would count in the place of that one.
                old
            } else {
                let generation = ledger.generations.draw();
                SegmentKey { generation, ..old }
            };
            let at_hand = ledger.items_at_hand(old.first_id, segment.last_id);
            (key, segment, limit_id, at_hand)
        };
        let old_path = self.directory.join(old.file_name());
        let new_path = self.directory.join(key::NEW_FILE_NAME);
        remove_file(&*self.vfs, &new_path)?;
        let file = vfs::uninterrupted(|| self.vfs.open(&old_path, OpenMode::Read))
            .context("open", &old_path)?;
        let target = vfs::uninterrupted(|| self.vfs.open(&new_path, OpenMode::Create))
            .context("create", &new_path)?;
        let source = Source {
            file,
            path: old_path,
            uuid: self.uuid,
            key: old,
            previous_id: segment.previous_id,
            made: segment.made,
            limit_id,
            end: segment.end,
            at_hand,
        };
        let mut copy = Copy::new(source, key);
        let path = self.directory.join(key.file_name());
        let copied = copy
            .run(&*target, &new_path, segment.last_id)
            .and_then(|()| vfs::uninterrupted(|| target.sync()).context("sync", &new_path))
            .and_then(|()| {
                // From here on the new one counts: of two with the same first item the later generation does.
                self.vfs
                    .rename(&new_path, &path)
                    .context("rename", &new_path)
            });
        self.report_holes(ledger);
        if copied.is_err() {
            // It would only take space that the next try needs.
            let _ = self.vfs.remove(&new_path);
            copied?;
        }
        let (lost, retired) = {
            let mut reader = self.reader.lock();
            let was_being_read = reader.let_go(old);
            replace(&mut ledger.lock(), old, &segment, key, copy, was_being_read)
        };
        let Some(retired) = retired else {
            // All that was in the old one was acked meanwhile.
            remove_file(&*self.vfs, &path)?;
            return Ok(0);
        };
        if key == old {
            // The old file has no name any more.
            ledger.lock().segments.forget(&retired);
            self.vfs
                .sync_directory(&self.directory)
                .context("sync", &self.directory)?;
            return Ok(lost);
        }
        if let Err(error) = self.vfs.sync_directory(&self.directory) {
            // The old file may be all that a power loss leaves: it stays until the next open, which sees that the new one counts.
            let stays = Retired {
                covered_by: u64::MAX,
                ..retired
            };
            ledger.lock().segments.keep(stays);
            return Err(IoFailure::new("sync", &self.directory, error));
        }
        self.let_go(ledger, vec![retired]);
        Ok(lost)
    }
}

/// Shows the new segment in the place of the old one, if this is still there. Returns how many items are lost, and what is to be done with the old file.
fn replace(
    ledger: &mut Ledger,
    old: SegmentKey,
    before: &Segment,
    key: SegmentKey,
    copy: Copy,
    was_being_read: bool,
) -> (u64, Option<Retired>) {
    let open = ledger.segments.get(old).and_then(|segment| segment.open);
    let Some(mut retired) = ledger.segments.take_out(old) else {
        return (0, None);
    };
    let mut segment = Segment::new(key, before.previous_id, before.made, copy.seal.end);
    segment.last_id = copy.seal.last_id;
    segment.items = copy.seal.items;
    segment.payload_bytes = copy.seal.payload_bytes;
    segment.open = open;
    segment.end = copy.seal.end;
    segment.is_closed = true;
    segment.lease_pins = ledger.leases.move_homes(old, key, &copy.leases);
    ledger.segments.insert(key, segment);
    let mut lost = 0_u64;
    for damage in copy.damage {
        let Some(ids) = damage.ids() else { continue };
        let (first, last) = (ids.first.0, ids.last.0);
        let open = ledger.acks.open_within(first, last);
        if open.is_empty() {
            continue;
        }
        let spans = open.iter().map(|(first, last)| last.saturating_sub(first));
        let spans = spans.map(|span| span.saturating_add(1));
        lost = spans.fold(lost, u64::saturating_add);
        ledger.report(damage);
        ledger.finish(first, last);
        retired.is_damaged = true;
    }
    if lost > 0
        && let Some(segment) = ledger.segments.get_mut(key)
    {
        // Their payloads' bytes are not known.
        segment.open = None;
    }
    let is_unread = ledger
        .unread_from
        .map_or(was_being_read, |place| place.segment == old);
    if is_unread && ledger.backlog.is_behind() {
        // Who reads it from its start again passes over what was read before.
        ledger.unread_from = Some(Place::start_of(key));
    }
    ledger.segments.note_changed(&ledger.acks, key);
    (lost, Some(retired))
}
