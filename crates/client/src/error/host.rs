//! Why a host cannot be used as a broker.

use std::io;
use std::time::Duration;

use thiserror::Error;
use wolff_codec::{ErrorCode, FrameError};

use super::io::IoFailure;
use super::sasl::SaslFailure;
use super::tls::TlsFailure;
use crate::endpoint::Address;

/// What a connection attempt was about when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStage {
    /// Resolving the name and connecting the socket.
    Dialling,
    /// Agreeing on encryption.
    Tls,
    /// Asking for the versions that the broker speaks.
    Handshake,
    /// Authenticating with SASL, fetching the credentials included.
    Authentication,
    /// Answering the first question after that.
    FirstQuestion,
}

/// Why a host cannot be used as a broker, for a person to read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
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
        /// What was waited for.
        stage: ConnectStage,
        /// How long.
        after: Duration,
    },
    /// Somebody is there and answers, but not in Kafka's protocol.
    #[error("not a Kafka port: {0}")]
    NotKafka(NotKafka),
    /// The peer went away in the middle of the handshake.
    #[error(
        "closed the connection during the handshake: not a Kafka port, or a listener for TLS or SASL"
    )]
    ClosedInHandshake,
    /// The broker told its versions, and went away at the first other question, as listeners for SASL
    /// do.
    #[error(
        "closed the connection at the first question: the listener probably wants SASL authentication"
    )]
    ClosedAtFirstQuestion,
    /// The connection cannot be encrypted.
    #[error("TLS: {0}")]
    Tls(TlsFailure),
    /// This side cannot authenticate, or the broker cannot.
    #[error("SASL: {0}")]
    Sasl(SaslFailure),
    /// The broker refused the handshake.
    #[error("refused the handshake with {0}")]
    Rejected(ErrorCode),
    /// The operating system gave another error.
    #[error("{0}")]
    Io(IoFailure),
    /// No attempt was made, since the client has been closed.
    #[error("the client is closed")]
    ClientClosed,
    /// The async runtime that made the attempt was shut down.
    #[error("the attempt was abandoned: the async runtime has ended")]
    Abandoned,
}

fn timed_out(stage: ConnectStage, after: Duration) -> String {
    match stage {
        ConnectStage::Dialling => format!("timed out after {after:?}: no answer from that host"),
        ConnectStage::Tls => {
            format!(
                "timed out after {after:?}: connected, but no answer in TLS; is that a TLS port?"
            )
        }
        ConnectStage::Authentication => {
            format!("timed out after {after:?}: connected, but SASL came to no end")
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
            _ => Self::Io(error.into()),
        }
    }
}

/// How a peer shows that it does not speak Kafka's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
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
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host}: {reason}")]
pub struct HostError {
    /// Where a connection was attempted.
    pub host: Address,
    /// Why that did not work.
    #[source]
    pub reason: HostReason,
}
