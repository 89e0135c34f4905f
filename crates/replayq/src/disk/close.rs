//! Giving up the directory: closed, or with all of its files.

use std::io::ErrorKind;

use crate::disk::directory::remove_files;
use crate::disk::{Disk, Offload, into_flush};
use crate::error::{AckError, FlushError, IoContext, IoFailure};
use crate::format::control::Found;
use crate::vfs::{OpenMode, VfsLock};

impl Disk {
    /// Writes what is in memory and the last commit, this twice, and releases the lock. Where that
    /// fails the queue is open again.
    pub(crate) fn close(&self) -> Result<(), FlushError> {
        let mut lock = self.lock.lock();
        if !self.ledger.lock().close() {
            return Ok(());
        }
        match self.write_the_end() {
            Ok(()) => {
                *lock = None;
                Ok(())
            }
            Err(error) => {
                self.control.lock().is_closed = false;
                self.ledger.lock().reopen();
                Err(into_flush(error))
            }
        }
    }

    fn write_the_end(&self) -> Result<(), AckError> {
        self.check_directory().map_err(AckError::NotDurable)?;
        // Calls that have items in transit put them back, or into a lease.
        drop(self.in_transit.write());
        let mut writer = self.writer.lock();
        if self.settings.offload == Some(Offload::Written) {
            self.write_down(&mut writer)?;
        }
        let mut control = self.control.lock();
        control.is_closed = true;
        self.await_departures();
        self.write_commit(&mut control, 0)?;
        control.file.repeat_commit().map_err(AckError::NotDurable)?;
        control.file.check_name().map_err(AckError::NotDurable)?;
        if self.settings.is_synced {
            control.file.sync().map_err(AckError::NotDurable)?;
        }
        Ok(())
    }

    /// Removes all files of the queue, then the directory if nothing else is in it.
    pub(crate) fn purge(&self) -> Result<(), FlushError> {
        let mut lock = self.lock.lock();
        self.ledger.lock().close();
        drop(self.in_transit.write());
        let _writer = self.writer.lock();
        let mut control = self.control.lock();
        control.is_closed = true;
        self.await_departures();
        if control.is_purged {
            return Ok(());
        }
        // Kept until all is removed, so that a purge that failed can be tried again.
        let held = match lock.take() {
            Some(held) => Some(held),
            None => self.lock_again(control.file.sequence())?,
        };
        let removed = match &held {
            Some(_) => remove_files(&*self.vfs, &self.directory, Some(self.uuid)),
            None => Ok(()),
        };
        if removed.is_err() {
            *lock = held;
            return Ok(removed?);
        }
        control.is_purged = true;
        match self.vfs.remove_directory(&self.directory) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound
                ) =>
            {
                Ok(())
            }
            removed => Ok(removed.context("remove", &self.directory)?),
        }
    }

    /// The lock of a queue that was closed, to remove its files; none if they are gone. Only where
    /// the directory is as it was left: who opens it writes a commit.
    fn lock_again(&self, sequence: u64) -> Result<Option<Box<dyn VfsLock>>, FlushError> {
        let is_another = || FlushError::OpenedElsewhere {
            path: self.directory.clone(),
        };
        match self.vfs.check_directory(&self.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It was removed, or another one is in its place: that is another's.
                return match self.vfs.canonical_directory(&self.directory) {
                    Ok(_) => Err(is_another()),
                    Err(_) => Ok(None),
                };
            }
            Err(error) => return Err(IoFailure::new("find", &self.directory, error).into()),
        }
        let held = self.vfs.lock(&self.directory);
        let held = held.context("lock", &self.directory)?;
        let held = held.ok_or_else(is_another)?;
        match self.found_sequence()? {
            Some(found) if found == sequence => Ok(Some(held)),
            Some(_) => Err(is_another()),
            None => Ok(None),
        }
    }

    /// The newest commit in the directory, whoever wrote it; none if there is no control file. One
    /// of another queue counts as none of this one's.
    fn found_sequence(&self) -> Result<Option<u64>, IoFailure> {
        let found = Found::read(&*self.vfs, &self.directory, OpenMode::Read)?;
        Ok(found.map(|found| found.newest(self.uuid).map_or(0, |commit| commit.sequence)))
    }
}
