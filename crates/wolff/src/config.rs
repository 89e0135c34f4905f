//! What the user of a producer chooses. Every field has a default that keeps records safe.

use std::path::PathBuf;
use std::time::Duration;

use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{Idempotence, RetryDelay};
use wolff_partitioner::Strategy;

use crate::error::StartError;

/// Whose acknowledgement ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequiredAcks {
    /// All in-sync replicas.
    #[default]
    All,
    /// The leader alone: what it acknowledges is lost if it dies before a follower has it.
    Leader,
    /// Nobody: a call ends when its bytes were handed to the kernel. No offset, no retry, no idempotence.
    None,
}

impl RequiredAcks {
    pub(crate) fn on_the_wire(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// What happens to a call for which the queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// `send` and `cast` wait until there is room; `try_send` is refused.
    #[default]
    Block,
    /// It is refused with [`SendError::Full`](crate::SendError::Full).
    Reject,
}

/// Configuration of a producer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// Base directory of the queues on disk; none: the queues are in memory, and what is in them dies with the process.
    /// Default: none.
    pub replayq_dir: Option<PathBuf>,
    /// Size of a queue's segment files, bytes. Default: 10 MiB.
    pub replayq_seg_bytes: u64,
    /// Bytes of accepted and unfinished records of one partition, as encoded, at which it is full. Records that are written to disk together share a header of about 100
    /// bytes there, so that a call with a single small record takes that much more. Default: 2,000,000,000.
    pub replayq_max_total_bytes: u64,
    /// What happens then. Default: [`Overflow::Block`].
    pub overflow: Overflow,
    /// Default: [`RequiredAcks::All`].
    pub required_acks: RequiredAcks,
    /// How long the broker may wait for the replicas. Default: 10 s.
    pub ack_timeout: Duration,
    /// Size of a batch, bytes, before compression. Default: 1,000,000.
    pub max_batch_bytes: usize,
    /// How long an undersized batch waits for more while it could be sent. It never delays queueing. Default: 0.
    pub max_linger: Duration,
    /// Produce requests in flight beside the first, 0 to 4. Default: 4 with idempotence, else 0: in order either way.
    pub max_send_ahead: Option<usize>,
    /// Whether the broker drops what it has already (KIP-98). Only with acks from all replicas. Default: `Auto`.
    pub idempotence: Idempotence,
    /// Default: none.
    pub compression: Compression,
    /// Default: the codec's own.
    pub compression_level: CompressionLevel,
    /// Default: random.
    pub partitioner: Strategy,
    /// Delay between attempts, exponential with jitter.
    pub retry_delay: RetryDelay,
    /// How often the partition count is looked up; zero: never. Default: 300 s.
    pub partition_count_refresh_interval: Duration,
    /// How long the start may wait for the first metadata before it goes on without. Default: 3 s.
    pub start_timeout: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            replayq_dir: None,
            replayq_seg_bytes: 10 * 1024 * 1024,
            replayq_max_total_bytes: 2_000_000_000,
            overflow: Overflow::default(),
            required_acks: RequiredAcks::default(),
            ack_timeout: Duration::from_secs(10),
            max_batch_bytes: 1_000_000,
            max_linger: Duration::ZERO,
            max_send_ahead: None,
            idempotence: Idempotence::Auto,
            compression: Compression::None,
            compression_level: CompressionLevel::default(),
            partitioner: Strategy::Random,
            retry_delay: RetryDelay::default(),
            partition_count_refresh_interval: Duration::from_secs(300),
            start_timeout: Duration::from_secs(3),
        }
    }
}

impl ProducerConfig {
    /// Idempotence as it really is: numbers without the acks of all replicas would promise what cannot be kept.
    pub(crate) fn effective_idempotence(&self) -> Idempotence {
        if self.required_acks == RequiredAcks::All {
            self.idempotence
        } else {
            Idempotence::Off
        }
    }

    pub(crate) fn max_in_flight(&self) -> usize {
        let default = if self.effective_idempotence() == Idempotence::Off {
            0
        } else {
            4
        };
        self.max_send_ahead.unwrap_or(default).saturating_add(1)
    }

    pub(crate) fn validate(&self) -> Result<(), StartError> {
        let fail = |what: &str| Err(StartError::Config(what.to_owned()));
        if self.max_batch_bytes < 100 {
            return fail("max_batch_bytes must be at least 100");
        }
        if self.replayq_seg_bytes < 64 * 1024 {
            return fail("replayq_seg_bytes must be at least 64 KiB");
        }
        if self.max_send_ahead.is_some_and(|ahead| ahead > 4)
            && self.effective_idempotence() != Idempotence::Off
        {
            return fail(
                "max_send_ahead is at most 4 with idempotence: a broker remembers five batches",
            );
        }
        if self.idempotence == Idempotence::Required && self.required_acks != RequiredAcks::All {
            return fail("idempotence needs required_acks = All");
        }
        Ok(())
    }
}
