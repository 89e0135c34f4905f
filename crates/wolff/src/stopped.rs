//! Records that a stopped producer leaves behind.

/// Records that had not been acknowledged when a producer was stopped, by how their calls ended.
///
/// Nothing is left when [`is_nothing`](Self::is_nothing).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Leftover {
    /// Records of this run in the queues on disk: the next run sends them.
    pub in_queue: u64,
    /// Queue items of previous runs, of one or more records each, in the queues on disk.
    pub recovered_items: u64,
    /// Records that were in memory and had not been sent: they are lost to Kafka, and their calls
    /// failed.
    pub failed: u64,
    /// Records that were in memory, sent and not acknowledged: nobody can say whether Kafka has
    /// them.
    pub in_doubt: u64,
}

impl Leftover {
    /// Returns whether every call was acknowledged, or had failed, before the stop.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}
