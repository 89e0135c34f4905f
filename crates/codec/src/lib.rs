//! Kafka's wire protocol, both directions: messages, record batches, compression; no I/O.

pub mod records;

pub mod wire;

pub mod ids;
mod text;

pub use text::Str;
