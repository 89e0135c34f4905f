//! Why a host cannot be used as a broker.

use std::io;
use std::time::Duration;

use thiserror::Error;
use wolff_codec::{ErrorCode, FrameError};

use super::io::IoFailure;
use super::protocol::ProtocolViolation;
use super::sasl::SaslFailure;
use super::tls::TlsFailure;
use crate::endpoint::Address;

/// Stage of a connection attempt that timed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectStage {
    /// Resolving the name and connecting the socket.
    Dialling,
    /// Agreeing on encryption.
    Tls,
    /// Asking for the versions that the broker speaks.
    Handshake,
    /// Getting the credentials or the token to authenticate with.
    Credentials,
    /// Authenticating with SASL.
    Authentication,
    /// Answering the first question after that.
    FirstQuestion,
}

/// Why a host cannot be used as a broker, for a person to read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HostReason {
    /// The name stands for nothing, or the resolver does not answer.
    #[error("name not found ({0})")]
    NameNotFound(String),
    /// The machine is there, but nothing listens on that port.
    #[error("connection refused: nothing listens on that port")]
    Refused,
    /// Nothing came back in time.
    #[error("{}", timed_out(*stage, *after))]
    TimedOut {
        /// The stage that was waited for.
        stage: ConnectStage,
        /// The time it had.
        after: Duration,
    },
    /// Somebody is there and answers, but not in Kafka's protocol.
    #[error("not a Kafka port: {0}")]
    NotKafka(NotKafka),
    /// The peer closed the connection instead of a response to ApiVersions, in its newest and in
    /// its oldest version.
    #[error(
        "closed the connection without a response to the first request (ApiVersions): a listener for TLS, a broker that is shutting down, or not a Kafka port"
    )]
    ClosedInHandshake,
    /// The broker sent its versions, and closed the connection at the first request after that.
    #[error(
        "closed the connection at the first request after its versions: a listener for SASL does that, and a broker that is shutting down"
    )]
    ClosedAtFirstQuestion,
    /// The broker broke the protocol in its first response after the handshake.
    #[error("broke the protocol: {0}")]
    Protocol(ProtocolViolation),
    /// The connection cannot be encrypted.
    #[error("TLS: {0}")]
    Tls(TlsFailure),
    /// This side cannot authenticate, or the broker cannot.
    #[error("SASL: {0}")]
    Sasl(SaslFailure),
    /// It is a broker, but cannot be used as one.
    #[error("a broker that cannot be used: {0}")]
    Unusable(String),
    /// The broker refused the handshake.
    #[error("refused the handshake with {0}")]
    Rejected(ErrorCode),
    /// The operating system gave another error.
    #[error("{0}")]
    Io(IoFailure),
    /// This process, or this machine, has as many files and sockets open as it may.
    #[error("no socket can be opened: {0}; raise the limit of open files (ulimit -n)")]
    NoDescriptors(IoFailure),
    /// A proxy on the way could not be used, or refused.
    #[error("the proxy {proxy} {what}")]
    Proxy {
        /// Address of the proxy.
        proxy: Address,
        /// The proxy's response or behaviour.
        what: String,
    },
    /// The attempt is still running after this time.
    #[error("no response after {after:?}, still trying")]
    StillTrying {
        /// The time it has been running.
        after: Duration,
    },
    /// No attempt was made, since the client has been closed.
    #[error("the client is closed")]
    ClientClosed,
    /// The async runtime that made the attempt was shut down.
    #[error("the attempt was abandoned: the async runtime has ended")]
    Abandoned,
}

impl HostReason {
    /// True if what this client is configured with contradicts what the broker is: waiting changes
    /// nothing about that. Everything else can change by itself, or by somebody who looks after the
    /// broker, the network or the credentials.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NotKafka(NotKafka::Tls)
                | Self::Tls(TlsFailure::NotTls | TlsFailure::Name(_))
                | Self::Sasl(SaslFailure::NotEnabled { .. } | SaslFailure::NotExpected)
        )
    }

    /// True if an attempt ends like this that is one too many, for this process or for the broker.
    pub(crate) fn is_crowding(&self) -> bool {
        match self {
            Self::NoDescriptors(_) | Self::ClosedAtFirstQuestion => true,
            Self::Tls(TlsFailure::ClosedInHandshake) => true,
            Self::Io(error) => error.kind == io::ErrorKind::ConnectionReset,
            reason => reason.is_close(),
        }
    }

    /// True if the peer closed the connection at the first request.
    pub(crate) fn is_close(&self) -> bool {
        matches!(
            self,
            Self::ClosedInHandshake | Self::Tls(TlsFailure::ClosedAfterHandshake)
        )
    }
}

fn timed_out(stage: ConnectStage, after: Duration) -> String {
    match stage {
        ConnectStage::Dialling => format!("timed out after {after:?}: no answer from that host"),
        ConnectStage::Tls => {
            format!(
                "timed out after {after:?}: connected, but no answer in TLS; is that a TLS port?"
            )
        }
        ConnectStage::Credentials => {
            format!("timed out after {after:?}: connected, but no credentials to authenticate with")
        }
        ConnectStage::Authentication => {
            format!("timed out after {after:?} during SASL authentication")
        }
        ConnectStage::FirstQuestion => {
            format!("timed out after {after:?}: connected, but no answer to a question")
        }
        ConnectStage::Handshake => {
            format!("timed out after {after:?}: connected, but no answer; is that a Kafka port?")
        }
    }
}

impl From<io::Error> for HostReason {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ if is_out_of_descriptors(&error) => Self::NoDescriptors(error.into()),
            _ => Self::Io(error.into()),
        }
    }
}

/// `EMFILE` and `ENFILE`, which have no kind of their own.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// Sign by which a peer shows that it does not speak Kafka's protocol.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NotKafka {
    /// It answers like a web server.
    #[error("it answers in HTTP")]
    Http,
    /// It answers with a TLS record, as a TLS listener does when it is spoken to in plain text.
    #[error(
        "it speaks TLS; use the security protocol SSL or SASL_SSL, or the plaintext listener's port"
    )]
    Tls,
    /// The length in front of its answer is no length of an answer to the handshake.
    #[error("its answer is no frame ({0})")]
    Frame(FrameError),
    /// Its answer is framed, but is not the answer to the handshake.
    #[error("its answer makes no sense ({0})")]
    Answer(String),
}

/// A host, and why it cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{host}: {reason}")]
pub struct HostError {
    /// Address to which a connection was attempted.
    pub host: Address,
    /// Why that did not work.
    #[source]
    pub reason: HostReason,
}
