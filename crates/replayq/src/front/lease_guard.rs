//! Leases that are released when they are not finished, and a list of those that are open.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{AckError, LeaseError, ReadError};
use crate::front::queue::Queue;
use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::limits::PopLimits;
use crate::state::leases::Lease;

/// A lease that is released when it is dropped, as by a panic of the worker that has it: its items
/// wait again then, before all later ones. [`Self::ack`] ends it as done, [`Self::keep`] as a plain
/// lease.
///
/// The queue is borrowed, or shared: `LeaseGuard::new(Arc::clone(&queue), lease)` goes into any
/// thread or task. Make it where the pop is: on its way to a task that was cancelled meanwhile a
/// lease would stay open, and a guard releases it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use replayq::{Config, PopLimits, Queue};
///
/// let (queue, _) = Queue::open(Config::memory())?;
/// queue.append(&["one".into(), "two".into()])?;
/// let work = || {
///     let lease = queue.lease(PopLimits::items(1)).unwrap().unwrap();
///     assert_eq!(&lease.items[0].payload[..], b"one");
///     panic!("cannot do it");
/// };
/// assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
///
/// let lease = queue.lease(PopLimits::items(1))?.ok_or("nothing waits")?;
/// assert_eq!(&lease.items[0].payload[..], b"one");
/// lease.ack()?;
/// assert_eq!(queue.count(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a guard that is dropped releases its lease"]
pub struct LeaseGuard<Q: Deref<Target = Queue>> {
    queue: Q,
    lease: Lease,
    /// Dropping it releases the lease.
    is_armed: bool,
}

impl<Q: Deref<Target = Queue>> LeaseGuard<Q> {
    /// Guards a lease of the queue.
    pub fn new(queue: Q, lease: Lease) -> Self {
        Self {
            queue,
            lease,
            is_armed: true,
        }
    }

    /// Acks all items, as [`Queue::ack`] does.
    ///
    /// # Errors
    /// As [`Queue::ack`]. The items are not released then: they are done, and it is not durable
    /// that they are.
    pub fn ack(mut self) -> Result<(), AckError> {
        self.is_armed = false;
        self.queue.ack(self.lease.id)
    }

    /// Writes a tag, as [`Queue::tag`] does. It is gone when the guard is dropped: what is to
    /// outlive a panic needs [`Self::keep`].
    ///
    /// # Errors
    /// As [`Queue::tag`].
    pub fn tag(&mut self, tag: Bytes) -> Result<(), LeaseError> {
        self.queue.tag(self.lease.id, tag.clone())?;
        self.lease.tag = Some(tag);
        Ok(())
    }

    /// Releases the items, as [`Queue::release`] does, and says whether that was successful.
    ///
    /// # Errors
    /// As [`Queue::release`]: the lease is still open, see [`Queue::open_leases`].
    pub fn release(mut self) -> Result<(), AckError> {
        self.is_armed = false;
        self.queue.release(self.lease.id)
    }

    /// The lease itself: nothing releases it any more but a call, or the end of the process.
    #[must_use]
    pub fn keep(mut self) -> Lease {
        self.is_armed = false;
        Lease {
            id: self.lease.id,
            items: std::mem::take(&mut self.lease.items),
            tag: self.lease.tag.take(),
        }
    }
}

impl<Q: Deref<Target = Queue>> Deref for LeaseGuard<Q> {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.lease
    }
}

impl<Q: Deref<Target = Queue>> Drop for LeaseGuard<Q> {
    fn drop(&mut self) {
        if self.is_armed {
            // Where this fails the lease stays open, and in the list of open leases.
            let _ = self.queue.release(self.lease.id);
        }
    }
}

impl<Q: Deref<Target = Queue>> fmt::Debug for LeaseGuard<Q> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("LeaseGuard")
            .field(&self.lease)
            .finish()
    }
}

