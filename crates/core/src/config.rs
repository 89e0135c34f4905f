//! Configuration of a partition queue: sizes, times and guarantees. Nothing here is read from
//! outside.

use std::time::Duration;

use wolff_codec::records::{Compression, CompressionLevel};

/// Storage of the local queue's items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Storage {
    /// In memory: a call is queued as soon as its records are in the open batch, and nothing
    /// survives the process.
    Memory,
    /// On disk: a call is queued when the fragment that holds it was appended to the local queue.
    Disk,
}

/// Choice of whether batches carry a producer id and sequence numbers (KIP-98), by which the broker
/// recognises what it already has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Idempotence {
    /// Batches carry neither; a lost answer can lead to a duplicate.
    Off,
    /// Requested; where the cluster refuses a producer id the partition goes on at least once and
    /// reports it.
    Auto,
    /// Requested; without a producer id nothing is sent.
    Required,
}

/// Acknowledgement that ends a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Acks {
    /// All in-sync replicas.
    All,
    /// The leader alone.
    Leader,
    /// Nobody: writing to the socket ends the batch.
    None,
}

/// Handling of a refusal that an operator can lift: missing permission, a policy, a setting of
/// the topic.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnRefused {
    /// The batch is kept and sent again with back-off; the refusal is reported.
    #[default]
    Hold,
    /// The batch fails.
    Fail,
}

/// Exponential delay between attempts, with jitter of up to half of the delay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryDelay {
    /// Delay after the first failure. At least 1 ms.
    pub base: Duration,
    /// Upper bound of the delay. At least `base`, at most an hour.
    pub ceiling: Duration,
}

impl Default for RetryDelay {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            ceiling: Duration::from_secs(2),
        }
    }
}

/// Configuration of one partition queue.
#[derive(Clone, Debug)]
pub struct Config {
    /// Size of a closed batch in bytes, batch header included, before compression. A single larger
    /// call still makes a batch of its own. Default: 1,000,000.
    pub max_batch_bytes: usize,
    /// Size in bytes at which records on their way to disk become a queue item of their own: the
    /// most that one damaged item loses. A larger call is one item. Default: 64 KiB.
    pub fragment_bytes: usize,
    /// Largest call that is accepted at all, in encoded bytes. Default: 64 MiB.
    pub max_call_bytes: usize,
    /// Longest time for which an undersized batch waits for more records while it could be sent.
    /// Default: 0.
    pub linger: Duration,
    /// Produce requests in flight at once, 1 to 5 with idempotence. Default: 5.
    pub max_in_flight: usize,
    /// Default: [`Idempotence::Auto`]. Has no effect unless `acks` is [`Acks::All`].
    pub idempotence: Idempotence,
    /// Default: [`Acks::All`].
    pub acks: Acks,
    /// Default: [`OnRefused::Hold`].
    pub on_refused: OnRefused,
    /// Default: [`Storage::Memory`].
    pub storage: Storage,
    /// Bytes of accepted and unfinished records at which new calls are refused as full.
    /// Default: 2,000,000,000.
    pub max_queue_bytes: u64,
    /// Bytes that may wait in memory for a local queue on disk to take them. Default: 4 MiB.
    pub max_unqueued_bytes: usize,
    /// Bytes of stored records that a local queue on disk keeps in memory as well. Default: 4 MiB.
    pub resident_bytes: u64,
    /// Size of batches on the wire on a link that is lost in the middle of larger ones; what it
    /// carries of these makes them larger again. Default: 16 KiB.
    pub link_floor_bytes: usize,
    /// Compression of batches when they are leased. Default: none.
    pub compression: Compression,
    /// Its level. Default: the codec's own.
    pub compression_level: CompressionLevel,
    /// Delay between attempts to connect, and before a refused batch is sent again.
    pub retry_delay: RetryDelay,
    /// Seed of the jitter.
    pub seed: u64,
    /// Number of this run of the queue: a random one, so that two runs never share it.
    pub run: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_batch_bytes: 1_000_000,
            fragment_bytes: 64 * 1024,
            max_call_bytes: 64 * 1024 * 1024,
            linger: Duration::ZERO,
            max_in_flight: 5,
            idempotence: Idempotence::Auto,
            acks: Acks::All,
            on_refused: OnRefused::Hold,
            storage: Storage::Memory,
            max_queue_bytes: 2_000_000_000,
            max_unqueued_bytes: 4 * 1024 * 1024,
            resident_bytes: 4 * 1024 * 1024,
            link_floor_bytes: 16 * 1024,
            compression: Compression::None,
            compression_level: CompressionLevel::default(),
            retry_delay: RetryDelay::default(),
            seed: 0,
            run: 0,
        }
    }
}

impl Config {
    /// Idempotence as it takes effect: sequence numbers are worthless without the acks of all
    /// replicas.
    #[must_use]
    pub fn effective_idempotence(&self) -> Idempotence {
        if self.acks == Acks::All {
            self.idempotence
        } else {
            Idempotence::Off
        }
    }
}
