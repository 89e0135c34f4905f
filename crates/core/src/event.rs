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
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The code.
    pub code: ErrorCode,
    /// Offset of the first record, where there is one.
    pub base_offset: Option<Offset>,
    /// Offset at which the partition's log begins, if the broker says so (Produce 5+).
    pub log_start: Option<Offset>,
    /// The broker's words, where it gave any.
    pub message: Option<Arc<str>>,
    /// The records that are at fault, by number within the batch, with the broker's words
    /// (KIP-467).
    pub record_errors: Vec<(u32, Option<Arc<str>>)>,
    /// The answer named the new leader, and the client has it now (KIP-951).
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
    /// The same, and they are leased together with the other items of their batch: the tag of the
    /// request is durable.
    AppendedLeased {
        /// Id of the first.
        first_item: u64,
        /// The lease.
        lease: LeaseNo,
        /// The batch.
        batches: LeasedBatches,
    },
    /// The same, but the lease could not be read and was given back: the sequence range in its tag
    /// is not used any more.
    AppendedUnleased {
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
    /// It is not, or that is unknown.
    StampFailed(LeaseNo),
    /// The pieces of a batch.
    Split(BatchNo, Vec<Piece>),
    /// The end of a lease's records was reported.
    Reported(EndedLease),
    /// A batch of another queue's records for this partition. `was_sent`: perhaps by a previous
    /// run.
    Foreign {
        /// Named with the ends of its records.
        ticket: Ticket,
        /// The records.
        body: BatchBody,
        /// A previous run has perhaps sent them.
        was_sent: bool,
    },
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
        /// The cluster refuses: no permission, or no support for the request.
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
