#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    reason = "the seams of this crate are being made"
)]

mod producer;

mod topic;

mod link;

mod environment;
mod partition;

mod buffers;
mod completion;
mod io;
mod leftover;

mod queued;

mod config;
mod record;
mod stats;

mod descriptors;
mod directory;
mod failures;
mod troubles;

mod memory;

mod clock;
mod error;

mod park;
mod random;
mod stopped;
mod sync;

pub use completion::{Ack, Delivery, Receipt};
pub use config::{Overflow, ProducerConfig, RequiredAcks};
pub use environment::Environment;
pub use error::{
    CloseError, ConfigError, DeliveryError, FlushTimeout, HoldUp, LeftoverError, Rejected,
    RequestFailure, SendError, StartError, StopError, WaitError,
};
pub use failures::{FailureCount, FailureKind};
pub use io::Executor;
pub use leftover::records_left;
pub use memory::MemoryBudget;
pub use park::WithinRuntime;
pub use producer::{
    BlockingCall, BlockingError, BlockingProducer, PreparedCall, Producer, ProducerBuilder,
    SendAndWaitError,
};
pub use queued::queued_records;
pub use record::{Call, Record};
pub use replayq::Durability;
pub use stats::{PartitionRefusal, ProducerStats};
pub use stopped::Leftover;
pub use wolff_client as client;
pub use wolff_client::{
    Client, ClientBuilder, Credentials, CredentialsFile, Mechanism, OAuthToken, PasswordFile,
    Registry, Sasl, Secret, SecurityProtocol, TlsIdentity, TlsOptions, TlsServerName,
    TlsVerification, TokenProvider,
};
pub use wolff_codec::records::{Compression, CompressionLevel, Header, RecordRef};
pub use wolff_codec::{ErrorCode, Offset, PartitionId, Str};
pub use wolff_core::{
    DoubtReason, FailReason, Idempotence, OnRefused, Refusal, RetryDelay, StorageError, Tally,
};
pub use wolff_partitioner::{
    CallView, HeadersView, KeyHash, Keyless, Load, RecordView, Strategy, TopicView,
};
