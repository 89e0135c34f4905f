//! Making what was answered outlive the process, or the power.

use std::io::ErrorKind;

use crate::config::Flush;
use crate::disk::writer::Writer;
use crate::disk::{Disk, Offload, into_flush};
use crate::error::{FlushError, IoContext, IoFailure};
use crate::format::segment::key::SegmentKey;
use crate::state::segment::Segment;
use crate::vfs::{self, OpenMode};

impl Disk {
    /// Makes everything that was answered so far survive what the level names; nothing where
    /// nothing is to survive.
    pub(crate) fn flush(&self, level: Flush) -> Result<(), FlushError> {
        if self.settings.offload == Some(Offload::Lost) {
            return Ok(());
        }
        self.check_directory()?;
        self.write_memory_down()?;
        if level == Flush::Disk {
            self.sync_segments()?;
        }
        let version = self.ledger.lock().version();
        self.commit(version, &[]).map_err(into_flush)?;
        if level == Flush::Disk {
            self.sync_names()
        } else {
            Ok(self.control.lock().file.check_name()?)
        }
    }

    /// Writes down what is in no file, in the mode that has such items.
    fn write_memory_down(&self) -> Result<(), FlushError> {
        if self.settings.offload.is_none() {
            return Ok(());
        }
        let _nothing_in_transit = self.in_transit.write();
        let mut writer = self.writer.lock();
        if self.ledger.lock().is_closed() {
            return Err(FlushError::Closed);
        }
        self.write_down(&mut writer).map_err(into_flush)
    }

    /// Syncs the segments that were written since the last time. One whose sync failed is never
    /// synced again, but replaced.
    fn sync_segments(&self) -> Result<(), FlushError> {
        let unsynced = |segment: &Segment| segment.is_unsynced;
        for key in self.keys(unsynced) {
            let mut writer = self.writer.lock();
            self.sync_segment(&mut writer, key)?;
        }
        let suspect = |segment: &Segment| segment.is_suspect;
        if self.keys(suspect).is_empty() {
            return Ok(());
        }
        let _no_lease_in_transit = self.in_transit.write();
        let _writer = self.writer.lock();
        if self.ledger.lock().is_closed() {
            // The call that closed the queue waits for the writer, or has given up the directory.
            return Err(FlushError::Closed);
        }
        let mut lost = 0_u64;
        for key in self.keys(suspect) {
            lost = lost.saturating_add(self.rescue(key)?);
        }
        if lost == 0 {
            Ok(())
        } else {
            Err(FlushError::Lost { items: lost })
        }
    }

    /// Syncs a segment. After a failure it is suspect, and nothing more is written to it.
    fn sync_segment(&self, writer: &mut Writer, key: SegmentKey) -> Result<(), IoFailure> {
        let is_done = || self.ledger.lock().segments().get(key).is_none();
        let is_suspect = |segment: &Segment| segment.is_suspect;
        if is_done()
            || self
                .ledger
                .lock()
                .segments()
                .get(key)
                .is_some_and(is_suspect)
        {
            return Ok(());
        }
        let path = self.directory.join(key.file_name());
        let file = match vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Write)) {
            // All that was in it was acked meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && is_done() => return Ok(()),
            file => file.context("open", &path)?,
        };
        let is_synced = vfs::uninterrupted(|| file.sync()).is_ok();
        self.ledger.lock().note_sync(key, is_synced);
        if !is_synced && writer.segment() == Some(key) {
            self.distrust(writer);
        }
        Ok(())
    }

    /// Syncs the control file, then the names of all files.
    fn sync_names(&self) -> Result<(), FlushError> {
        {
            let mut control = self.control.lock();
            if control.is_closed || self.ledger.lock().is_closed() {
                return Err(FlushError::Closed);
            }
            control.file.sync()?;
        }
        self.vfs
            .sync_directory(&self.directory)
            .context("sync", &self.directory)?;
        Ok(())
    }

    fn keys(&self, is_wanted: impl Fn(&Segment) -> bool) -> Vec<SegmentKey> {
        let ledger = self.ledger.lock();
        let segments = ledger.segments().iter();
        let wanted = segments.filter(|(_, segment)| is_wanted(segment));
        wanted.map(|(key, _)| key).collect()
    }
}
