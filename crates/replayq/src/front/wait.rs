//! Waiting for items, in a thread or in a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::ReadError;
use crate::front::queue::Queue;
use crate::limits::PopLimits;
use crate::signal::Watch;
use crate::state::leases::Lease;

impl Queue {
    /// Pops as [`Self::pop`] does, and waits for items as long as there are none, up to that time;
    /// [`Duration::MAX`] is without end. Returns `None` when the time is over.
    ///
    /// An append wakes as many waiting calls as it has items. A call that waits holds no lock.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use replayq::{Config, PopLimits, Queue};
    ///
    /// let (queue, _) = Queue::open(Config::memory())?;
    /// std::thread::scope(|scope| {
    ///     let consumer = scope.spawn(|| queue.pop_wait(PopLimits::items(1), Duration::MAX));
    ///     queue.append_one("an item".into())?;
    ///     let lease = consumer.join().unwrap()?.ok_or("nothing waits")?;
    ///     queue.ack(lease.id)?;
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::pop`]; [`ReadError::Closed`] also when the queue is closed while the call waits.
    pub fn pop_wait(
        &self,
        mut limits: PopLimits<'_>,
        timeout: Duration,
    ) -> Result<Option<Lease>, ReadError> {
        if let Some(lease) = self.pop(limits.reborrow())? {
            return Ok(Some(lease));
        }
        let until = Watch::end_of(timeout);
        let mut watch = self.data.watch();
        loop {
            if let Some(lease) = self.pop(limits.reborrow())? {
                return Ok(Some(lease));
            }
            if !watch.wait(until) {
                return Ok(None);
            }
        }
    }

    /// A future that is ready when items are waiting, for any runtime or none: it keeps a waker, no
    /// thread and no lock. Another consumer may be faster, or what was on disk be lost, so pop in a
    /// loop; the pop itself reads files, and blocks as long as that takes.
    ///
    /// Dropping it is always fine.
    ///
    /// ```
    /// # use std::future::Future;
    /// # use std::sync::Arc;
    /// # use std::task::{Context, Wake, Waker};
    /// # struct Nobody;
    /// # impl Wake for Nobody { fn wake(self: Arc<Self>) {} }
    /// use replayq::{Lease, PopLimits, Queue, ReadError};
    ///
    /// async fn next(queue: &Queue) -> Result<Lease, ReadError> {
    ///     loop {
    ///         queue.ready().await?;
    ///         if let Some(lease) = queue.pop(PopLimits::items(10))? {
    ///             return Ok(lease);
    ///         }
    ///     }
    /// }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (queue, _) = Queue::open(replayq::Config::memory())?;
    /// # let mut future = Box::pin(next(&queue));
    /// # let waker = Waker::from(Arc::new(Nobody));
    /// # assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    /// # queue.append_one("one".into())?;
    /// # assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    /// # Ok(())
    /// # }
    /// ```
    pub fn ready(&self) -> Ready<'_> {
        Ready {
            queue: self,
            watch: None,
        }
    }
}

/// A future of [`Queue::ready`]: whether items are waiting, or [`ReadError::Closed`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Ready<'a> {
    queue: &'a Queue,
    watch: Option<Watch<'a>>,
}

impl Future for Ready<'_> {
    type Output = Result<(), ReadError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let queue = this.queue;
        let watch = this.watch.get_or_insert_with(|| queue.data.watch());
        watch.wake(context.waker());
        let (is_closed, may_have_items) = queue.may_have_items();
        if !is_closed && !may_have_items {
            return Poll::Pending;
        }
        watch.is_content();
        this.watch = None;
        Poll::Ready(if is_closed {
            Err(ReadError::Closed)
        } else {
            Ok(())
        })
    }
}
