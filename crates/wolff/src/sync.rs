//! The primitives of what threads hand over to each other. A model checker's tests put its own in
//! their place.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicUsize};
