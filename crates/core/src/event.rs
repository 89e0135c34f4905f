//! Everything that can happen to a partition beside calls.

use std::sync::Arc;

use wolff_codec::{ErrorCode, Offset, ProducerEpoch, ProducerId};

use crate::action::{EndedLease, LeaseNo, Ticket};
use crate::assemble::LeasedBatches;
use crate::batch::{BatchBody, BatchNo};
use crate::link::Leader;
use crate::outcome::StorageError;
use crate::reencode::Piece;

/// A broker's answer to a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The code.
    pub code: ErrorCode,
    /// Offset of the first record, where there is one.
    pub base_offset: Option<Offset>,
    /// The broker's words, where it gave any.
    pub message: Option<Arc<str>>,
    /// The records that are at fault, by number within the batch, with the broker's words (KIP-467).
    pub record_errors: Vec<(u32, Option<Arc<str>>)>,
    /// The answer named the new leader, and the client knows it now (KIP-951).
    pub names_leader: bool,
}

/// An event. Time is an argument of [`Partition::handle`](crate::Partition::handle).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The items of the last append are in the local queue, under consecutive ids.
    Appended {
        /// Id of the first.
        first_item: u64,
    },
    /// The local queue took none of the items of the last append.
    AppendFailed(StorageError),
    /// The lease that was requested. Nothing in it: the queue has nothing.
    Leased(LeaseNo, LeasedBatches),
    /// The lease cannot be had now.
    LeaseFailed,
    /// The tag of the lease is durable.
    Stamped(LeaseNo),
    /// It is not, or nobody knows.
    StampFailed(LeaseNo),
    /// The pieces of a batch.
    Split(BatchNo, Vec<Piece>),
    /// The end of a lease's records was reported.
    Reported(EndedLease),
    /// A batch of another queue's records for this partition.
    Foreign(Ticket, BatchBody),
    /// The link to the leader is up.
    Connected(Leader),
    /// The attempt to connect failed.
    ConnectFailed,
    /// The connection was lost.
    Disconnected,
    /// An identity was given.
    IdentityGranted {
        /// The producer id.
        producer_id: ProducerId,
        /// Its epoch.
        epoch: ProducerEpoch,
    },
    /// None was given.
    IdentityFailed {
        /// The cluster refuses: no permission, or it knows no such request.
        is_refused: bool,
    },
    /// A broker answered a batch.
    Answered(BatchNo, Answer),
    /// A batch got no answer; the connection is taken for lost.
    RequestFailed {
        /// The batch.
        batch: BatchNo,
        /// None of its bytes, or not the last one, can have reached the broker.
        not_sent: bool,
    },
}
