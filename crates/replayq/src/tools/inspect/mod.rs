//! Looking at a queue's directory without changing anything in it: also while the queue is open
//! elsewhere, and when it is damaged.

mod look;

mod draft;
mod segment;

mod view;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::damage::Damage;
use crate::error::{IoContext, IoFailure};
use crate::ids::ItemId;
use crate::vfs::{OsVfs, Salvage, Vfs};

pub use view::{CommitView, Inspection, LeaseView, OtherFile, Owner, SegmentState, SegmentView};

/// Why a directory could not be looked at.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Neither a control file nor a segment is in it.
    #[error("{} is no queue: there is neither a control file nor a segment file in it", .path.display())]
    NotAQueue {
        /// The directory.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{} has format version {found}, this program reads up to {known}: use a newer one", .path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest that is known here.
        known: u16,
    },
    /// A version wrote it that was never released.
    #[error("{} has format version {found}, this program reads {known} only: no released version wrote it", .path.display())]
    OlderFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The one that is read here.
        known: u16,
    },
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

impl InspectError {
    /// The file has another version than is known here.
    fn format(path: PathBuf, found: u16, known: u16) -> Self {
        if found < known {
            Self::OlderFormat { path, found, known }
        } else {
            Self::NewerFormat { path, found, known }
        }
    }
}

/// The depth of an inspection.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum Depth {
    /// As opening the queue does: what a full segment says about itself is believed, the others are
    /// read.
    #[default]
    Summaries,
    /// Every byte is read and compared with its checksum.
    EveryByte,
}

/// The state of an item.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum ItemState {
    /// It waits.
    Waiting,
    /// It is in a lease that has a tag, and not done.
    Leased,
    /// It was acked or dropped; its bytes are there by chance.
    Done,
}

/// An item as it is on disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredItem {
    /// Its id.
    pub id: ItemId,
    /// The payload as it was appended.
    pub payload: Bytes,
    /// When it was appended, see [`crate::Item::accepted_at`].
    pub accepted_at: Option<SystemTime>,
    /// Its state.
    pub state: ItemState,
    /// The segment file that it lies in.
    pub file: Arc<str>,
    /// Where its entry starts, in bytes.
    pub position: u64,
}

/// Looks at queue directories through a file system.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use replayq::{Config, Depth, Inspector, Queue};
///
/// let room = tempfile::tempdir()?;
/// let (queue, _) = Queue::open(Config::disk(room.path().join("queue")))?;
/// queue.append_one("one".into())?;
///
/// // The queue is open, and stays so.
/// let inspection = Inspector::new().inspect(&room.path().join("queue"), Depth::EveryByte)?;
/// assert_eq!(inspection.open_items, 1);
/// assert!(inspection.is_clean());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inspector {
    vfs: Arc<dyn Vfs>,
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

/// A directory that is in use changes under one's eyes; what looks like damage then is looked at
/// again, so many times.
const LOOKS: usize = 5;

impl Inspector {
    /// Of the operating system's files.
    #[must_use]
    pub fn new() -> Self {
        Self {
            vfs: Arc::new(OsVfs),
        }
    }

    /// Of another file system, for tests.
    #[must_use]
    pub fn with_vfs(vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs }
    }

    /// Looks at a queue. Nothing is written and no lock is taken.
    ///
    /// # Errors
    /// There is no queue, a newer program wrote it, or a file operation failed. Damage is no error,
    /// see [`Inspection::damage`].
    pub fn inspect(&self, directory: &Path, depth: Depth) -> Result<Inspection, InspectError> {
        let mut inspection = self.look(directory, depth, false)?;
        for _ in 1..LOOKS {
            if inspection.is_clean() || inspection.owner == Owner::Nobody {
                break;
            }
            inspection = self.look(directory, depth, false)?;
        }
        Ok(inspection)
    }

    /// As [`Self::inspect`], for who holds the lock.
    pub(crate) fn inspect_held(&self, directory: &Path) -> Result<Inspection, InspectError> {
        self.look(directory, Depth::EveryByte, true)
    }

    fn look(
        &self,
        directory: &Path,
        depth: Depth,
        is_held: bool,
    ) -> Result<Inspection, InspectError> {
        let mut each = |_: StoredItem| ControlFlow::Continue(());
        self.look_around(directory, depth, is_held, &mut each)
    }

    /// Looks once. What cannot be read is damage too.
    fn look_around(
        &self,
        directory: &Path,
        depth: Depth,
        is_held: bool,
        each: &mut dyn FnMut(StoredItem) -> ControlFlow<()>,
    ) -> Result<Inspection, InspectError> {
        let directory = self
            .vfs
            .canonical_directory(directory)
            .context("open", directory)?;
        let anchored = self.vfs.anchor(&directory).context("open", &directory)?;
        let anchored = anchored.unwrap_or_else(|| Arc::clone(&self.vfs));
        let salvage = Arc::new(Salvage::new(anchored));
        let vfs: Arc<dyn Vfs> = Arc::<Salvage>::clone(&salvage);
        let mut inspection = look::look(&vfs, &directory, depth, is_held, each)?;
        for hole in salvage.take_holes() {
            let damage = Damage::from(hole);
            if !inspection.damage.contains(&damage) {
                inspection.damage.push(damage);
            }
        }
        Ok(inspection)
    }

    /// Goes through all sound items in order, those done included, and says what was found on the
    /// way. Of a queue that is in use, what is appended meanwhile may be left out. A break ends the
    /// visit; segments behind it are not looked at then.
    ///
    /// # Errors
    /// As [`Self::inspect`].
    pub fn visit(
        &self,
        directory: &Path,
        mut each: impl FnMut(StoredItem) -> ControlFlow<()>,
    ) -> Result<Inspection, InspectError> {
        let mut inspection = self.look_around(directory, Depth::EveryByte, false, &mut each)?;
        for _ in 1..LOOKS {
            if inspection.is_clean() || inspection.owner == Owner::Nobody {
                break;
            }
            // What changed under the visit looks like damage; what is damaged stays so, until its
            // owner puts the file aside.
            let again = self.look(directory, Depth::EveryByte, false)?;
            let is_there = |damage: &Damage| {
                let is_aside = damage.file().is_some_and(|file| {
                    let aside = again.others.iter().filter(|other| other.is_put_aside);
                    aside.into_iter().any(|other| other.file.starts_with(file))
                });
                is_aside || again.damage.contains(damage)
            };
            inspection.damage.retain(is_there);
        }
        Ok(inspection)
    }
}
