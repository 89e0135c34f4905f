//! TLS for tests: certificates made at run time, and listeners that use them.

mod listener;

mod authority;

mod error;

pub use self::authority::{CertificateAuthority, Identity};
pub use self::error::TlsError;
pub use self::listener::TlsListener;
