//! Requests of the partition to its driver, and answers to its callers.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{BatchBody, BatchNo, Stamp};
use crate::identity::IdentityRequest;
use crate::outcome::Outcome;
use crate::queue_item::QueueItemError;
use crate::split::{SplitRule, StoredBatch};

/// A lease of the local queue, by the number that the driver gave it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LeaseNo(pub u64);

/// A part of records of another queue that a partition sends: the number that their owner gave it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// Time until the driver should look at the local queue again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum QueueWork {
    /// Nothing changed for it.
    None,
    /// A small fragment waits for others to be stored with it.
    Soon,
    /// There is something to do at once.
    Now,
}

/// A call that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted<T> {
    /// Number of the call in this partition, from 0. It is queued when
    /// [`Partition::queued_calls`](crate::Partition::queued_calls) is larger.
    pub call_no: u64,
    /// The call's first record within its batch.
    pub first_record: u32,
    /// The owner's token of the batch that holds it.
    pub token: T,
    /// Change for the local queue.
    pub work: QueueWork,
    /// A batch was opened or closed by it: the network side should look again.
    pub wakes: bool,
}

/// A call that was not accepted; nothing of it was kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No room now; there will be when the queue moves on.
    #[error("the queue is full")]
    Full,
    /// The disk is behind: there is room as soon as it has stored what was accepted before.
    #[error("the local queue has not stored what was accepted before")]
    Behind,
    /// The memory that the owner of the machine has granted is used up:
    /// [`Partition::set_memory_room`](crate::Partition::set_memory_room).
    #[error("the memory for {bytes} more bytes is not granted")]
    NoMemory {
        /// Bytes that the call takes, at most.
        bytes: usize,
    },
    /// It can never be accepted.
    #[error("a call of {bytes} bytes is larger than the {limit} bytes that one call may have")]
    TooLarge {
        /// Encoded size of the call, at least.
        bytes: usize,
        /// [`Config::max_call_bytes`](crate::Config::max_call_bytes).
        limit: usize,
    },
    /// A call needs at least one record.
    #[error("the call has no record")]
    Empty,
    /// The partition accepts no more calls.
    #[error("the producer is stopping")]
    Stopping,
    /// The local queue holds items that this version cannot read.
    #[error("the local queue cannot be used: {0}")]
    Unreadable(QueueItemError),
}

/// A lease whose records have come to their end, which was reported.
#[derive(Debug)]
pub struct EndedLease {
    /// The lease.
    pub lease: LeaseNo,
    /// The last batch of the lease: its memory can serve the next one.
    pub body: Option<Arc<BatchBody>>,
}

/// Appending to the local queue, and taking out of it what is done.
#[derive(Debug)]
pub enum AppendOperation {
    /// Append these items in order, all or none: `Event::Appended` or `Event::AppendFailed`.
    Append(Vec<Bytes>),
    /// The same for the last fragments of a batch, which is leased in the same write:
    /// `Event::AppendedLeased`, or `Event::Appended` where the queue cannot do both at once and has
    /// appended only, or `Event::AppendFailed`.
    AppendLeased {
        /// The last items of the batch.
        payloads: Vec<Bytes>,
        /// Id of the batch's first item where that is in the queue, as the oldest that is not
        /// leased.
        from: Option<u64>,
        /// The tag of the lease.
        tag: Bytes,
    },
    /// Acknowledge these leases, oldest first, with a tag for the commit record where there is one.
    /// Nothing to report.
    Ack {
        /// The leases.
        leases: Vec<EndedLease>,
        /// To be stored with the last of them.
        commit_tag: Option<Bytes>,
    },
}

/// Reading from the local queue and preparing batches.
#[derive(Clone, Debug)]
pub enum LeaseOperation {
    /// Lease the items of one batch (those with the same [`batch_start`](crate::batch_start)), and
    /// compress them: `Event::Leased` or `Event::LeaseFailed`.
    Lease {
        /// Number of items of the batch, where that is known.
        items: Option<usize>,
    },
    /// Read the items of a lease that a previous run left open: the same events.
    Reload {
        /// The lease.
        lease: LeaseNo,
        /// The batches that it was sent as: each is made and compressed as it was.
        stored: Vec<StoredBatch>,
    },
    /// Give a lease back untouched: its items stay in the queue. Nothing to report.
    Release(LeaseNo),
    /// Write a tag to a lease, durable at the queue's level: `Event::Stamped` or
    /// `Event::StampFailed`.
    Stamp {
        /// The lease.
        lease: LeaseNo,
        /// The tag.
        tag: Bytes,
    },
    /// Split a batch and compress the pieces: `Event::Split`.
    Split {
        /// The batch.
        batch: BatchNo,
        /// Its records.
        body: Arc<BatchBody>,
        /// Rule by which it is split.
        rule: SplitRule,
    },
}

/// A produce request to send.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// Number of the batch; comes back with the answer.
    pub batch: BatchNo,
    /// The records.
    pub body: Arc<BatchBody>,
    /// Producer id, epoch and base sequence, where the partition is idempotent.
    pub stamp: Option<Stamp>,
    /// 0 for the first attempt.
    pub attempt: u32,
}

/// A request to the cluster other than Produce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClusterRequest {
    /// An identity: `Event::IdentityGranted` or `Event::IdentityFailed`.
    Identity(IdentityRequest),
}

/// Work for the network.
#[derive(Debug)]
pub enum Action {
    /// Connect to the partition's leader: `Event::Connected` or `Event::ConnectFailed`.
    Connect {
        /// Request fresh metadata first: the known leader has failed or was wrong.
        refresh_metadata: bool,
    },
    /// Send a request on the connected link.
    Request(ClusterRequest),
    /// Send a batch on the connected link: `Event::Answered` or `Event::RequestFailed`.
    Send(Transmit),
    /// Drop the connection. No answer is due on it, and no event: `Event::Disconnected` does no
    /// harm.
    Disconnect,
}

/// Owner of the records of a completion.
#[derive(Clone, Debug)]
pub enum Origin<T> {
    /// Of this run: the owner's token of the batch.
    ThisRun(T),
    /// Left on disk by a previous run.
    PreviousRun,
    /// Of another queue.
    Foreign(Ticket),
}

/// The end of a run of records, to be reported to those who wait for it.
#[derive(Clone, Debug)]
pub struct Completion<T> {
    /// Owner of the records.
    pub origin: Origin<T>,
    /// First record of the run within the batch that the token or ticket stands for.
    pub first_record: u32,
    /// Records in the run.
    pub record_count: u32,
    /// Their end.
    pub outcome: Outcome,
}

/// A completion, and the lease that ends with it.
#[derive(Debug)]
pub struct Ended<T> {
    /// To be reported.
    pub completion: Option<Completion<T>>,
    /// To be handed back with `Event::Reported` once it was: only then is the queue item
    /// acknowledged.
    pub lease: Option<EndedLease>,
}
