//! TLS: who vouches for brokers, what is shown to them, and the handshake.
//!
//! rustls does the work. Not here: when to connect, and what is said inside.

#[cfg(feature = "tls")]
mod connector;

#[cfg(feature = "tls")]
mod assemble;

#[cfg(feature = "tls")]
mod encrypted_key;
#[cfg(feature = "tls")]
mod failure;
#[cfg(feature = "tls")]
mod material;
#[cfg(feature = "tls")]
mod verify;

#[cfg(not(feature = "tls"))]
mod absent;

mod options;

#[cfg(not(feature = "tls"))]
pub(crate) use self::absent::{Tls, stream_failure};
#[cfg(feature = "tls")]
pub(crate) use self::connector::Tls;
#[cfg(feature = "tls")]
pub(crate) use self::failure::stream_failure;
pub use self::options::{TlsIdentity, TlsOptions, TlsPemIdentity, TlsServerName, TlsVerification};
