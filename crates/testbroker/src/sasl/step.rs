//! Response of a server to one message of a client.

use std::fmt;
use std::time::Duration;

/// The outcome of one message.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// The exchange goes on with this.
    Continue(Vec<u8>),
    /// The client is who it says; this is the last message to it.
    Done {
        message: Vec<u8>,
        identity: Identified,
    },
    /// It is not.
    Refused(Refusal),
}

/// Somebody who has proved who it is.
#[derive(Debug, PartialEq)]
pub(crate) struct Identified {
    pub(crate) principal: String,
    /// Time it may stay without proving it again.
    pub(crate) lifetime: Option<Duration>,
}

/// Why a client is refused, as it may know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The name is not known, or the proof of it is wrong: which of both is nobody's business.
    WrongCredentials,
    /// The message is not what the mechanism prescribes.
    Malformed,
    /// The client is somebody else now than before (KIP-368).
    OtherPrincipal,
    /// There was no handshake before.
    NoHandshake,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongCredentials => "Authentication failed: invalid credentials",
            Self::Malformed => "Authentication failed: malformed SASL message",
            Self::OtherPrincipal => {
                "Authentication failed: the principal must stay the same on a connection"
            }
            Self::NoHandshake => "Authentication failed: SaslHandshake must come first",
        })
    }
}
