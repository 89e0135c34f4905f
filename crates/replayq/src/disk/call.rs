//! The arguments of an append.

use bytes::Bytes;

use crate::ids::ItemId;

/// A lease to be made together with the items of an append.
#[derive(Clone, Debug)]
pub(crate) struct LeaseAsk {
    /// Starts at this item, which must be the oldest that is not leased; `None`: at the first new
    /// one.
    pub(crate) from: Option<ItemId>,
    pub(crate) tag: Bytes,
}

/// An append that waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) payloads: Vec<Bytes>,
    pub(crate) lease: Option<LeaseAsk>,
}
