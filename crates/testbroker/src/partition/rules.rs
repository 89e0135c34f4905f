//! The settings that the rules depend on: of the topic, and of the broker's release.

use std::time::Duration;

/// The answer to the first batch of a producer id that the partition does not know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnknownProducers {
    /// Accept any first sequence number, as Kafka 2.5 to 4.4 do (KIP-360).
    #[default]
    Accept,
    /// The same, but on a partition that never held a record accept only 0, as Kafka 4.5 does
    /// (KAFKA-15591). Others are answered with `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    AcceptOnUsedLog,
    /// Accept only 0, as Kafka did before 2.5. Others are answered with `UNKNOWN_PRODUCER_ID`.
    Refuse,
    /// Accept only 0, as some brokers do that are not Apache's. Others are answered with
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    Never,
}

/// Settings of a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// The treatment of producer ids that the partition does not know. Default: as Kafka 2.5 to
    /// 4.4.
    pub unknown_producers: UnknownProducers,
    /// Batches per producer id that are recognised as duplicates. Default: 5; Kafka 0.11 had 1.
    pub remembered_batches: usize,
    /// `producer.id.expiration.ms`: the age of its last batch's timestamp at which a producer id is
    /// forgotten. Default: 24 h, as since Kafka 3.4.
    pub producer_expiration: Duration,
    /// `max.message.bytes`: the largest batch, in bytes, header included. Default: 1,048,588.
    pub max_batch_bytes: usize,
    /// `min.insync.replicas`: fewer in-sync replicas refuse acks=all. Default: 1.
    pub min_insync_replicas: usize,
    /// `message.timestamp.type=LogAppendTime`. Default: false.
    pub has_log_append_time: bool,
    /// `cleanup.policy=compact`: records without key are refused. Default: false.
    pub is_compacted: bool,
    /// `retention.bytes`: the size at which the oldest batches are dropped; the newest batch always
    /// stays. Default: no limit.
    pub retention_bytes: Option<u64>,
}

/// The time and the age at which producers are forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    pub(super) now_ms: i64,
    pub(super) after: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            unknown_producers: UnknownProducers::default(),
            remembered_batches: 5,
            producer_expiration: Duration::from_secs(24 * 60 * 60),
            // Kafka's message.max.bytes: a mebibyte and the part of the batch that its length field
            // does not count.
            max_batch_bytes: 1024 * 1024 + 12,
            min_insync_replicas: 1,
            has_log_append_time: false,
            is_compacted: false,
            retention_bytes: None,
        }
    }
}
