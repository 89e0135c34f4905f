//! The connection manager of a Kafka client: dialling, TLS, SASL, versions, pipelining, metadata,
//! back-off.
//!
//! ```no_run
//! use wolff_client::codec::PartitionId;
//! use wolff_client::{Client, Credentials, Sasl};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(["SASL_SSL://localhost:9093"])
//!     .sasl(Sasl::scram_sha_512(Credentials::new("alice", "alices-password")))
//!     .build()?;
//! let leader = client.leader_connection("orders", PartitionId(0)).await?;
//! println!("partition 0 is led by broker {}", leader.broker);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "unit tests run in the real world"
    )
)]

#[cfg(all(doctest, feature = "tls"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod registry;

mod client;

mod environment;

mod manager;

mod connection;
mod topology;

mod leaders_response;

mod proxy;
mod security;

mod sasl;
mod tls;

mod transport;

mod config;

mod error;

mod endpoint;
mod secret;

#[cfg(feature = "tls")]
pub use rustls;
pub use wolff_backoff::{Backoff, BackoffPolicy};
pub use wolff_codec as codec;

pub use crate::client::{
    Client, ClientBuilder, ConfigEntry, ConfigResource, ConfigSource, FetchOptions,
    FetchedPartition, ListedOffset, NewTopic, OffsetSpec, TopicEvents,
};
pub use crate::config::{AddressFamily, ClientConfig, ConnectionStrategy, SocketOptions};
pub use crate::connection::{Connection, LinkStats, Pending, ProduceAnswer, ProduceBatch};
pub use crate::endpoint::{
    Address, DEFAULT_PORT, Endpoint, EndpointError, EndpointReason, SecurityProtocol,
    UnknownProtocol,
};
pub use crate::environment::Environment;
pub use crate::error::{
    AdminError, ConfigError, ConnectError, ConnectStage, ConnectionFailure, HostError, HostReason,
    IoFailure, MetadataError, NotKafka, ProtocolViolation, RequestCause, RequestContext,
    RequestError, SaslFailure, TlsFailure, TlsFileError,
};
pub use crate::manager::{AdvertisedBroker, HostReport, HostState, LeaderConnection};
pub use crate::proxy::{ProxyDialer, ProxyProtocol};
pub use crate::registry::{Registry, StartError};
pub use crate::sasl::{
    Credentials, CredentialsFile, CredentialsProvider, Exchange, Mechanism, OAuthToken,
    PasswordFile, Reply, Sasl, SaslFuture, TokenProvider,
};
pub use crate::secret::Secret;
pub use crate::tls::{TlsIdentity, TlsOptions, TlsPemIdentity, TlsServerName, TlsVerification};
pub use crate::topology::{
    BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicEvent, TopicMetadata,
};
pub use crate::transport::{
    BoxStream, Dial, DialFuture, RemapDialer, Resolve, ResolveFuture, Stream, SystemResolver,
    TcpDialer,
};
