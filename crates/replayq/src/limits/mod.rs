//! Limits of a pop.

pub(crate) mod load;
pub(crate) mod shared;

use std::fmt;

use crate::ids::ItemId;

/// The limit of a pop in bytes.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum BytesLimit {
    /// No further item is taken that would exceed the sum.
    AtMost(u64),
    /// Items are taken until the sum is reached.
    AtLeast(u64),
}

/// An item to be looked at.
#[derive(Copy, Clone, Debug)]
pub struct ItemRef<'a> {
    /// Its id.
    pub id: ItemId,
    /// The payload as it was appended.
    pub payload: &'a [u8],
}

/// A function that returns whether a pop must stop before the item.
pub type StopBefore<'a> = dyn FnMut(&ItemRef<'_>) -> bool + 'a;

/// Limits of a pop: at least one item where there is one, whatever the limits say.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use replayq::{Config, PopLimits, Queue};
///
/// let (queue, _) = Queue::open(Config::memory())?;
/// queue.append(&["aa".into(), "bb".into(), "cc".into(), "|".into(), "dd".into()])?;
/// let mut pop = |limits: PopLimits<'_>| {
///     let lease = queue.pop(limits)?;
///     Ok::<_, replayq::ReadError>(lease.map_or(0, |lease| lease.items.len()))
/// };
/// assert_eq!(pop(PopLimits::at_most_bytes(1))?, 1); // one in any case
/// let mut is_bar = |item: &replayq::ItemRef<'_>| item.payload == b"|";
/// assert_eq!(pop(PopLimits::default().stop_before(&mut is_bar))?, 2);
/// assert_eq!(pop(PopLimits::at_least_bytes(2))?, 2);
/// assert_eq!(pop(PopLimits::default())?, 0);
/// # Ok(())
/// # }
/// ```
pub struct PopLimits<'a> {
    /// Payload bytes. Default: at most 2,000,000.
    pub bytes: BytesLimit,
    /// Items. Default: 1,000.
    pub max_items: usize,
    /// Called with each item in turn, the first too, although that one is taken in any case; true
    /// stops before the item. Called under the queue's lock: it must not use the queue. If it
    /// panics, so does the pop, and nothing was taken.
    pub stop_before: Option<&'a mut StopBefore<'a>>,
}

impl Default for PopLimits<'_> {
    fn default() -> Self {
        Self {
            bytes: BytesLimit::AtMost(2_000_000),
            max_items: 1000,
            stop_before: None,
        }
    }
}

impl<'a> PopLimits<'a> {
    /// At most that many bytes, however many items.
    #[must_use]
    pub fn at_most_bytes(bytes: u64) -> Self {
        Self {
            bytes: BytesLimit::AtMost(bytes),
            max_items: usize::MAX,
            stop_before: None,
        }
    }

    /// Items until there are that many bytes.
    #[must_use]
    pub fn at_least_bytes(bytes: u64) -> Self {
        Self {
            bytes: BytesLimit::AtLeast(bytes),
            max_items: usize::MAX,
            stop_before: None,
        }
    }

    /// At most that many items, however large.
    #[must_use]
    pub fn items(count: usize) -> Self {
        Self {
            bytes: BytesLimit::AtMost(u64::MAX),
            max_items: count,
            stop_before: None,
        }
    }

    /// Limits the items too, whatever they are limited by already.
    #[must_use]
    pub fn max_items(mut self, count: usize) -> Self {
        self.max_items = count;
        self
    }

    /// Limits the payload bytes too: at most so many, but for the first item, which is taken in any
    /// case.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use replayq::{Config, PopLimits, Queue};
    ///
    /// let (queue, _) = Queue::open(Config::memory())?;
    /// queue.append(&["aa".into(), "bb".into(), "cc".into(), "d".into(), "e".into(), "f".into()])?;
    /// let pop = || queue.pop(PopLimits::items(3).max_bytes(5));
    /// assert_eq!(pop()?.map(|lease| lease.items.len()), Some(2));
    /// assert_eq!(pop()?.map(|lease| lease.items.len()), Some(3));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.bytes = BytesLimit::AtMost(bytes);
        self
    }

    /// The same limits for another pop.
    pub(crate) fn reborrow(&mut self) -> PopLimits<'_> {
        PopLimits {
            bytes: self.bytes,
            max_items: self.max_items,
            stop_before: match &mut self.stop_before {
                Some(stop) => Some(&mut **stop),
                None => None,
            },
        }
    }

    /// Also stops before the first item of which this is true.
    #[must_use]
    pub fn stop_before(mut self, stop: &'a mut StopBefore<'a>) -> Self {
        self.stop_before = Some(stop);
        self
    }
}

impl fmt::Debug for PopLimits<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PopLimits")
            .field("bytes", &self.bytes)
            .field("max_items", &self.max_items)
            .field("stop_before", &self.stop_before.is_some())
            .finish()
    }
}
