//! Identity of clients: SASL from the server's side, without any I/O.

mod session;

mod exchange;

mod oauth;
mod plain;
mod scram;

mod step;

mod credentials;
mod lie;

mod mechanism;

pub use self::credentials::Sasl;
pub use self::lie::ScramLie;
pub use self::mechanism::SaslMechanism;
pub(crate) use self::session::{Admission, Answer, Session};
pub(crate) use self::step::Refusal;
