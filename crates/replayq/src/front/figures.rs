//! Figures of a queue, and the damage that was found.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::damage::Damage;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::front::queue::Queue;
use crate::ids::{ItemRange, LeaseId};
use crate::limits::PopLimits;
use crate::limits::load::Load;
use crate::metrics::Metrics;
use crate::stats::Stats;

impl Queue {
    /// Returns whether the queue is closed, and whether a pop may find items. What is counted on
    /// disk may be too low for a while: only reading says that there is nothing.
    pub(crate) fn may_have_items(&self) -> (bool, bool) {
        let ledger = self.ledger();
        let backlog = ledger.backlog();
        (
            ledger.is_closed(),
            backlog.is_behind() || !backlog.resident().is_empty(),
        )
    }

    /// The open leases: name, items, what of them is open, tag.
    pub(crate) fn open_lease_list(&self) -> Vec<(LeaseId, ItemRange, Load, Option<Bytes>)> {
        let ledger = self.ledger();
        let leases = ledger.leases().iter();
        leases
            .map(|(id, lease)| {
                let load = Load {
                    items: lease.open_items,
                    bytes: lease.open_bytes,
                };
                (id, lease.items, load, lease.tag.clone())
            })
            .collect()
    }

    /// Items that wait: neither leased nor done.
    pub fn count(&self) -> u64 {
        self.ledger().backlog().items()
    }

    /// Their payloads' bytes.
    pub fn bytes(&self) -> u64 {
        self.ledger().backlog().bytes()
    }

    /// Returns whether no item is waiting; leased ones do not count.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// All figures.
    pub fn stats(&self) -> Stats {
        let control_bytes = self.disk().map_or(0, Disk::control_bytes);
        let stats = self.ledger().stats();
        Stats {
            disk_bytes: stats.disk_bytes.saturating_add(control_bytes),
            ..stats
        }
    }

    /// Counters since open, for metrics: a handle that outlives the queue, and is read without a
    /// lock.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.ledger().metrics()
    }

    /// The age of the oldest item that is not done, waiting or leased, by the system's clock; zero
    /// where that was set back. `None` where the queue is empty, or the time is unknown since the
    /// header of a segment is damaged. Reads from disk where no waiting item is in memory. Of a
    /// lease of a previous run it is the age of its segment: more than that of the item by the time
    /// in which the segment was filled, at most.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use replayq::{Config, Queue};
    ///
    /// let (queue, _) = Queue::open(Config::memory())?;
    /// assert_eq!(queue.oldest_age()?, None);
    /// queue.append_one("an item".into())?;
    /// let is_late = queue.oldest_age()? > Some(Duration::from_secs(60));
    /// assert!(!is_late);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::peek`].
    pub fn oldest_age(&self) -> Result<Option<Duration>, ReadError> {
        if let Some(disk) = self.disk() {
            disk.read_ahead(&PopLimits::items(1))?;
        }
        let now = self.now();
        let ledger = self.ledger();
        if ledger.is_closed() {
            return Err(ReadError::Closed);
        }
        Ok(ledger.oldest().map(|oldest| now.since(oldest)))
    }

    /// The places that were found damaged since open, at open included: the latest thousand.
    pub fn damage(&self) -> Vec<Damage> {
        self.damage_since(0)
    }

    /// The places that were found damaged since [`Stats::damage`] was `seen`, at most the latest
    /// thousand. Opening finds damage, and so do pops and reads of leases: whoever owns the queue
    /// calls this when that figure has grown, and passes each place on to a log or an operator.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, PopLimits, Queue};
    ///
    /// let room = tempfile::tempdir()?;
    /// let (queue, _) = Queue::open(Config::disk(room.path().join("queue")))?;
    /// let mut seen = 0;
    /// while let Some(lease) = queue.pop(PopLimits::default())? {
    ///     queue.ack(lease.id)?;
    ///     let stats = queue.stats();
    ///     if stats.damage > seen {
    ///         for damage in queue.damage_since(seen) {
    ///             eprintln!("error: {damage}");
    ///         }
    ///         eprintln!("error: {} items are lost", stats.lost_items);
    ///         seen = stats.damage;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn damage_since(&self, seen: u64) -> Vec<Damage> {
        self.ledger().damage_since(seen)
    }

    /// By how many bytes the queue is over its limit, or over the one that it shares with others,
    /// whichever is more; negative: so much room is left. What counts is said at
    /// [`Config::max_total_bytes`](crate::Config::max_total_bytes).
    pub fn overflow_bytes(&self) -> i64 {
        let load = self.ledger().load();
        self.admission.overflow_bytes(load)
    }

    /// Returns whether the queue has no files.
    pub fn is_memory_only(&self) -> bool {
        self.disk().is_none()
    }

    /// Returns whether appended items go to files at the moment.
    pub fn is_writing_to_disk(&self) -> bool {
        self.disk()
            .is_some_and(|disk| !disk.is_offloading() || disk.ledger().has_spilled())
    }

    /// The directory of the queue, as the file system knows it.
    pub fn directory(&self) -> Option<&Path> {
        self.disk().map(Disk::directory)
    }
}
