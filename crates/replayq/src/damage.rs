//! Reports of damage, and of what was found at open.

use std::fmt;

use bytes::Bytes;

use crate::ids::{ItemId, ItemRange, LeaseId};
use crate::vfs::Hole;

/// One damaged place. Damage costs the record it is in and nothing else; the file it is in is kept
/// aside (with the suffix `.damaged`) once its other items are done.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum Damage {
    /// An item whose bytes do not have their checksum. It is lost.
    Item {
        /// The segment file.
        file: String,
        /// Where the item starts.
        position: u64,
        /// Its id.
        id: ItemId,
    },
    /// Bytes in which nothing could be made out. The items in them are lost.
    Bytes {
        /// The segment file.
        file: String,
        /// Where they start.
        position: u64,
        /// Their number.
        bytes: u64,
        /// The ids that items in there must have had; none if only a lease, or nothing that
        /// mattered, was there.
        ids: Option<ItemRange>,
    },
    /// Bytes that the disk could not read, see [`crate::Unreadable::Skip`]. The items in them are
    /// lost; where their ids are known they are named by another entry.
    Unreadable {
        /// The file.
        file: String,
        /// Where they start.
        position: u64,
        /// Their number.
        bytes: u64,
    },
    /// Items that were never acked and are in no file.
    Missing {
        /// Their ids.
        ids: ItemRange,
    },
    /// The header of a segment file. Nothing is lost.
    SegmentHeader {
        /// The segment file.
        file: String,
    },
    /// A segment file of another queue, or written by a copy of this one. It was renamed with the
    /// suffix `.foreign`, its items are not in this queue.
    Foreign {
        /// The segment file.
        file: String,
    },
    /// A segment of this queue, with items that are not done, under the name of another one. It was
    /// renamed: to its own name where that was free, and nothing is lost then; otherwise with the
    /// suffix `.misnamed`, and its items are not in this queue.
    Misnamed {
        /// The name that it had.
        file: String,
        /// From the first to the last item in it that is not done.
        items: ItemRange,
    },
    /// A directory, link or pipe with the name of a segment file. Opening is refused until it is
    /// moved away.
    NoFile {
        /// The name.
        file: String,
    },
    /// The header of the control file, or all of it. It was written anew; without any commit record
    /// all items that are there count as not acked.
    Control,
    /// A commit record. If it was the newest, the acks since the one before are forgotten, and
    /// their items come back.
    Commit,
    /// A lease record. Its items are there, the lease and its tag are lost.
    Lease,
}

impl Damage {
    /// The file that it is in.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Item { file, .. }
            | Self::Bytes { file, .. }
            | Self::Unreadable { file, .. }
            | Self::SegmentHeader { file }
            | Self::Foreign { file }
            | Self::Misnamed { file, .. }
            | Self::NoFile { file } => Some(file),
            Self::Missing { .. } | Self::Control | Self::Commit | Self::Lease => None,
        }
    }

    /// The items that are lost by it, of those that were not done.
    #[must_use]
    pub fn ids(&self) -> Option<ItemRange> {
        match self {
            Self::Item { id, .. } => Some(ItemRange::one(*id)),
            Self::Bytes { ids, .. } => *ids,
            Self::Missing { ids } => Some(*ids),
            _ => None,
        }
    }
}

/// Items as the subject of a sentence, with its verb.
struct Subject(ItemRange);

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.first == self.0.last {
            write!(formatter, "item {} is", self.0)
        } else {
            write!(formatter, "items {} are", self.0)
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item { file, position, id } => write!(
                formatter,
                "item {id} at byte {position} of {file} is damaged and lost"
            ),
            Self::Bytes {
                file,
                position,
                bytes,
                ids: Some(ids),
            } => write!(
                formatter,
                "{bytes} bytes from byte {position} of {file} on are damaged, {} lost in them",
                Subject(*ids)
            ),
            Self::Bytes {
                file,
                position,
                bytes,
                ids: None,
            } => write!(
                formatter,
                "{bytes} bytes from byte {position} of {file} on are damaged, no items are lost"
            ),
            Self::Unreadable {
                file,
                position,
                bytes,
            } => write!(
                formatter,
                "{bytes} bytes from byte {position} of {file} on cannot be read, what was in them is lost"
            ),
            Self::Missing { ids } => write!(formatter, "{} in no file", Subject(*ids)),
            Self::SegmentHeader { file } => write!(
                formatter,
                "the header of {file} is damaged, nothing is lost"
            ),
            Self::Foreign { file } => write!(
                formatter,
                "{file} belongs to another queue, or to a copy of this one: opening puts it aside"
            ),
            Self::Misnamed { file, items } => write!(
                formatter,
                "{file} is another segment under a wrong name, with items {items}: opening renames it"
            ),
            Self::NoFile { file } => write!(
                formatter,
                "{file} has the name of a segment and is no regular file: move it away"
            ),
            Self::Control => formatter
                .write_str("the control file is damaged or missing, opening writes it anew"),
            Self::Commit => {
                formatter.write_str("a commit record is damaged, acked items may come back")
            }
            Self::Lease => formatter.write_str("a lease record is damaged, its tag is lost"),
        }
    }
}

impl From<Hole> for Damage {
    fn from(hole: Hole) -> Self {
        let name = hole.path.file_name().unwrap_or_default();
        Self::Unreadable {
            file: name.to_string_lossy().into_owned(),
            position: hole.position,
            bytes: hole.bytes,
        }
    }
}

/// A lease of a previous run, with its boundaries and its tag. Its items are returned by
/// [`crate::Queue::read_lease`] only, until it is acked or released.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct RecoveredLease {
    /// Its id in this run.
    pub id: LeaseId,
    /// Its boundaries.
    pub items: ItemRange,
    /// Items in it that are not done.
    pub open_items: u64,
    /// Its tag.
    pub tag: Bytes,
}

/// The result of opening a queue: what was found.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Items that are not done, those in leases included.
    pub items: u64,
    /// Their payloads' bytes.
    pub bytes: u64,
    /// The lowest and the highest id that is not done.
    pub ids: Option<ItemRange>,
    /// Leases that were open, the lowest items first.
    pub leases: Vec<RecoveredLease>,
    /// The caller's tag of the newest commit record.
    pub commit_tag: Bytes,
    /// Segment files that hold items.
    pub segments: u64,
    /// Damage, as far as opening reads: damage inside of full segments is found when they are read.
    /// The first thousand places; [`crate::Stats::damage`] counts all of them.
    pub damage: Vec<Damage>,
}

impl Recovery {
    /// Adds a place, unless there are many already.
    pub(crate) fn note(&mut self, damage: Damage) {
        const MOST: usize = 1000;
        if self.damage.len() < MOST {
            self.damage.push(damage);
        }
    }
}
