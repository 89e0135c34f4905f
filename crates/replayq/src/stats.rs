//! Figures of a queue.

/// The contents and the size of a queue at one moment.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Items that wait: neither leased nor done. Those that a pop is about to lease are among them.
    pub waiting_items: u64,
    /// Their payloads' bytes.
    pub waiting_bytes: u64,
    /// Items in open leases.
    pub leased_items: u64,
    /// Their payloads' bytes.
    pub leased_bytes: u64,
    /// Open leases.
    pub leases: u64,
    /// The bytes that limits count for all of them, see [`crate::Config::max_total_bytes`].
    pub counted_bytes: u64,
    /// Payload bytes in memory: of waiting items, and of leased ones, which the caller may share.
    pub memory_bytes: u64,
    /// Bytes of all files, those kept for later use included.
    pub disk_bytes: u64,
    /// Segment files that hold items or are being filled.
    pub segments: u64,
    /// Damaged places found since open, at open included, see [`crate::Queue::damage_since`].
    pub damage: u64,
    /// Items that were not done and are lost in them. The files are kept aside.
    pub lost_items: u64,
}
