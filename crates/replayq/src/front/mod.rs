//! The queue as its callers see it.

pub(crate) mod io_pool;

pub(crate) mod close;
pub(crate) mod lease;
pub(crate) mod wait;

pub(crate) mod queue;
