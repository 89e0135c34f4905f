//! What the owner of a partition queue chooses: sizes, times and guarantees. Nothing here is read from outside.

use std::time::Duration;

/// When a call counts as *queued*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As soon as its records stand in the open batch: nothing is promised to survive the process.
    Memory,
    /// When the frame that holds it was appended to the local queue.
    Queue,
}

/// Whether batches carry a producer id and sequence numbers (KIP-98), so that the broker drops what it has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotence {
    /// Batches carry neither; a lost answer can mean a duplicate.
    Off,
    /// Asked for; where the cluster refuses a producer id the partition goes on at least once and says so.
    Auto,
    /// Asked for; without a producer id nothing is sent.
    Required,
}

/// Exponential delay between attempts, with jitter of up to half of the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryDelay {
    /// Delay after the first failure.
    pub base: Duration,
    /// Upper bound of the delay.
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
#[derive(Debug, Clone)]
pub struct Config {
    /// Size of a closed batch in bytes, batch header included, before compression. A single larger call still makes a
    /// batch of its own. Default: 1,000,000.
    pub max_batch_bytes: usize,
    /// Largest call that is accepted at all, in encoded bytes. Default: 64 MiB.
    pub max_call_bytes: usize,
    /// How long an undersized batch waits for more records while it could be sent. Default: 0.
    pub linger: Duration,
    /// Produce requests in flight at once, 1 to 5 with idempotence. Default: 5.
    pub max_in_flight: usize,
    /// Default: [`Idempotence::Auto`].
    pub idempotence: Idempotence,
    /// When a call counts as queued. Default: [`Durability::Memory`].
    pub durability: Durability,
    /// Bytes of accepted and unfinished records at which new calls are refused as full. Default: 2,000,000,000.
    pub max_queue_bytes: u64,
    /// Bytes that may wait in memory for the local queue to take them, where [`Durability::Queue`] is asked for.
    /// Default: 4 MiB.
    pub max_unqueued_bytes: usize,
    /// Delay between attempts to connect, and before a failed batch is sent again.
    pub retry_delay: RetryDelay,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_batch_bytes: 1_000_000,
            max_call_bytes: 64 * 1024 * 1024,
            linger: Duration::ZERO,
            max_in_flight: 5,
            idempotence: Idempotence::Auto,
            durability: Durability::Memory,
            max_queue_bytes: 2_000_000_000,
            max_unqueued_bytes: 4 * 1024 * 1024,
            retry_delay: RetryDelay::default(),
            seed: 0,
        }
    }
}
