//! The primitives.

pub mod varint;
