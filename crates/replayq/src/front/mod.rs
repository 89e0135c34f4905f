//! The queue as its callers see it.

pub(crate) mod io_pool;

pub(crate) mod close;
mod figures;
pub(crate) mod lease_guard;
pub(crate) mod wait;

pub(crate) mod queue;
