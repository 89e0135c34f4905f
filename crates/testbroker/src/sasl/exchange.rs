//! One authentication by any mechanism.

use super::credentials::Sasl;
use super::lie::ScramLie;
use super::mechanism::SaslMechanism;
use super::oauth::OAuthExchange;
use super::plain;
use super::scram::{Hash, ScramExchange};
use super::step::Step;

/// An authentication under way.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    Scram(ScramExchange),
    OAuth(OAuthExchange),
}

impl Exchange {
    /// Begins one.
    pub(crate) fn new(mechanism: SaslMechanism) -> Self {
        match mechanism {
            SaslMechanism::Plain => Self::Plain,
            SaslMechanism::ScramSha256 => Self::Scram(ScramExchange::new(Hash::Sha256)),
            SaslMechanism::ScramSha512 => Self::Scram(ScramExchange::new(Hash::Sha512)),
            SaslMechanism::OAuthBearer => Self::OAuth(OAuthExchange::default()),
        }
    }

    /// Takes a message of the client.
    pub(crate) fn handle(&mut self, sasl: &Sasl, message: &[u8], lie: Option<&ScramLie>) -> Step {
        match self {
            Self::Plain => plain::authenticate(sasl, message),
            Self::Scram(exchange) => exchange.handle(sasl, message, lie),
            Self::OAuth(exchange) => exchange.handle(sasl, message),
        }
    }
}
