//! A segment whose sync failed: what it holds beyond what was synced before is anybody's guess
//! after a power loss, and a sync that is tried again says nothing, since the system may have
//! forgotten that there was something to write. It may even have dropped it. So what can be read
//! back is written to a new file, and what is in memory too.

use crate::disk::Disk;
use crate::disk::copy::{Copy, Source};
use crate::disk::directory::remove_file;
use crate::error::{IoContext, IoFailure};
use crate::format::segment::key::{self, SegmentKey};
use crate::state::ledger::{Copied, Rescue};
use crate::state::segment::Retired;
use crate::vfs::{self, OpenMode};

impl Disk {
    /// Puts a new segment in the place of one that does not count as durable any more, and is not
    /// written any more. The writer must be held. Returns how many items are lost.
    pub(crate) fn rescue(&self, old: SegmentKey) -> Result<u64, IoFailure> {
        let Some(rescue) = self.ledger.lock().begin_rescue(old) else {
            return Ok(0);
        };
        let Rescue {
            key,
            segment,
            limit_id,
            at_hand,
        } = rescue;
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
                // From here on the new one counts: of two with the same first item the later
                // generation does.
                self.vfs
                    .rename(&new_path, &path)
                    .context("rename", &new_path)
            });
        self.report_holes();
        if copied.is_err() {
            // It would only take space that the next try needs.
            let _ = self.vfs.remove(&new_path);
            copied?;
        }
        let (lost, retired) = {
            let mut reader = self.reader.lock();
            let was_being_read = reader.let_go(old);
            let copied = Copied {
                key,
                seal: &copy.seal,
                leases: &copy.leases,
                damage: copy.damage,
            };
            self.ledger
                .lock()
                .replace_segment(old, &segment, copied, was_being_read)
        };
        let Some(retired) = retired else {
            // All that was in the old one was acked meanwhile.
            remove_file(&*self.vfs, &path)?;
            return Ok(0);
        };
        if key == old {
            // The old file has no name any more.
            self.ledger.lock().note_removed(&retired);
            self.vfs
                .sync_directory(&self.directory)
                .context("sync", &self.directory)?;
            return Ok(lost);
        }
        if let Err(error) = self.vfs.sync_directory(&self.directory) {
            // The old file may be all that a power loss leaves: it stays until the next open, which
            // sees that the new one counts.
            let stays = Retired {
                covered_by: u64::MAX,
                ..retired
            };
            self.ledger.lock().note_not_removed(stays);
            return Err(IoFailure::new("sync", &self.directory, error));
        }
        self.let_go(vec![retired]);
        Ok(lost)
    }
}
