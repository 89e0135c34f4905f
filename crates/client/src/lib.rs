//! The connection manager of a Kafka client: dialling, versions, pipelining, metadata, back-off.

mod client;

mod manager;

mod connection;
mod topology;

mod transport;

mod config;

mod backoff;

mod error;

mod endpoint;
mod random;

pub use wolff_codec as codec;

pub use crate::backoff::{Backoff, BackoffPolicy};
pub use crate::client::{Client, ClientBuilder, NewTopic};
pub use crate::config::{ClientConfig, ConnectionStrategy, SocketOptions};
pub use crate::connection::{Connection, Pending};
pub use crate::endpoint::{
    Address, DEFAULT_PORT, Endpoint, EndpointError, EndpointReason, SecurityProtocol,
    UnknownProtocol,
};
pub use crate::error::{
    AdminError, ConfigError, ConnectError, ConnectStage, ConnectionFailure, HostError, HostReason,
    IoFailure, MetadataError, NotKafka, ProtocolViolation, RequestCause, RequestError,
};
pub use crate::manager::LeaderConnection;
pub use crate::topology::{BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicMetadata};
pub use crate::transport::{BoxStream, Dial, DialFuture, Stream, TcpDialer};
