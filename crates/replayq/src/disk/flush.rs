//! Making what was answered outlive the process, or the power.

use std::io::ErrorKind;

use crate::sync::Mutex;

use crate::config::Flush;
use crate::disk::writer::Writer;
use crate::disk::{Disk, Offload, into_flush};
use crate::error::{FlushError, IoContext, IoFailure};
use crate::format::segment::key::SegmentKey;
use crate::state::ledger::Ledger;
use crate::state::segments::Segment;
use crate::vfs::{self, OpenMode};

impl Disk {
    /// Makes everything that was answered so far survive what the level names; nothing where nothing is to survive.
    pub(crate) fn flush(&self, ledger: &Mutex<Ledger>, level: Flush) -> Result<(), FlushError> {
        if self.settings.offload == Some(Offload::Lost) {
            return Ok(());
        }
        self.check_directory()?;
        self.write_memory_down(ledger)?;
        if level == Flush::Disk {
            self.sync_segments(ledger)?;
        }
        let version = ledger.lock().version;
        self.commit(ledger, version, &[]).map_err(into_flush)?;
        if level == Flush::Disk {
            self.sync_names(ledger)
        } else {
            Ok(self.control.lock().file.check_name()?)
        }
    }

    /// Writes down what is in no file, in the mode that has such items.
    fn write_memory_down(&self, ledger: &Mutex<Ledger>) -> Result<(), FlushError> {
        if self.settings.offload.is_none() {
            return Ok(());
        }
        let _nothing_in_hand = self.hands.write();
        let mut writer = self.writer.lock();
        if ledger.lock().is_closed {
            return Err(FlushError::Closed);
        }
        self.write_down(&mut writer, ledger).map_err(into_flush)
    }

    /// Syncs the segments that were written since the last time. One whose sync failed is never synced again, but replaced.
    fn sync_segments(&self, ledger: &Mutex<Ledger>) -> Result<(), FlushError> {
        let unsynced = |segment: &Segment| segment.is_unsynced;
        for key in keys(ledger, unsynced) {
            let mut writer = self.writer.lock();
            self.sync_segment(&mut writer, ledger, key)?;
        }
        let suspect = |segment: &Segment| segment.is_suspect;
        if keys(ledger, suspect).is_empty() {
            return Ok(());
        }
        let _no_lease_in_hand = self.hands.write();
        let _writer = self.writer.lock();
        if ledger.lock().is_closed {
            // Whoever closed the queue waits for the writer, or has let go of the directory.
            return Err(FlushError::Closed);
        }
        let mut lost = 0_u64;
        for key in keys(ledger, suspect) {
            lost = lost.saturating_add(self.rescue(ledger, key)?);
        }
        if lost == 0 {
            Ok(())
        } else {
            Err(FlushError::Lost { items: lost })
        }
    }

    /// Syncs a segment. After a failure it is suspect, and nothing more is written to it.
    fn sync_segment(
        &self,
        writer: &mut Writer,
        ledger: &Mutex<Ledger>,
        key: SegmentKey,
    ) -> Result<(), IoFailure> {
        let is_done = || ledger.lock().segments.get(key).is_none();
        let is_suspect = |segment: &Segment| segment.is_suspect;
        if is_done() || ledger.lock().segments.get(key).is_some_and(is_suspect) {
            return Ok(());
        }
        let path = self.directory.join(key.file_name());
        let file = match vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Write)) {
            // All that was in it was acked meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && is_done() => return Ok(()),
            file => file.context("open", &path)?,
        };
        let is_synced = vfs::uninterrupted(|| file.sync()).is_ok();
        if let Some(segment) = ledger.lock().segments.get_mut(key) {
            segment.is_unsynced = !is_synced;
            segment.is_suspect = !is_synced;
        }
        if !is_synced && writer.segment() == Some(key) {
            self.distrust(writer, ledger);
        }
        Ok(())
    }

    /// Syncs the control file, then the names of all files.
    fn sync_names(&self, ledger: &Mutex<Ledger>) -> Result<(), FlushError> {
        {
            let mut control = self.control.lock();
            if control.is_closed || ledger.lock().is_closed {
                return Err(FlushError::Closed);
            }
            control.file.sync()?;
        }
        self.vfs
            .sync_directory(&self.directory)
            .context("sync", &self.directory)?;
        Ok(())
    }
}

fn keys(ledger: &Mutex<Ledger>, is_wanted: impl Fn(&Segment) -> bool) -> Vec<SegmentKey> {
    let ledger = ledger.lock();
    let wanted = ledger
        .segments
        .iter()
        .filter(|(_, segment)| is_wanted(segment));
    wanted.map(|(key, _)| key).collect()
}
