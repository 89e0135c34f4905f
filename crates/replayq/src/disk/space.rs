//! Giving space back: files that are kept to be used again, and what a drained queue still has.

use crate::disk::{Disk, into_flush};
use crate::error::FlushError;

impl Disk {
    /// Removes the files that are kept to be used again. Returns whether there were any.
    pub(crate) fn release_spares(&self) -> bool {
        let spares = self.ledger.lock().take_spares();
        let had_some = !spares.is_empty();
        self.let_go(spares);
        had_some
    }

    /// Removes all files that hold nothing which is not done, the one that is being filled too.
    pub(crate) fn trim(&self) -> Result<(), FlushError> {
        let version = {
            let mut writer = self.writer.lock();
            let is_drained = {
                let ledger = self.ledger.lock();
                if ledger.is_closed() {
                    return Err(FlushError::Closed);
                }
                ledger.load().items == 0 && ledger.leases().len() == 0
            };
            if is_drained && writer.segment().is_some() && !writer.room().is_empty {
                self.close_segment(&mut writer);
                writer.start_small();
            }
            self.release_spares();
            self.ledger.lock().touch()
        };
        self.commit(version, &[]).map_err(into_flush)?;
        self.release_spares();
        Ok(())
    }
}
