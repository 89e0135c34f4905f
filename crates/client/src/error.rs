//! What can go wrong, by who has to act: the configuration, a host, a connection, a request,
//! metadata.
//!
//! All of them can be cloned, since one failure is told to everybody who waits for the same thing.

use std::io;
use std::time::Duration;

use thiserror::Error;
use wolff_codec::{ApiKey, DecodeError, EncodeError, ErrorCode, FrameError, Str, UnsupportedApi};
use wolff_codec::{CorrelationId, PartitionId};

use crate::endpoint::{Address, EndpointError, SecurityProtocol};

/// A configuration that cannot work; nothing has been started.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody to ask where the cluster is.
    #[error("no bootstrap endpoint is given")]
    NoEndpoints,
    /// An endpoint string cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Two endpoints disagree on how the cluster is secured.
    #[error("the endpoints name different security protocols: {0} and {1}")]
    MixedProtocols(SecurityProtocol, SecurityProtocol),
    /// An endpoint asks for what this version cannot do.
    #[error("security protocol {0} is not supported")]
    UnsupportedProtocol(SecurityProtocol),
    /// A number or a duration is out of its range.
    #[error("{field} is {value}, but must be {expected}")]
    OutOfRange {
        /// The option's name.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

/// An error of the operating system, in a form that can be cloned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct IoFailure {
    /// The kind by which a program tells errors apart.
    pub kind: io::ErrorKind,
    /// The system's words.
    pub message: String,
}

impl From<io::Error> for IoFailure {
    fn from(error: io::Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// What a connection attempt was about when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStage {
    /// Resolving the name and connecting the socket.
    Dialling,
    /// Asking for the versions that the broker speaks.
    Handshake,
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
    #[error("it speaks TLS; use the plaintext listener's port")]
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

/// What ended a connection. It reaches everybody who waits on that connection, and stays.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// The broker closed it.
    #[error("the broker closed the connection")]
    ClosedByPeer,
    /// This side closed it: the client was closed, or a newer connection took its place.
    #[error("the connection was closed by this client")]
    ClosedHere,
    /// Reading or writing failed.
    #[error("the connection failed: {0}")]
    Io(IoFailure),
    /// The oldest request had no answer in time, so that nothing behind it can have one either.
    #[error("no answer to {api} within {after:?}")]
    TimedOut {
        /// The API of the oldest request.
        api: ApiKey,
        /// The time it had.
        after: Duration,
    },
    /// Bytes could not be written for as long as an answer may take.
    #[error("the broker did not take a byte for {after:?}")]
    WriteStalled {
        /// The time without progress.
        after: Duration,
    },
    /// The broker broke the protocol.
    #[error("the broker broke the protocol: {0}")]
    Protocol(ProtocolViolation),
    /// The runtime that drove the connection was shut down.
    #[error("the async runtime of the connection has ended")]
    RuntimeEnded,
}

/// How a broker broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolViolation {
    /// What it sent is no frame, or one above the limit.
    #[error(transparent)]
    Frame(FrameError),
    /// A frame too short to say to which request it belongs.
    #[error("an answer without a header: {0}")]
    Header(DecodeError),
    /// Answers come in the order of the requests; this one does not.
    #[error("answer {got} where {expected} was due")]
    OutOfOrder {
        /// The correlation id of the oldest request.
        expected: CorrelationId,
        /// The one in the answer.
        got: CorrelationId,
    },
    /// An answer although nothing is asked.
    #[error("answer {got} to no request")]
    Unasked {
        /// The correlation id in the answer.
        got: CorrelationId,
    },
    /// An answer that is not what its version prescribes.
    #[error("answer to {api} cannot be read: {source}")]
    Malformed {
        /// The API of the request.
        api: ApiKey,
        /// Where and why.
        source: DecodeError,
    },
    /// An answer that can be read, but does not belong to what was asked.
    #[error("answer to {api} does not fit the request: {what}")]
    Mismatch {
        /// The API of the request.
        api: ApiKey,
        /// What does not fit.
        what: String,
    },
}

