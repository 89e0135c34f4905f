//! The ends of an accepted call. Every call ends in exactly one [`Outcome`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use wolff_codec::{ErrorCode, Offset, PartitionId};

use crate::words::BrokerWords;

/// The end of a run of records of one batch.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Kafka has them (with acks=none: their bytes were written to the socket).
    Acked {
        /// Offset of the first record of the run. `None` where the broker does not say: acks=none,
        /// a duplicate that the broker no longer remembers exactly, or a batch proven by a later
        /// one.
        base_offset: Option<Offset>,
        /// True if they may be in Kafka a second time: an earlier attempt was in doubt and could
        /// not be recognised by the broker when they were sent again.
        possibly_duplicated: bool,
    },
    /// They are not in Kafka and will not be sent again.
    Failed(FailReason),
    /// They were sent, nobody can say whether Kafka has them, and they will not be sent again.
    InDoubt(DoubtReason),
    /// They are in the queue on disk; the next run sends them.
    LeftInQueue,
}

impl Outcome {
    /// An acknowledgement with the offset that the broker gave, without a possible duplicate.
    #[must_use]
    pub fn acked(base_offset: Option<Offset>) -> Self {
        Self::Acked {
            base_offset,
            possibly_duplicated: false,
        }
    }
}

/// Reason for which records are definitely not in Kafka.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FailReason {
    /// A single call is larger than the topic (`max.message.bytes`) or the broker allows.
    #[error(
        "message too large: one call of {bytes} bytes{}; raise the topic's max.message.bytes or send smaller records",
        Limit(*.limit)
    )]
    MessageTooLarge {
        /// Encoded size of the call, batch header included, before compression.
        bytes: usize,
        /// Size of the largest batch, as it was sent, that the broker has taken from this
        /// partition's queue in this run, where one was: its own limit, which no answer tells, is
        /// at least that.
        limit: Option<usize>,
    },
    /// The broker rejects the records for good (invalid record, timestamp or request).
    #[error("rejected by the broker: {code}{}", Detail(.message))]
    Rejected {
        /// The broker's code.
        code: ErrorCode,
        /// The broker's words for this record, where it gave any (KIP-467).
        message: Option<Arc<str>>,
    },
    /// The producer may not write to the topic, and the configuration is not to wait for
    /// permission.
    #[error("not authorized: {code}; grant WRITE on the topic")]
    Unauthorized {
        /// The broker's code.
        code: ErrorCode,
    },
    /// The topic does not have the partition that the caller named.
    #[error("partition {} does not exist: the topic has {count} partitions", partition.0)]
    InvalidPartition {
        /// The partition named.
        partition: PartitionId,
        /// Partitions of the topic.
        count: u32,
    },
    /// The local queue could not store them; they were never reported as queued.
    #[error("the local queue could not store the records")]
    QueueUnavailable(#[source] StorageError),
    /// The local queue lost them to damage of its files.
    #[error("the local queue's copy of the records is damaged")]
    QueueDamaged,
    /// The code of the producer or of the application panicked while it had them, before they were
    /// sent.
    #[error("a worker of the producer panicked")]
    WorkerCrashed,
    /// The producer was stopped before they could be sent, and no queue on disk has them.
    #[error("the producer was stopped before the records could be sent")]
    Stopped,
}

/// Reason for which the fate of records that were sent cannot be found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DoubtReason {
    /// The producer was stopped before the broker answered, and no queue on disk has them.
    #[error("the producer was stopped before the broker answered")]
    Stopped,
    /// The producer was dropped, or its runtime ended, before the broker answered.
    #[error("the producer was dropped before the broker answered")]
    Dropped,
    /// A worker of the producer panicked before the broker answered.
    #[error("a worker of the producer panicked before the broker answered")]
    WorkerCrashed,
    /// An attempt was perhaps appended, and the broker refuses every later one for good.
    #[error("an earlier attempt was perhaps appended, and the broker now refuses the records: {0}")]
    Refused(ErrorCode),
    /// An attempt was perhaps appended, and the local queue lost the records to damage.
    #[error("an earlier attempt was perhaps appended, and the local queue's copy is damaged")]
    QueueDamaged,
    /// The local queue failed, and cannot say whether it has stored them: they were not sent, and
    /// the next run may find and send them.
    #[error("the local queue failed, and cannot say whether it has stored the records")]
    QueueFailed,
}

/// The error of a local queue, of whatever type that queue has; shared by the calls that it fails.
#[derive(Clone)]
pub struct StorageError {
    error: Arc<dyn Error + Send + Sync>,
    is_in_doubt: bool,
}

impl StorageError {
    /// An error of the local queue: nothing was stored.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self {
            error: Arc::new(error),
            is_in_doubt: false,
        }
    }

    /// An error after which nobody can say whether something was stored: the next run may find it.
    pub fn in_doubt(error: impl Error + Send + Sync + 'static) -> Self {
        Self {
            error: Arc::new(error),
            is_in_doubt: true,
        }
    }

    /// The same error, after which nobody can say whether something was stored.
    #[must_use]
    pub fn into_in_doubt(self) -> Self {
        Self {
            is_in_doubt: true,
            ..self
        }
    }

    /// Nobody can say whether something was stored.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// The queue's own error, to be matched by type.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// The end of records that the queue was to store.
    pub(crate) fn into_outcome(self) -> Outcome {
        if self.is_in_doubt {
            Outcome::InDoubt(DoubtReason::QueueFailed)
        } else {
            Outcome::Failed(FailReason::QueueUnavailable(self))
        }
    }
}

impl fmt::Debug for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Two of them are equal when they are the same error, or say the same.
impl PartialEq for StorageError {
    fn eq(&self, other: &Self) -> bool {
        self.is_in_doubt == other.is_in_doubt
            && (Arc::ptr_eq(&self.error, &other.error) || self.to_string() == other.to_string())
    }
}

impl Eq for StorageError {}

/// Shows what is known of the limit after a size.
struct Limit(Option<usize>);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => write!(
                f,
                ", the largest batch that the broker has taken had {limit} bytes"
            ),
            None => f.write_str(", more than the topic or the broker takes"),
        }
    }
}

/// Shows the broker's words after its code.
struct Detail<'a>(&'a Option<Arc<str>>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |message| write!(f, ": {}", BrokerWords(message)))
    }
}
