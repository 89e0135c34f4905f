//! A Kafka producer that does not lose what it has accepted.

mod producer;

mod queue;

mod buffers;
mod completion;
mod io;
mod leftover;
mod queued;

mod config;
mod directory;
mod failures;
mod record;
mod stats;

mod clock;
mod error;
mod random;

pub use completion::{Ack, Delivery, Receipt};
pub use config::{Overflow, ProducerConfig, RequiredAcks};
pub use error::{DeliveryError, FlushTimeout, SendError, StartError};
pub use leftover::records_left;
pub use producer::{Producer, ProducerBuilder, SendSyncError};
pub use queued::queued_records;
pub use record::{Call, Record};
pub use stats::ProducerStats;
pub use wolff_client as client;
pub use wolff_client::{Client, ClientBuilder};
pub use wolff_codec::records::{Compression, CompressionLevel, Header, RecordRef};
pub use wolff_codec::{ErrorCode, Offset, PartitionId, Str};
pub use wolff_core::{DoubtReason, FailReason, Idempotence, RetryDelay, StorageError};
pub use wolff_partitioner::{KeyHash, Keyless, Strategy};

/// Producers of a client.
pub trait Produce {
    /// A producer for this topic, to be configured and started.
    fn producer(&self, topic: impl Into<Str>) -> ProducerBuilder;
}

impl Produce for Client {
    fn producer(&self, topic: impl Into<Str>) -> ProducerBuilder {
        ProducerBuilder::new(self.clone(), topic.into())
    }
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
