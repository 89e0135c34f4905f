//! The configuration of a producer: as its user states it, and as the producer relies on it.

mod validated;

mod producer;

pub use producer::{Overflow, ProducerConfig, RequiredAcks};
pub(crate) use validated::Settings;
