//! Counters of a queue for metrics: read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a queue since it was opened, for metrics. They only grow, and reading them takes no
/// lock and waits for nothing, so that they can be read at any rate: from the thread that answers a
/// scrape, also while the queue writes, and after it was closed or dropped.
///
/// Each is exact when no call is under way; together they are no snapshot. What the queue holds at
/// a moment is in [`crate::Queue::stats`], which takes the queue's lock.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use replayq::{Config, Metrics, PopLimits, Queue};
///
/// /// One scrape, in Prometheus' text format.
/// fn scrape(name: &str, metrics: &Metrics) -> String {
///     metrics
///         .counters()
///         .map(|(counter, value)| format!("replayq_{counter}_total{{queue=\"{name}\"}} {value}\n"))
///         .collect()
/// }
///
/// let (queue, _) = Queue::open(Config::memory())?;
/// let metrics: Arc<Metrics> = queue.metrics();
/// queue.append(&["one".into(), "two".into()])?;
/// let lease = queue.pop(PopLimits::items(1))?.ok_or("nothing waits")?;
/// queue.ack(lease.id)?;
///
/// assert_eq!((metrics.appended_items(), metrics.acked_items()), (2, 1));
/// assert!(scrape("outbox", &metrics).contains("replayq_appended_bytes_total{queue=\"outbox\"} 6\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Metrics {
    appended_items: AtomicU64,
    appended_bytes: AtomicU64,
    leased_items: AtomicU64,
    acked_items: AtomicU64,
    acked_bytes: AtomicU64,
    released_items: AtomicU64,
    damaged_places: AtomicU64,
    lost_items: AtomicU64,
}

impl Metrics {
    /// Items that were appended.
    #[must_use]
    pub fn appended_items(&self) -> u64 {
        self.appended_items.load(Ordering::Relaxed)
    }

    /// Payload bytes that were appended.
    #[must_use]
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Relaxed)
    }

    /// Items that were leased; one that is leased again counts again.
    #[must_use]
    pub fn leased_items(&self) -> u64 {
        self.leased_items.load(Ordering::Relaxed)
    }

    /// Items that were acked.
    #[must_use]
    pub fn acked_items(&self) -> u64 {
        self.acked_items.load(Ordering::Relaxed)
    }

    /// Payload bytes that were acked.
    #[must_use]
    pub fn acked_bytes(&self) -> u64 {
        self.acked_bytes.load(Ordering::Relaxed)
    }

    /// Items that were released; one that is released again counts again.
    #[must_use]
    pub fn released_items(&self) -> u64 {
        self.released_items.load(Ordering::Relaxed)
    }

    /// Damaged places that were found, at open included.
    #[must_use]
    pub fn damaged_places(&self) -> u64 {
        self.damaged_places.load(Ordering::Relaxed)
    }

    /// Items that were not done and are lost in damaged places.
    #[must_use]
    pub fn lost_items(&self) -> u64 {
        self.lost_items.load(Ordering::Relaxed)
    }

    /// All counters, with their names in lower case and without a unit's suffix or prefix.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("appended_items", self.appended_items()),
            ("appended_bytes", self.appended_bytes()),
            ("leased_items", self.leased_items()),
            ("acked_items", self.acked_items()),
            ("acked_bytes", self.acked_bytes()),
            ("released_items", self.released_items()),
            ("damaged_places", self.damaged_places()),
            ("lost_items", self.lost_items()),
        ]
        .into_iter()
    }

    pub(crate) fn note_appended(&self, items: u64, bytes: u64) {
        add(&self.appended_items, items);
        add(&self.appended_bytes, bytes);
    }

    pub(crate) fn note_leased(&self, items: u64) {
        add(&self.leased_items, items);
    }

    pub(crate) fn note_acked(&self, items: u64, bytes: u64) {
        add(&self.acked_items, items);
        add(&self.acked_bytes, bytes);
    }

    pub(crate) fn note_released(&self, items: u64) {
        add(&self.released_items, items);
    }

    pub(crate) fn note_damage(&self, places: u64, lost_items: u64) {
        self.damaged_places.store(places, Ordering::Relaxed);
        self.lost_items.store(lost_items, Ordering::Relaxed);
    }
}

/// Written under the ledger's lock only, so that no two writers meet and a plain store does.
fn add(counter: &AtomicU64, more: u64) {
    let sum = counter.load(Ordering::Relaxed).saturating_add(more);
    counter.store(sum, Ordering::Relaxed);
}
