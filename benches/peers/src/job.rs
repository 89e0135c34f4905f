//! Job of a contender, and its result.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Topic that is produced to.
pub const TOPIC: &str = "bench";

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;

/// The contender.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, ValueEnum)]
pub enum Contender {
    /// This workspace's producer.
    Wolff,
    /// This workspace's connection manager without a producer.
    WolffClient,
    /// The rdkafka crate: librdkafka's `BaseProducer`, idempotent.
    Rdkafka,
    /// The rskafka crate with batches made by hand, which is its fast way. It has no idempotence.
    Rskafka,
    /// The rskafka crate's `BatchProducer`: a future per record.
    RskafkaBatch,
    /// Not a client: the same bytes, written to files.
    RawFile,
}

/// Compression of batches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The name that Kafka's configuration has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// One turn of a contender.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    /// The contender.
    pub contender: Contender,
    /// Where the broker listens.
    pub broker: String,
    /// The broker's process, to see what it has used meanwhile.
    pub broker_pid: u32,
    /// Records of the measured part.
    pub records: usize,
    /// Records before it, not measured.
    pub warm_up_records: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Records that are handed over in one call.
    pub records_per_call: usize,
    /// Records that may be handed over and not acknowledged.
    pub outstanding: usize,
    /// Compression of batches.
    pub compression: Compression,
    /// Time that an undersized batch waits.
    pub linger: Duration,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Requests in flight to a partition (or, for librdkafka, a broker).
    pub in_flight: usize,
    /// Where a queue on disk is; none: in memory.
    pub queue_dir: Option<PathBuf>,
    /// The core that the process is pinned to; none: not pinned.
    pub core: Option<usize>,
    /// Time between two records, where latency is measured.
    pub pace: Duration,
    /// Threads of the runtime beside the one that produces; 0: one thread for everything.
    pub worker_threads: usize,
}

/// Cost of a turn.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Measurement {
    /// Records of the measured part, each of them acknowledged.
    pub records: usize,
    /// Wall time from the first call to the last acknowledgement.
    pub wall: Duration,
    /// CPU time of the whole process meanwhile, user and system.
    pub cpu: Duration,
    /// The same of the broker's process where that is ours, in steps of 10 ms.
    pub broker_cpu: Option<Duration>,
    /// The most of the process that was in memory by then, KiB; none where the system does not say.
    pub peak_memory_kib: Option<u64>,
}

impl Measurement {
    /// Records per second of wall time.
    #[must_use]
    pub fn records_per_second(&self) -> f64 {
        count(self.records) / self.wall.as_secs_f64()
    }

    /// Nanoseconds of CPU time per record.
    #[must_use]
    pub fn cpu_ns_per_record(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / count(self.records)
    }

    /// Share of the time in which the broker's process was busy: near 1 it is the broker that is
    /// measured.
    #[must_use]
    pub fn broker_share(&self) -> Option<f64> {
        Some(self.broker_cpu?.as_secs_f64() / self.wall.as_secs_f64())
    }
}

fn count(records: usize) -> f64 {
    u32::try_from(records).map_or(f64::INFINITY, f64::from)
}
