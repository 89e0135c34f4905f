#![doc = include_str!("../README.md")]

mod pool;
mod repair;

mod closing;

mod queue;

mod admission;

mod inspect;
mod recovery;

mod append;

mod ending;
mod flush;
mod offload;

mod rescue;

mod disk;

mod copy;
mod memory;
mod reader;
mod turns;
mod writer;

mod ledger;

mod apart;
mod leases;
mod segments;
mod taker;

mod control;

mod ahead;
mod backlog;
mod call;

mod acks;
mod segment;

mod ranges;

mod config;
mod damage;
mod limits;
mod stats;

mod error;
mod load;
mod shared;

pub mod vfs;

mod field;
mod ids;

pub use backlog::Item;
pub use config::{Config, Durability, Flush, MAX_ITEM_BYTES, Overflow, Storage, Unreadable};
pub use control::commit::MAX_COMMIT_TAG_BYTES;
pub use control::lease::MAX_LEASE_TAG_BYTES;
pub use damage::{Damage, RecoveredLease, Recovery};
pub use error::{AckError, AppendError, FlushError, IoFailure, LeaseError, OpenError, ReadError};
pub use ids::{ItemId, ItemRange, LeaseId};
pub use inspect::{
    CommitView, Depth, InspectError, Inspection, Inspector, ItemState, LeaseView, OtherFile, Owner,
    SegmentState, SegmentView, StoredItem,
};
pub use ledger::Lease;
pub use limits::{BytesLimit, ItemRef, PopLimits, StopBefore};
pub use pool::{IoPool, Job};
pub use queue::{Leased, Queue};
pub use repair::{Repair, RepairError, repair, repair_in};
pub use shared::SharedLimits;
pub use stats::Stats;
