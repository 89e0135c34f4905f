//! A file of the real file system.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt;

use super::VfsFile;

/// The most buffers that one vectored write takes (IOV_MAX of Linux, macOS and the BSDs).
const MOST_BUFFERS: usize = 1024;

/// Nothing else that has the name of a file is taken for one, and written over in the end.
pub(super) fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ))
    }
}

#[derive(Debug)]
pub(super) struct OsFile(pub(super) File);

impl VfsFile for OsFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let buffers = buffers.get(..MOST_BUFFERS).unwrap_or(buffers);
        match buffers {
            [one] => Ok(rustix::io::pwrite(&self.0, one, position)?),
            _ => Ok(rustix::io::pwritev(&self.0, buffers, position)?),
        }
    }

    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        // The spare capacity is filled without being zeroed first; an allocator that gave more than
        // asked for does no harm but must not be used.
        buffer.reserve_exact(bytes);
        let before = buffer.len();
        let spare = buffer.capacity().saturating_sub(before);
        if spare == bytes {
            return Ok(rustix::io::pread(
                &self.0,
                rustix::buffer::spare_capacity(buffer),
                position,
            )?);
        }
        buffer.resize(before.saturating_add(bytes), 0);
        let read = match buffer.get_mut(before..) {
            Some(room) => rustix::io::pread(&self.0, room, position),
            None => Ok(0),
        };
        buffer.truncate(before.saturating_add(*read.as_ref().unwrap_or(&0)));
        Ok(read?)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn data_from(&self, position: u64) -> io::Result<u64> {
        use rustix::io::Errno;
        // Nothing here reads or writes at the descriptor's own position.
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Data(position)) {
            Err(Errno::NXIO) => Ok(u64::MAX),
            // A file system without holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(position),
            found => Ok(found?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()?;
        if self.has_name()? {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn has_name(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() > 0)
    }
}
