//! The decisions of one Kafka partition queue, without any I/O.
//!
//! [`Partition`] is a state machine: callers' threads [`accept`](Partition::accept) records into it, a driver feeds it
//! events (`handle_*`) and carries out what it asks for ([`poll_queue`](Partition::poll_queue) for the local queue,
//! [`poll_action`](Partition::poll_action) for the network, [`poll_timeout`](Partition::poll_timeout) for the clock).
//! It opens no socket or file, reads no clock and draws no ambient randomness: time is an argument and the seed is
//! configuration, so that a test or a simulator drives the very same code in virtual time.
//!
//! ```text
//!  accept ──► open batch ──cut──► frames ──append──► local queue ──lease──► window ──send──► broker
//!             (encoded in place)  (group commit)     (memory, disk)         (stamped, in order)
//!                                                        ▲                     │ answer, in issue order
//!                                                        └──────── ack ◄───────┴──► outcome of each call
//! ```
//!
//! The link to the leader is `Down → Connecting → Up → Down …`; the identity for idempotent writes is
//! `Absent → Requested → Ready → Absent …`; a slot of the window is `Ready → Sent → Answered`, and back to `Ready`
//! when it has to be sent again.
#![allow(
    clippy::disallowed_methods,
    reason = "the seams of this crate are being made"
)]

mod partition;

mod backlog;
mod open_batch;
mod split;
mod window;

mod action;
mod frame;
mod identity;
mod verdict;

mod batch;
mod link;

mod config;
mod outcome;

pub use action::{
    Accepted, Action, AppendFrame, Completion, EndedLease, QueueOperation, Refused, Transmit,
};
pub use batch::{BatchBody, BatchNo, Stamp};
pub use config::{Config, Durability, Idempotence, RetryDelay};
pub use frame::{FrameError, frame_of, starts_batch};
pub use outcome::{DoubtReason, FailReason, Outcome, StorageError};
pub use partition::{Partition, Snapshot};
pub use split::LeasedBatches;
pub use verdict::{Verdict, verdict};
