//! Views of a queue's directory.

use std::path::PathBuf;

use bytes::Bytes;

use crate::damage::Damage;
use crate::ids::{ItemId, ItemRange};

/// The process that has the queue open.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum Owner {
    /// No process.
    Nobody,
    /// The process with this number, as far as that is known.
    Process(Option<u32>),
    /// The system does not report it.
    Unknown,
}

/// The state of a segment file.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum SegmentState {
    /// Full, with a seal that says what it holds.
    Sealed,
    /// The last one: the next items go here.
    Filling,
    /// Not full and not the last one: a crash or a failed write ended it.
    Cut,
    /// All its items are done: it is to be used again, or removed.
    Done,
    /// It belongs to another queue.
    Foreign,
}

/// One segment file.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct SegmentView {
    /// Its name.
    pub file: String,
    /// No item in it has a lower id.
    pub first_id: ItemId,
    /// The id of its last item; none if it holds none.
    pub last_id: Option<ItemId>,
    /// Its state.
    pub state: SegmentState,
    /// Items in it, done or not.
    pub items: u64,
    /// Items that are not done.
    pub open_items: u64,
    /// Their payloads' bytes.
    pub open_bytes: u64,
    /// Where its entries end, in bytes.
    pub end: u64,
    /// The length of the file in bytes.
    pub file_bytes: u64,
    /// Bytes behind the last entry that look like a write that was cut short.
    pub torn_bytes: u64,
    /// Damaged places in it.
    pub damage: u64,
}

/// A lease with a tag that is not done.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct LeaseView {
    /// Its boundaries.
    pub items: ItemRange,
    /// The caller's tag.
    pub tag: Bytes,
    /// The file that it is written in.
    pub file: String,
}

/// The newest commit record.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct CommitView {
    /// The number of commits that were written since the queue was made.
    pub sequence: u64,
    /// Ids from here on were never used when it was written.
    pub next_id: ItemId,
    /// The caller's tag.
    pub tag: Bytes,
}

/// A file of the directory that is not read.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct OtherFile {
    /// Its name.
    pub file: String,
    /// Its length in bytes.
    pub file_bytes: u64,
    /// Put aside by the queue: damaged, or another queue's.
    pub is_put_aside: bool,
}

/// A view of a queue's directory.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The directory.
    pub directory: PathBuf,
    /// The queue's identity, as hexadecimal digits.
    pub uuid: String,
    /// The version of its format; of one whose control file does not say, the newest.
    pub format_version: u16,
    /// The process that has it open.
    pub owner: Owner,
    /// The newest commit record; none if none is left.
    pub commit: Option<CommitView>,
    /// All items up to this one are done.
    pub done_through: ItemId,
    /// Items behind that are done, in order.
    pub done_beyond: Vec<ItemRange>,
    /// Items that are not done, leased ones included.
    pub open_items: u64,
    /// Their payloads' bytes.
    pub open_bytes: u64,
    /// Segment files in order of their items.
    pub segments: Vec<SegmentView>,
    /// Leases with a tag, in order of their items.
    pub leases: Vec<LeaseView>,
    /// Damage. Bytes of a write that a crash has cut short are none: no append was answered for
    /// them.
    pub damage: Vec<Damage>,
    /// Files that were not looked into.
    pub others: Vec<OtherFile>,
    /// Bytes of all files.
    pub disk_bytes: u64,
}

impl Inspection {
    /// Returns whether nothing is damaged, as far as was looked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
    }

    /// Returns whether the item is done.
    #[must_use]
    pub fn is_done(&self, id: ItemId) -> bool {
        id <= self.done_through || self.done_beyond.iter().any(|range| range.contains(id))
    }
}
