//! The ways in which the histories of two seeds differ beside their events: what the producer is
//! configured to do, and what its surroundings are like. Each is off in half of the seeds.

use std::time::Duration;

use wolff::{
    Compression, CompressionLevel, Durability, Idempotence, MemoryBudget, ProducerBuilder,
};
use wolff_backoff::Random;
use wolff_testbroker::UnknownProducers;

/// Answer of the brokers to a producer whom they do not know.
const UNKNOWN: [UnknownProducers; 4] = [
    UnknownProducers::Accept,
    UnknownProducers::AcceptOnUsedLog,
    UnknownProducers::Refuse,
    UnknownProducers::Never,
];

/// Codecs by which batches are compressed.
const CODECS: [Compression; 5] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
    Compression::None,
];

/// The smallest segment that can be configured, bytes.
const SEGMENT_BYTES: u64 = 64 * 1024;

/// A queue that has room for the calls of a full window, and for few more, bytes.
const QUEUE_BYTES: u64 = 8 * 1024;

/// The smallest budget that can be configured, bytes.
const MEMORY_BYTES: usize = 64 * 1024;

/// The settings of one history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knobs {
    /// Calls have keys and no partition, and metadata comes late.
    pub(crate) is_routed: bool,
    /// The topic grows.
    pub(crate) grows: bool,
    /// The topic's limit of a batch is lowered and raised.
    pub(crate) is_limited: bool,
    /// Days pass between two runs, so that brokers forget their producers.
    pub(crate) is_forgotten: bool,
    /// Batches carry no sequence numbers.
    pub(crate) is_plain: bool,
    /// Bits of the queues' segments flip between two runs.
    pub(crate) is_damaged: bool,
    /// Kills are power losses, at the durability that survives them.
    pub(crate) loses_power: bool,
    /// Values are some hundred bytes long instead of a few.
    pub(crate) is_large: bool,
    /// Answer of the brokers to a producer whom they do not know.
    pub(crate) unknown: UnknownProducers,
    codec: Compression,
    /// Largest batch, bytes; `None`: the default.
    batch_bytes: Option<usize>,
    /// Largest fragment, bytes; `None`: the default.
    fragment_bytes: Option<usize>,
    /// Segments, the queue and memory are as small as can be.
    is_tight: bool,
}

impl Knobs {
    /// Draws settings.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut is_on = || random.below(2) == 0;
        let (is_routed, grows, is_limited) = (is_on(), is_on(), is_on());
        let (is_compressed, has_small_batches, is_tight) = (is_on(), is_on(), is_on());
        let (has_small_fragments, loses_power, is_large) = (is_on(), is_on(), is_on());
        // What makes duplicates possible is rarer: most histories are to be exact.
        let (is_forgotten, is_plain) = (random.below(6) == 0, random.below(8) == 0);
        let mut pick = |count: usize| usize::try_from(random.below(count as u64)).unwrap_or(0);
        let unknown = UNKNOWN.get(pick(UNKNOWN.len())).copied();
        let codec = CODECS.get(pick(CODECS.len())).copied();
        let sizes = (200 + pick(1_000), 1_024 + pick(500));
        let is_damaged = pick(6) == 0;
        Self {
            is_routed,
            grows: grows && is_routed,
            is_limited,
            is_forgotten,
            is_plain,
            is_damaged,
            loses_power,
            // A limit below one record would end it as too large.
            is_large: is_large && !is_limited,
            unknown: unknown.unwrap_or_default(),
            codec: codec.filter(|_| is_compressed).unwrap_or_default(),
            batch_bytes: has_small_batches.then_some(sizes.0),
            fragment_bytes: has_small_fragments.then_some(sizes.1),
            is_tight,
        }
    }

    /// Returns true if a record may be in the log twice, provided it is counted: what is in doubt
    /// while it is routed, or has lost one of its items to damage, is sent again without its
    /// numbers.
    pub(crate) fn may_duplicate(&self) -> bool {
        self.is_forgotten || self.is_plain || self.is_routed || self.is_damaged
    }

    /// Configures a producer.
    pub(crate) fn apply(&self, builder: ProducerBuilder) -> ProducerBuilder {
        let mut builder = builder
            .start_timeout(Duration::from_millis(20))
            .partition_count_refresh_interval(Duration::from_millis(700))
            .compression(self.codec, CompressionLevel::default());
        if let Some(bytes) = self.batch_bytes {
            builder = builder.max_batch_bytes(bytes);
        }
        if let Some(bytes) = self.fragment_bytes {
            builder = builder.fragment_bytes(bytes);
        }
        if self.is_tight {
            builder = builder
                .replayq_seg_bytes(SEGMENT_BYTES)
                .replayq_max_total_bytes(QUEUE_BYTES)
                .memory_budget(MemoryBudget::new(MEMORY_BYTES));
        }
        if self.is_plain {
            builder = builder.idempotence(Idempotence::Off);
        }
        if self.loses_power {
            builder = builder.durability(Durability::Fsync {
                max_delay: Duration::ZERO,
            });
        }
        builder
    }
}
