//! Making what was answered outlive the process, or the power.

use parking_lot::Mutex;

use crate::config::Flush;
use crate::disk::{Disk, Offload, into_flush};
use crate::error::{FlushError, IoContext, IoFailure};
use crate::ledger::Ledger;
use crate::segment::key::SegmentKey;
use crate::vfs::{self, OpenMode};

impl Disk {
    /// Makes everything that was answered so far survive what the level names; nothing where nothing is to survive.
    pub(crate) fn flush(&self, ledger: &Mutex<Ledger>, level: Flush) -> Result<(), FlushError> {
        if self.settings.offload == Some(Offload::Lost) {
            return Ok(());
        }
        self.write_memory_down(ledger)?;
        if level == Flush::Disk {
            self.sync_segments(ledger)?;
        }
        let version = ledger.lock().version;
        self.commit(ledger, version, &[]).map_err(into_flush)?;
        if level == Flush::Disk {
            self.sync_names(ledger)?;
        }
        Ok(())
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

    /// Syncs the segments that were written since the last time. One that failed to sync is never trusted again: the failure stays.
    fn sync_segments(&self, ledger: &Mutex<Ledger>) -> Result<(), IoFailure> {
        let _writer = self.writer.lock();
        let unsynced: Vec<SegmentKey> = ledger
            .lock()
            .segments
            .iter()
            .filter(|(_, segment)| segment.is_unsynced)
            .map(|(key, _)| key)
            .collect();
        for key in unsynced {
            let path = self.directory.join(key.file_name());
            if ledger
                .lock()
                .segments
                .get(key)
                .is_some_and(|segment| segment.is_suspect)
            {
                return Err(IoFailure::new(
                    "sync",
                    &path,
                    std::io::Error::other("an earlier sync of this file failed"),
                ));
            }
            let file = vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Write))
                .context("open", &path)?;
            let result = vfs::uninterrupted(|| file.sync()).context("sync", &path);
            if let Some(segment) = ledger.lock().segments.get_mut(key) {
                segment.is_unsynced = result.is_err();
                segment.is_suspect = result.is_err();
            }
            result?;
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
