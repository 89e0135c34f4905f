#![doc = "[FORMAT.md]: crate::file_format"]
#![doc = ""]
#![doc = include_str!("../README.md")]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "unit tests run in the real world"
    )
)]

mod tools;

mod front;

mod recovery;

mod admission;

mod store;

mod disk;

mod state;

mod scan;

mod format;

mod put_aside;

mod config;
mod damage;
mod metrics;
mod stats;

mod limits;

mod error;

pub mod vfs;

mod signal;

mod field;
mod ids;
mod moment;
mod sync;

#[doc = include_str!("../FORMAT.md")]
pub mod file_format {}

pub use bytes::Bytes;
pub use config::{Config, Durability, Flush, MAX_ITEM_BYTES, Overflow, Storage, Unreadable};
pub use damage::{Damage, RecoveredLease, Recovery};
pub use error::{AckError, AppendError, FlushError, IoFailure, LeaseError, OpenError, ReadError};
pub use format::control::commit::MAX_COMMIT_TAG_BYTES;
pub use format::control::lease::MAX_LEASE_TAG_BYTES;
pub use front::io_pool::{IoPool, Job};
pub use front::lease_guard::{LeaseGuard, LeaseInfo, LeasesIter};
pub use front::queue::{Leased, Queue};
pub use front::wait::Ready;
pub use ids::{ItemId, ItemRange, LeaseId};
pub use limits::shared::SharedLimits;
pub use limits::{BytesLimit, ItemRef, PopLimits, StopBefore};
pub use metrics::Metrics;
pub use state::leases::Lease;
pub use state::waiting::Item;
pub use stats::Stats;
pub use tools::inspect::{
    CommitView, Depth, InspectError, Inspection, Inspector, ItemState, LeaseView, OtherFile, Owner,
    SegmentState, SegmentView, StoredItem,
};
pub use tools::repair::{Repair, RepairError, repair, repair_in};
