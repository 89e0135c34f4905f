//! The crate's modules of that name.

#[path = "../../src/completion/batch.rs"]
pub(crate) mod batch;
#[path = "../../src/completion/delivery.rs"]
pub(crate) mod delivery;
#[path = "../../src/completion/waiters.rs"]
pub(crate) mod waiters;
