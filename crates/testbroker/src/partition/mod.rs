//! One partition of a Kafka topic as its leader and replicas see it: a pure model of the broker's
//! rules, without tokio, sockets or clocks.
//!
//! The brokers of a [`Cluster`](crate::Cluster) call it, and tests and simulations of producers can
//! call it directly, without encoding requests. It is generic over `P`, the payload that a batch is
//! stored with: the bytes of a record batch, or whatever a test wants to find in the log.
//!
//! ```
//! use wolff_codec::ErrorCode;
//! use wolff_codec::ids::{BrokerId, Offset, ProducerEpoch, ProducerId};
//! use wolff_testbroker::partition::{ACKS_ALL, BatchFacts, PartitionModel, Rules, Stamp};
//!
//! let mut partition = PartitionModel::new(Rules::default(), [BrokerId(1)]);
//! let batch = |base_sequence| BatchFacts {
//!     stamp: Some(Stamp {
//!         producer_id: ProducerId(7),
//!         epoch: ProducerEpoch(0),
//!         base_sequence,
//!     }),
//!     record_count: 2,
//!     size_bytes: 100,
//!     ..BatchFacts::default()
//! };
//! let appended = partition.produce(&batch(0), ACKS_ALL, 0, "ab").unwrap();
//! assert_eq!(appended.base_offset, Offset(0));
//! // The same sequence numbers again are a duplicate, whatever the content is.
//! let again = partition.produce(&batch(0), ACKS_ALL, 0, "xy").unwrap();
//! assert!(again.is_duplicate);
//! // A gap is refused.
//! let refusal = partition.produce(&batch(4), ACKS_ALL, 0, "ef").unwrap_err();
//! assert_eq!(refusal.code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
//! assert_eq!(partition.log().payloads().copied().collect::<Vec<_>>(), ["ab"]);
//! ```
//!
//! # Rules
//! Apache Kafka's, from `UnifiedLog`, `ProducerStateManager`, `ProducerAppendInfo` and
//! `LogValidator`. The tests of this module name the rule that they hold; the numbers that are
//! missing here concern whole clusters or clients.
//!
//! | rule | |
//! |---|---|
//! | R1 | per producer id the last five batches of its newest epoch are known; nothing ties an id to a connection or a process |
//! | R2 | a duplicate has the epoch, first and last sequence number of one of them; content is not compared |
//! | R3 | a duplicate is answered with success, the first offset and, as append time, the batch's timestamp; with acks=all it waits for the high watermark; that in-sync replicas are enough is checked first |
//! | R4 | a batch goes on after the last one, with 0 after 2^31 - 1; a gap and what is too old to be known get the same error |
//! | R5 | the first batch of an unknown producer id: [`UnknownProducers`] |
//! | R6 | a lower epoch is fenced; a higher one begins at 0 and clears the known batches; both only while the id is known |
//! | R8 | producers expire by the timestamp of their last batch, on each replica at its own moment, and at once when a snapshot is loaded |
//! | R9 | a restart leaves the last batch of each id in the newest snapshot, and every batch after it; nothing where the log is empty or its head is gone |
//! | R11 | DescribeProducers is answered by every replica from its own state |
//! | R13 | Kafka 0.11 knows one batch: [`Rules::remembered_batches`] |
//! | R14 | leadership, in-sync replicas, size and records are checked before duplicates: a batch that was appended can be refused when it is sent again |
//! | R16 | with acks=all the leader appends first and waits then: [`follows_append`] has the errors that can come after that; an election can keep or lose such a batch |
//! | R17 | the latest offset is refused while the high watermark is below the start of the leader's epoch |

mod model;

mod replica;

mod producers;

mod log;

mod batch;
mod rules;

#[cfg(test)]
mod tests;

pub use self::batch::{
    ACKS_ALL, ACKS_LEADER, ACKS_NONE, Appended, BatchFacts, Placement, RecordError, Refusal, Stamp,
    follows_append,
};
pub use self::log::{Log, StoredBatch};
pub use self::model::PartitionModel;
pub use self::producers::ProducerSummary;
pub use self::rules::{Rules, UnknownProducers};