/// An open lease, without its items.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// Its name.
    pub id: LeaseId,
    /// From its first item to its last; those in between that were done before are not in it.
    pub items: ItemRange,
    /// Items in it that are not done.
    pub open_items: u64,
    /// Their payloads' bytes.
    pub open_bytes: u64,
    /// Its tag, if it has one.
    pub tag: Option<Bytes>,
}

impl Queue {
    /// Pops into a guard, which releases the items when it is dropped.
    ///
    /// # Errors
    /// As [`Self::pop`].
    pub fn lease(&self, limits: PopLimits<'_>) -> Result<Option<LeaseGuard<&Self>>, ReadError> {
        let lease = self.pop(limits)?;
        Ok(lease.map(|lease| LeaseGuard::new(self, lease)))
    }

    /// Pops into a guard, and waits for items as [`Self::pop_wait`] does.
    ///
    /// # Errors
    /// As [`Self::pop_wait`].
    pub fn lease_wait(
        &self,
        limits: PopLimits<'_>,
        timeout: Duration,
    ) -> Result<Option<LeaseGuard<&Self>>, ReadError> {
        let lease = self.pop_wait(limits, timeout)?;
        Ok(lease.map(|lease| LeaseGuard::new(self, lease)))
    }

    /// Leases of up to so many items each until nothing is waiting; the items of a lease that is
    /// dropped wait again, so what is not wanted is to be acked, or kept.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, Queue};
    ///
    /// let (queue, _) = Queue::open(Config::memory())?;
    /// queue.append(&["one".into(), "two".into(), "three".into()])?;
    /// let mut items = 0;
    /// for lease in queue.leases(2) {
    ///     let lease = lease?;
    ///     items += lease.items.len();
    ///     lease.ack()?;
    /// }
    /// assert_eq!(items, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn leases(&self, most_items: usize) -> LeasesIter<'_> {
        LeasesIter {
            queue: self,
            most_items,
            is_over: false,
        }
    }

    /// All open leases in the order of their ids: those of this run, and those that came back with
    /// their tags.
    pub fn open_leases(&self) -> Vec<LeaseInfo> {
        self.open_lease_list()
            .into_iter()
            .map(|(id, items, load, tag)| LeaseInfo {
                id,
                items,
                open_items: load.items,
                open_bytes: load.bytes,
                tag,
            })
            .collect()
    }

    /// The number of leases the item has been in since the queue was opened, the open one included;
    /// 0 when it is done, or has not been leased yet. In memory only, so that it begins anew with
    /// each open: for consumers that put an item aside after some tries.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, PopLimits, Queue};
    ///
    /// let (queue, _) = Queue::open(Config::memory())?;
    /// queue.append_one("makes every worker panic".into())?;
    /// while let Some(lease) = queue.lease(PopLimits::items(1))? {
    ///     if queue.delivery_count(lease.items[0].id) > 3 {
    ///         println!("put aside: {:?}", lease.items[0].payload);
    ///         lease.ack()?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn delivery_count(&self, id: ItemId) -> u32 {
        self.ledger().delivery_count(id)
    }

    /// Releases all open leases, tagged ones too, as after workers that are known to be gone.
    /// Returns how many. One that is acked or released by others meanwhile is no error.
    ///
    /// # Errors
    /// As [`Self::release`], the first one; the others were tried all the same.
    pub fn release_all(&self) -> Result<usize, AckError> {
        let mut released = 0_usize;
        let mut failure = None;
        for (id, ..) in self.open_lease_list() {
            match self.release(id) {
                Ok(()) => released = released.saturating_add(1),
                Err(AckError::UnknownLease(_)) => {}
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(released), Err)
    }
}

/// An iterator of [`Queue::leases`]. It ends when nothing is waiting, or with an error.
#[derive(Debug)]
pub struct LeasesIter<'a> {
    queue: &'a Queue,
    most_items: usize,
    is_over: bool,
}

impl<'a> Iterator for LeasesIter<'a> {
    type Item = Result<LeaseGuard<&'a Queue>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self
            .queue
            .lease(PopLimits::items(self.most_items))
            .transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}
