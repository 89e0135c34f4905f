//! The options of a producer, with defaults that keep records safe. The names are those of
//! Erlang's wolff where it has the option.

use std::path::PathBuf;
use std::time::Duration;

use replayq::Durability;
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{Idempotence, OnRefused, RetryDelay};
use wolff_partitioner::Strategy;

use crate::memory::MemoryBudget;

/// Acknowledgement that ends a call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequiredAcks {
    /// All in-sync replicas.
    #[default]
    All,
    /// The leader alone: what it acknowledges is lost if it fails before a follower has it.
    Leader,
    /// Nobody: a call ends when its bytes were written to the socket. No offset, no retry, no
    /// idempotence.
    None,
}

impl RequiredAcks {
    /// The number that a produce request has for it.
    pub(crate) fn on_the_wire(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// Treatment of a call when the queue is full.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// `send` and `enqueue` wait for room; `try_send` is refused.
    #[default]
    Block,
    /// It is refused with [`SendError::Full`](crate::SendError::Full).
    Reject,
}

/// The options of a producer. Start from [`ProducerConfig::default`], or use the setters of
/// [`ProducerBuilder`](crate::ProducerBuilder); `start` refuses what is out of range.
///
/// ```
/// use std::time::Duration;
/// use wolff::ProducerConfig;
///
/// let mut config = ProducerConfig::default();
/// config.replayq_dir = Some("/var/lib/app/queue".into());
/// config.max_linger = Duration::from_millis(5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// Base directory of the queues on disk. `None`: the queues are in memory, and what is in
    /// them is lost with the process. Default: `None`.
    pub replayq_dir: Option<PathBuf>,
    /// Size of a queue's segment files, bytes, from 64 KiB to 1 GiB. Default: 10 MiB.
    pub replayq_seg_bytes: u64,
    /// Bytes of accepted and unfinished records of one partition, as encoded, at which it is
    /// full; at least 1. Records that are written to disk together share a header of about 100
    /// bytes there, so that a call with a single small record takes that much more. Default:
    /// 2,000,000,000.
    pub replayq_max_total_bytes: u64,
    /// Durability of a call that is *queued* on disk: the end of the process (`Os`), or also a
    /// power cut (`Fsync`, whose `max_delay` is 1 minute at most). Default: `Os`.
    pub durability: Durability,
    /// Size in bytes at which records on their way to disk become a queue item of their own:
    /// the most that one damaged item loses, but for a larger call, which is one item. From 1
    /// KiB to 100 MiB. Default: 64 KiB.
    pub fragment_bytes: usize,
    /// Treatment of a call when the queue is full. Default: [`Overflow::Block`].
    pub overflow: Overflow,
    /// Acknowledgement that ends a call. Default: [`RequiredAcks::All`].
    pub required_acks: RequiredAcks,
    /// Longest time for which the broker may wait for its replicas, from 1 ms to 24 days.
    /// Default: 10 s.
    pub ack_timeout: Duration,
    /// Size of a batch, bytes, before compression, from 100 bytes to 100 MiB. Default:
    /// 1,000,000.
    pub max_batch_bytes: usize,
    /// Longest time for which an undersized batch waits for more records while it could be
    /// sent, 0 to 24 hours. It never delays *queued*. Default: 0.
    pub max_linger: Duration,
    /// Produce requests in flight besides the first: 0 to 4 with idempotence, since brokers
    /// remember five batches; 0 to 100 without, where more than 0 gives up the order on errors.
    /// Default: 4 with idempotence, else 0; in order either way.
    pub max_send_ahead: Option<usize>,
    /// Recognition of duplicates by the broker (KIP-98). Has an effect with
    /// [`RequiredAcks::All`] only. Default: `Auto`.
    pub idempotence: Idempotence,
    /// Treatment of records that a broker refuses for a reason that an operator can lift:
    /// permission, policy, a setting of the topic. Default: [`OnRefused::Hold`], they are sent
    /// again ever more rarely and nothing is lost.
    pub on_refused: OnRefused,
    /// Compression of batches. Default: not at all.
    pub compression: Compression,
    /// Effort of the compression. Default: the codec's own.
    pub compression_level: CompressionLevel,
    /// Choice of a call's partition. Default: a call whose first record has a key goes where
    /// Java's client sends it (murmur2), one without to a random partition. The Erlang
    /// original's default ignores keys: [`Strategy::Random`].
    pub partitioner: Strategy,
    /// Delay between attempts, exponential with jitter: the first from 1 ms, the longest at
    /// most an hour. Default: from 100 ms to 2 s.
    pub retry_delay: RetryDelay,
    /// Interval at which the partition count is requested; zero: never. Default: 300 s.
    pub partition_count_refresh_interval: Duration,
    /// The memory that the producer may take for records: of calls that wait to be queued, are
    /// kept beside a queue on disk, are compressed or in flight, and of the callbacks that
    /// observe them. When it is used up, [`overflow`](Self::overflow) says what happens. Clones
    /// of a budget are the same one: given to several producers, it is shared by them, and so
    /// it is by those that are made of clones of a configuration. 64 KiB at least. Default: 256
    /// MiB.
    pub memory_budget: MemoryBudget,
    /// Longest time for which the start waits for the first metadata before it goes on without.
    /// Default: 3 s.
    pub start_timeout: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            replayq_dir: None,
            replayq_seg_bytes: 10 * 1024 * 1024,
            replayq_max_total_bytes: 2_000_000_000,
            durability: Durability::Os,
            fragment_bytes: 64 * 1024,
            overflow: Overflow::default(),
            required_acks: RequiredAcks::default(),
            ack_timeout: Duration::from_secs(10),
            max_batch_bytes: 1_000_000,
            max_linger: Duration::ZERO,
            max_send_ahead: None,
            idempotence: Idempotence::Auto,
            on_refused: OnRefused::Hold,
            compression: Compression::None,
            compression_level: CompressionLevel::default(),
            partitioner: Strategy::MURMUR2,
            retry_delay: RetryDelay::default(),
            partition_count_refresh_interval: Duration::from_secs(300),
            memory_budget: MemoryBudget::default(),
            start_timeout: Duration::from_secs(3),
        }
    }
}
