//! What the partition asks of its driver, and what it answers to its callers.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{BatchBody, BatchNo, Stamp};
use crate::outcome::Outcome;

/// A call that was taken in.
#[derive(Debug, Clone)]
pub struct Accepted<T> {
    /// Number of the call in this partition, from 0. It is queued when [`Snapshot::queued_calls`](crate::Snapshot)
    /// is larger.
    pub call_no: u64,
    /// The call's first record within its batch.
    pub first_record: u32,
    /// The owner's token of the batch that holds it.
    pub token: T,
    /// The driver should look at the partition again: a batch was opened or closed.
    pub wake: bool,
}

/// A call that was not taken in; nothing of it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No room now; there will be when the queue moves on.
    #[error("the queue is full")]
    Full,
    /// It can never be taken.
    #[error("a call of {bytes} bytes is larger than the {limit} bytes that one call may have")]
    TooLarge {
        /// Encoded size of the call, at least.
        bytes: usize,
        /// [`Config::max_call_bytes`](crate::Config).
        limit: usize,
    },
    /// A call needs at least one record.
    #[error("the call has no record")]
    Empty,
    /// The partition takes no more calls.
    #[error("the producer is stopping")]
    Stopping,
}

/// One frame to append: an item of the local queue.
#[derive(Debug, Clone)]
pub struct AppendFrame {
    /// The item's bytes.
    pub payload: Bytes,
}

/// Work for the local queue. The driver carries it out, calls the matching `handle_*`, and polls again.
#[derive(Debug)]
pub enum QueueOperation {
    /// Append these frames, in order, all or none: `handle_appended` or `handle_append_failed`.
    Append(Vec<AppendFrame>),
    /// Lease the frames of one batch (stop before an item that [`starts_batch`](crate::starts_batch)):
    /// `handle_leased` or `handle_lease_failed`.
    Lease {
        /// How many items the batch has, where that is known.
        items: Option<usize>,
    },
    /// Acknowledge these leases, oldest first. Nothing to report unless it fails.
    Ack(Vec<EndedLease>),
}

/// A lease whose records have come to their end.
#[derive(Debug)]
pub struct EndedLease {
    /// The number that the driver gave it.
    pub lease: u64,
    /// The last batch of the lease, which nobody needs any more: its memory can serve the next one.
    pub body: Option<Arc<BatchBody>>,
}

/// A produce request to send.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// Which batch; comes back with the answer.
    pub batch: BatchNo,
    /// The records.
    pub body: Arc<BatchBody>,
    /// Producer id, epoch and base sequence, where the partition is idempotent.
    pub stamp: Option<Stamp>,
    /// 0 for the first attempt.
    pub attempt: u32,
}

/// Work for the network.
#[derive(Debug)]
pub enum Action {
    /// Connect to the partition's leader: `handle_connected` or `handle_connect_failed`.
    Connect {
        /// Ask for fresh metadata first: the leader that is known has failed or was wrong.
        refresh_metadata: bool,
    },
    /// Ask for a producer id: `handle_producer_id` or `handle_producer_id_failed`.
    InitProducerId,
    /// Send a batch on the connected link: `handle_answer` or `handle_request_failed`.
    Send(Transmit),
    /// Drop the link, nothing of it is wanted any more: `handle_disconnected`.
    Disconnect,
}

/// The end of a run of records: to be told to those who wait for it.
#[derive(Debug, Clone)]
pub struct Completion<T> {
    /// The owner's token of the batch; `None` for records of an earlier life of the queue.
    pub token: Option<T>,
    /// First record of the run within the batch that the token stands for.
    pub first_record: u32,
    /// Records in the run.
    pub record_count: u32,
    /// Its end.
    pub outcome: Outcome,
}
