//! Errors, by who has to act: the configuration, a host, a connection, a request, metadata.
//!
//! All of them can be cloned, since one failure is told to everybody who waits for the same thing.

mod admin;

mod metadata;

mod request;

mod connection;

mod config;
mod context;
mod host;

mod io;
mod protocol;
mod sasl;
mod tls;

mod words;

pub use self::admin::AdminError;
pub use self::config::ConfigError;
pub use self::connection::ConnectionFailure;
pub use self::context::RequestContext;
pub use self::host::{ConnectStage, HostError, HostReason, NotKafka};
pub use self::io::IoFailure;
pub use self::metadata::{ConnectError, MetadataError};
pub use self::protocol::ProtocolViolation;
pub use self::request::{RequestCause, RequestError};
pub use self::sasl::SaslFailure;
pub use self::tls::{TlsFailure, TlsFileError};
pub(crate) use self::words::shown;