/// Why a request has no answer, and whether the broker may have acted on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The broker cannot have acted on it: the kernel never got all of its bytes.
    #[error("request not sent: {0}")]
    NotSent(RequestCause),
    /// All bytes were handed to the kernel, and no answer came: it may have been applied.
    #[error("request in doubt: {0}")]
    InDoubt(RequestCause),
}

impl RequestError {
    /// What happened.
    pub fn cause(&self) -> &RequestCause {
        match self {
            Self::NotSent(cause) | Self::InDoubt(cause) => cause,
        }
    }

    /// Whether the broker may have acted on the request.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }

    /// Whether the connection is of no use any more.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self.cause(), RequestCause::Connection(_))
    }
}

/// What stood between a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestCause {
    /// The broker has no version of the API that this client speaks.
    #[error(transparent)]
    Unsupported(UnsupportedApi),
    /// The request cannot be encoded in the version that the broker speaks.
    #[error(transparent)]
    Encode(EncodeError),
    /// As many requests or bytes as may wait on one connection are waiting already.
    #[error("the connection's queue is full")]
    QueueFull,
    /// The connection has failed.
    #[error(transparent)]
    Connection(ConnectionFailure),
}

/// Why nothing is known about a topic or the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// No host can be reached.
    #[error("no broker can be reached: {}", list(.0))]
    Unreachable(Vec<HostError>),
    /// The broker refuses to speak about this topic, or has none of that name.
    #[error("topic {topic}: {code}")]
    Topic {
        /// The topic's name.
        topic: Str,
        /// The broker's reason, for example `UNKNOWN_TOPIC_OR_PARTITION`.
        code: ErrorCode,
    },
    /// The broker refuses to speak about the cluster at all.
    #[error("the broker refuses: {0}")]
    Refused(ErrorCode),
    /// The answer did not speak about this topic.
    #[error("topic {0}: the broker's answer leaves it out")]
    LeftOut(Str),
    /// The request failed; another attempt will use another connection.
    #[error("metadata {0}")]
    Request(RequestError),
    /// The async runtime in which the question was asked was shut down.
    #[error("the question was abandoned: the async runtime has ended")]
    Abandoned,
    /// There was no answer in time.
    #[error("no metadata within {0:?}")]
    TimedOut(Duration),
    /// The client has been closed.
    #[error("the client is closed")]
    ClientClosed,
}

fn list(errors: &[HostError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// Why there is no connection to be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The broker cannot be reached.
    #[error(transparent)]
    Host(HostError),
    /// Where the broker is cannot be found out.
    #[error(transparent)]
    Metadata(MetadataError),
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic's name.
        topic: Str,
        /// The partition asked for.
        partition: PartitionId,
    },
    /// The partition has no leader at the moment.
    #[error("topic {topic} partition {partition} has no leader ({code})")]
    NoLeader {
        /// The topic's name.
        topic: Str,
        /// The partition asked for.
        partition: PartitionId,
        /// The broker's reason, if it gave one.
        code: ErrorCode,
    },
    /// The cluster does not tell which broker is its controller.
    #[error("the cluster has no controller at the moment")]
    NoController,
    /// The client has been closed.
    #[error("the client is closed")]
    ClientClosed,
}

/// Why an administrative request, such as creating a topic, was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no connection to the broker that decides.
    #[error(transparent)]
    Connect(ConnectError),
    /// The request failed.
    #[error(transparent)]
    Request(RequestError),
    /// The broker refused it.
    #[error("{code}{}", message.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// The broker's reason.
        code: ErrorCode,
        /// The broker's words.
        message: Option<Str>,
    },
    /// The answer does not speak about what was asked.
    #[error("the broker's answer leaves the topic out")]
    LeftOut,
}
