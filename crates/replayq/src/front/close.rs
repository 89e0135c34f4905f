//! Flushing, closing, trimming and purging.

use crate::config::Flush;
use crate::error::FlushError;
use crate::front::queue::Queue;

impl Queue {
    /// Makes everything that was answered so far, acks included, survive what the level names,
    /// whatever the queue's own level is. The queue goes on afterwards as if nothing had been.
    ///
    /// The items that [`Storage::Offload`](crate::Storage::Offload) has in memory are written down,
    /// each time into segments of their own; those of its leases that have a tag come back as
    /// leases. Other calls that take or give back items wait until that is done.
    ///
    /// With [`Storage::Memory`](crate::Storage::Memory) or
    /// [`Storage::OffloadVolatile`](crate::Storage::OffloadVolatile) nothing is to survive: the
    /// call returns Ok, and does nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, Flush, Queue, Storage};
    ///
    /// let room = tempfile::tempdir()?;
    /// let config = || Config::new(Storage::Offload(room.path().join("queue")));
    /// let (queue, _) = Queue::open(config())?;
    /// queue.append_one("written down".into())?;
    /// queue.flush(Flush::Os)?;
    /// queue.append_one("in memory".into())?;
    ///
    /// // The process is killed here.
    /// drop(queue);
    /// let (_, recovery) = Queue::open(config())?;
    /// assert_eq!(recovery.items, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Writing or syncing failed: the next flush tries again. A file whose sync failed is never
    /// synced a second time: what it holds is read back and written to another file, by the same
    /// flush or by the next. What cannot be read back and is not in memory either is lost, see
    /// [`FlushError::Lost`].
    pub fn flush(&self, level: Flush) -> Result<(), FlushError> {
        if self.ledger().is_closed() {
            return Err(FlushError::Closed);
        }
        self.disk().map_or(Ok(()), |disk| disk.flush(level))
    }

    /// Closes the queue: everything that it promised is in the files, and another may open them.
    /// Leases with a tag come back at the next open, other leased items are waiting again then.
    /// Closing twice is no error; dropping the queue without closing loses nothing that survives
    /// the end of the process.
    ///
    /// # Errors
    /// Writing failed: the queue is not closed. It has its directory still and goes on, what was
    /// promised before holds, and it can be closed again, for instance when there is space again.
    /// Dropping it instead loses nothing that was promised.
    pub fn close(&self) -> Result<(), FlushError> {
        let closed = match self.disk() {
            Some(disk) => disk.close(),
            None => {
                self.ledger().close();
                Ok(())
            }
        };
        self.raise_all();
        closed
    }

    /// Wakes all waiting calls, for the end of the queue.
    fn raise_all(&self) {
        self.data.raise_for_all();
        self.admission.raise_room();
    }

    /// Frees the space that is kept for later: files that are kept to be used again, and, where
    /// nothing waits and nothing is leased, the segment that is being filled. What is left of such
    /// a queue is its control file. The queue goes on afterwards. It does the same by itself where
    /// an append finds no space.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, PopLimits, Queue};
    ///
    /// let room = tempfile::tempdir()?;
    /// let (queue, _) = Queue::open(Config::disk(room.path().join("queue")))?;
    /// queue.append_one(vec![0; 1 << 20].into())?;
    /// let lease = queue.pop(PopLimits::default())?.ok_or("nothing waits")?;
    /// queue.ack(lease.id)?;
    /// queue.trim()?;
    /// assert!(queue.stats().disk_bytes < 128 << 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The commit could not be written, or the queue was closed.
    pub fn trim(&self) -> Result<(), FlushError> {
        match self.disk() {
            Some(disk) => disk.trim(),
            None => Ok(()),
        }
    }

    /// Closes the queue and removes its files and its directory; a directory in which others have
    /// put files stays. A queue that was closed before is removed too, unless it was opened again
    /// since.
    ///
    /// # Errors
    /// A file could not be removed: it can be tried again. Or the directory is another's since the
    /// queue was closed, see [`FlushError::OpenedElsewhere`].
    pub fn close_and_purge(&self) -> Result<(), FlushError> {
        match self.disk() {
            Some(disk) => {
                let purged = disk.purge();
                self.raise_all();
                purged
            }
            None => self.close(),
        }
    }
}
