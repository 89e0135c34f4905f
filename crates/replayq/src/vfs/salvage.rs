//! Reading around places of which a disk has lost the content: what can be read is, and the rest is
//! said.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::sync::Mutex;

use crate::field;

use super::{DirectoryEntry, LockHolder, OpenMode, Vfs, VfsFile, VfsLock, read_full_at};

/// The size of reads where larger ones fail: systems read no less.
const BLOCK_BYTES: u64 = 4096;
/// A block that cannot be read is tried so many times.
const TRIES: usize = 3;
/// Stands in the place of what cannot be read. No header, and no record of the control file, begins
/// so.
const FILLER: u8 = 0xff;
/// Holes that are remembered until they are asked for.
const MOST_HOLES: usize = 1000;

/// A range of a file that could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hole {
    pub(crate) path: PathBuf,
    pub(crate) position: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Default)]
struct Holes(Mutex<Vec<Hole>>);

impl Holes {
    fn note(&self, path: &Path, position: u64, bytes: u64) {
        let mut holes = self.0.lock();
        if let Some(last) = holes.last_mut()
            && last.path == path
            && last.position.saturating_add(last.bytes) == position
        {
            last.bytes = last.bytes.saturating_add(bytes);
            return;
        }
        if holes.len() < MOST_HOLES {
            holes.push(Hole {
                path: path.to_path_buf(),
                position,
                bytes,
            });
        }
    }
}

/// A file system whose reads of files do not fail. It leaves open what was there, so whoever uses
/// it must check everything that is read, and ask for the holes.
#[derive(Debug)]
pub(crate) struct Salvage {
    inner: Arc<dyn Vfs>,
    holes: Arc<Holes>,
}

impl Salvage {
    pub(crate) fn new(inner: Arc<dyn Vfs>) -> Self {
        Self {
            inner,
            holes: Arc::default(),
        }
    }

    /// Takes out the ranges that could not be read since the last call.
    pub(crate) fn take_holes(&self) -> Vec<Hole> {
        std::mem::take(&mut *self.holes.0.lock())
    }
}

impl Vfs for Salvage {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.create_directory(path)
    }

    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.canonical_directory(path)
    }

    fn check_directory(&self, directory: &Path) -> io::Result<()> {
        self.inner.check_directory(directory)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.inner.list(directory)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(SalvageFile {
            inner: self.inner.open(path, mode)?,
            path: path.to_path_buf(),
            holes: Arc::clone(&self.holes),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_directory(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        self.inner.lock(path)
    }

    fn lock_holder(&self, path: &Path) -> io::Result<LockHolder> {
        self.inner.lock_holder(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.inner.free_bytes(directory)
    }

    fn boot_id(&self) -> Option<[u8; 16]> {
        self.inner.boot_id()
    }

    fn unix_time(&self) -> Duration {
        self.inner.unix_time()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.inner.random()
    }
}

#[derive(Debug)]
struct SalvageFile {
    inner: Arc<dyn VfsFile>,
    path: PathBuf,
    holes: Arc<Holes>,
}

impl SalvageFile {
    /// Reads block by block, as far as the file reaches.
    fn read_around(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        let end = self
            .inner
            .length()?
            .min(position.saturating_add(field::wide(bytes)));
        let mut at = position;
        while at < end {
            let block_end = (at / BLOCK_BYTES)
                .saturating_add(1)
                .saturating_mul(BLOCK_BYTES);
            let piece = block_end.min(end).saturating_sub(at);
            self.read_block(buffer, field::narrow(piece), at);
            at = at.saturating_add(piece);
        }
        Ok(field::narrow(end.saturating_sub(position)))
    }

    fn read_block(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) {
        let before = buffer.len();
        let is_read = (0..TRIES).any(|_| {
            buffer.truncate(before);
            read_full_at(&*self.inner, buffer, bytes, position).is_ok()
        });
        if !is_read {
            buffer.truncate(before);
            self.holes.note(&self.path, position, field::wide(bytes));
        }
        buffer.resize(before.saturating_add(bytes), FILLER);
    }
}

impl VfsFile for SalvageFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.inner.write_at(buffers, position)
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        let before = buffer.len();
        match self.inner.read_at(buffer, bytes, position) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                buffer.truncate(before);
                self.read_around(buffer, bytes, position)
            }
            read => read,
        }
    }

    fn data_from(&self, position: u64) -> io::Result<u64> {
        self.inner.data_from(position)
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_length(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn has_name(&self) -> io::Result<bool> {
        self.inner.has_name()
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use crate::vfs::sim::SimVfs;

    #[test]
    fn only_blocks_that_cannot_be_read_are_left_out() {
        let sim = SimVfs::new();
        let path = Path::new("/file");
        let content: Vec<u8> = (0..20_000_u32).map(|byte| (byte % 251) as u8).collect();
        sim.write_file(path, content.clone());
        sim.spoil(path, 5000, 10);
        sim.spoil(path, 8192, 1);
        let salvage = Salvage::new(Arc::new(sim));
        let file = salvage.open(path, OpenMode::Read).unwrap();
        let mut read = Vec::new();
        read_full_at(&*file, &mut read, 30_000, 100).unwrap();
        assert_eq!(read.len(), content.len() - 100);
        assert_eq!(read[..3996], content[100..4096]);
        assert!(read[3996..12_188].iter().all(|byte| *byte == FILLER));
        assert_eq!(read[12_188..], content[12_288..]);
        let hole = Hole {
            path: path.to_path_buf(),
            position: 4096,
            bytes: 8192,
        };
        assert_eq!(salvage.take_holes(), [hole]);
        assert_eq!(salvage.take_holes(), []);
    }
}
