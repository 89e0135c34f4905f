//! The connection manager of a Kafka client: dialling, versions, pipelining, metadata, back-off.

mod registry;

mod client;

mod manager;

mod connection;
mod topology;

mod security;

mod sasl;
mod tls;

mod transport;

mod config;

mod backoff;

mod error;

mod endpoint;
mod random;
mod secret;

#[cfg(feature = "tls")]
pub use rustls;
pub use wolff_codec as codec;

pub use crate::backoff::{Backoff, BackoffPolicy};
pub use crate::client::{Client, ClientBuilder, NewTopic, TopicEvents};
pub use crate::config::{ClientConfig, ConnectionStrategy, SocketOptions};
pub use crate::connection::{Connection, Pending, ProduceAnswer, ProduceBatch};
pub use crate::endpoint::{
    Address, DEFAULT_PORT, Endpoint, EndpointError, EndpointReason, SecurityProtocol,
    UnknownProtocol,
};
pub use crate::error::{
    AdminError, ConfigError, ConnectError, ConnectStage, ConnectionFailure, HostError, HostReason,
    IoFailure, MetadataError, NotKafka, ProtocolViolation, RequestCause, RequestError, SaslFailure,
    TlsFailure, TlsFileError,
};
pub use crate::manager::LeaderConnection;
pub use crate::registry::{Registry, StartError};
pub use crate::sasl::{
    Credentials, CredentialsFile, CredentialsProvider, Exchange, Mechanism, OAuthToken,
    PasswordFile, Reply, Sasl, SaslFuture, TokenProvider,
};
pub use crate::secret::Secret;
pub use crate::tls::{TlsIdentity, TlsOptions, TlsServerName, TlsVerification};
pub use crate::topology::{
    BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicEvent, TopicMetadata,
};
pub use crate::transport::{BoxStream, Dial, DialFuture, Stream, TcpDialer};
