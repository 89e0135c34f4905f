//! The bounds of a search.

use wolff_testbroker::partition::UnknownProducers;

/// Batches by number: 0 was acked by the run before, the next ones were stamped by it, and the
/// last one was not.
pub(super) type Number = u8;

/// Bounds of one search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Batches that were stamped.
    pub(super) stamped: Number,
    /// Of those, how many were sent at most.
    pub(super) sent: Number,
    /// One more that was not stamped.
    pub(super) has_rest: bool,
    /// Batch 0 is there.
    pub(super) has_acked: bool,
    pub(super) unknown: UnknownProducers,
    /// Brokers may have forgotten the producer of what is in doubt, for its age.
    pub(super) is_stale: bool,
    /// Of those that were stamped, one that the queue lost to damage: the broker perhaps has it,
    /// and else will not take those behind it under their stamps.
    pub(super) hole: Option<Number>,
    pub(super) events: Events,
}

/// The number of times that each thing happens at most.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Events {
    pub(super) elections: u8,
    pub(super) reloads: u8,
    pub(super) expiries: u8,
    pub(super) disconnects: u8,
    pub(super) refusals: u8,
    pub(super) kills: u8,
}

pub(super) const QUIET: Events = Events {
    elections: 0,
    reloads: 0,
    expiries: 0,
    disconnects: 0,
    refusals: 0,
    kills: 0,
};
