//! The decisions of one Kafka partition queue, without any I/O.
//!
//! [`Partition`] is a state machine: callers' threads [`accept`](Partition::accept) records into it, a
//! driver feeds it [events](Event) and carries out what it asks for:
//! [`poll_append`](Partition::poll_append) and [`poll_lease`](Partition::poll_lease) for the local
//! queue, [`poll_action`](Partition::poll_action) for the network,
//! [`poll_end`](Partition::poll_end) for those who wait, [`poll_timeout`](Partition::poll_timeout) for
//! the clock. It opens no socket or file, reads no clock and draws no ambient randomness: time is an
//! argument and the seed is configuration, so that a test or a simulator drives the very same code in
//! virtual time.
//!
//! ```text
//!  accept ─► open batch ─cut─► fragments ─append─► local queue ─lease─► window ─stamp─► send ─► broker
//!            (encoded in       (group commit)      (memory, disk)       (in order)               │
//!             place)                                    ▲                                        │ answer
//!                                                       └─ ack ◄─ reported ◄─ end of each call ◄─┘
//! ```
//!
//! The link to the leader is `Down → Connecting → Up → Down …`; the identity for idempotent writes is
//! `Absent → Requested → Ready → Absent …`; a batch in the window is
//! `Unstamped → Stamping → Ready → Sent → Acked | Refused`, and back to `Ready` when it has to be sent
//! again.

mod unrouted;

mod driver;

mod partition;

mod intake;
mod sending;

mod backlog;

mod ends;
mod event;

mod action;

mod assemble;
mod identity;
mod link;
mod retry;
mod split;
mod stamp_tag;

mod counters;
mod reencode;

mod finished;
mod queue_item;
mod verdict;

mod batch;

mod config;
mod outcome;

pub use action::{
    Accepted, Action, AppendOperation, ClusterRequest, Completion, Ended, EndedLease, LeaseNo,
    LeaseOperation, Origin, QueueWork, Refused, Ticket, Transmit,
};
pub use assemble::LeasedBatches;
pub use backlog::{Recovered, RecoveredLease};
pub use batch::{BatchBody, BatchNo, Stamp};
pub use config::{Acks, Config, Idempotence, OnRefused, RetryDelay, Storage};
pub use counters::{Replay, Snapshot, Tally};
pub use driver::{Driver, DriverHost, LocalLease, LocalQueue, Machine, Notice};
pub use event::{Answer, Event};
pub use identity::{IdentityRequest, IdentityScope};
pub use intake::Opening;
pub use link::Leader;
pub use outcome::{DoubtReason, FailReason, Outcome, StorageError};
pub use partition::Partition;
pub use queue_item::{ItemContext, QueueItem, QueueItemError, RunPosition, batch_start};
pub use reencode::{BatchEncoder, Piece};
pub use split::{SplitRule, split};
pub use stamp_tag::{LeaseTag, LeaseTagError, StampedBatch};
pub use unrouted::{Routable, Unrouted};
pub use verdict::{Class, Proof, Refusal, Situation, TABLE, Verdict, classify, verdict};
