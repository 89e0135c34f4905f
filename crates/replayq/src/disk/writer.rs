//! Writing entries into the segment that is being filled. Knows nothing about what the queue holds.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::disk::preallocate;
use crate::error::{IoContext, IoFailure};
use crate::format::control::lease::LeaseRecord;
use crate::format::segment::entries::Entries;
use crate::format::segment::entry::{self, Header, Kind};
use crate::format::segment::head::{HEAD_BYTES, SEAL_POSITION, Seal, SegmentHeader};
use crate::format::segment::key::{QueueUuid, SegmentKey};
use crate::format::segment::payload::PayloadSum;
use crate::format::segment::sums::HeaderSums;
use crate::moment::{Elapsed, Moment};
use crate::state::segment::Written;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// The size of the first segment.
const FIRST_BYTES: u64 = 32 << 10;
/// By so many times they grow and shrink.
const GROWTH: u64 = 4;
/// One that was filled in this time is followed by a larger one.
const FILLED_WITHIN: Duration = Duration::from_secs(60);

/// The segment that is being filled.
#[derive(Debug)]
struct Active {
    key: SegmentKey,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    sums: HeaderSums,
    made: Moment,
    /// Where the next entry goes.
    end: u64,
    file_bytes: u64,
    /// Its name is not yet durable.
    is_unnamed: bool,
}

/// A write that failed.
#[derive(Debug)]
pub(crate) struct WriteFailure {
    pub(crate) cause: IoFailure,
    /// The file is as it was before. Otherwise what had been written may be there, and the segment
    /// is not written any more.
    pub(crate) is_undone: bool,
}

/// The room in the segment being filled.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Room {
    /// Bytes of entries.
    pub(crate) bytes: u64,
    /// Nothing is in it yet: it takes any entry, however large.
    pub(crate) is_empty: bool,
}

/// The writer of one queue.
#[derive(Debug)]
pub(crate) struct Writer {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    uuid: QueueUuid,
    /// The largest size of segments.
    segment_bytes: u64,
    /// The size of the one that is being filled, and of the next where it fills quickly: segments
    /// begin small and grow, so that a queue with little in it is small.
    target_bytes: u64,
    /// Everything is synced before it counts as written.
    is_synced: bool,
    active: Option<Active>,
    entries: Entries,
}

impl Writer {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        directory: PathBuf,
        uuid: QueueUuid,
        segment_bytes: u64,
        is_synced: bool,
    ) -> Self {
        Self {
            vfs,
            directory,
            uuid,
            segment_bytes,
            target_bytes: segment_bytes.min(FIRST_BYTES),
            is_synced,
            active: None,
            entries: Entries::default(),
        }
    }

    /// Goes on with a segment that was found.
    pub(crate) fn resume(
        &mut self,
        key: SegmentKey,
        made: Moment,
        file: Arc<dyn VfsFile>,
        end: u64,
        file_bytes: u64,
    ) {
        self.target_bytes = self
            .segment_bytes
            .min(self.target_bytes.max(end.next_power_of_two()));
        self.active = Some(Active {
            key,
            path: self.directory.join(key.file_name()),
            file,
            sums: HeaderSums::new(key.seed(self.uuid)),
            made,
            end,
            file_bytes,
            is_unnamed: false,
        });
    }

    /// Where a segment of the queue lies.
    pub(crate) fn path(&self, key: SegmentKey) -> PathBuf {
        self.directory.join(key.file_name())
    }

    /// The segment being filled.
    pub(crate) fn segment(&self) -> Option<SegmentKey> {
        self.active.as_ref().map(|active| active.key)
    }

    /// Returns whether that many bytes of entries still belong into the segment being filled.
    pub(crate) fn has_room(&self, entry_bytes: u64) -> bool {
        self.active.as_ref().is_some_and(|active| {
            active.end <= HEAD_BYTES || active.end.saturating_add(entry_bytes) <= self.target_bytes
        })
    }

    /// Chooses the size of the next segment, in which an entry of that many bytes is to have room:
    /// larger than the one before where that was filled within a minute, otherwise smaller.
    pub(crate) fn choose_size(&mut self, entry_bytes: u64, now: Moment) {
        let target = match &self.active {
            Some(active) if now.is_within(FILLED_WITHIN, active.made) => {
                self.target_bytes.saturating_mul(GROWTH)
            }
            Some(_) => self.target_bytes / GROWTH,
            None => self.target_bytes,
        };
        let least = FIRST_BYTES.max(entry_bytes.saturating_mul(GROWTH));
        self.target_bytes = target.max(least).min(self.segment_bytes);
    }

    /// The next segment begins small again.
    pub(crate) fn start_small(&mut self) {
        self.target_bytes = self.segment_bytes.min(FIRST_BYTES);
    }

    /// Returns whether a segment of full size that is not needed any more is to be used again for
    /// the next one.
    pub(crate) fn takes_spares(&self) -> bool {
        self.target_bytes >= self.segment_bytes / 2
    }

    /// The room left in the segment being filled.
    pub(crate) fn room(&self) -> Room {
        let end = self.active.as_ref().map_or(u64::MAX, |active| active.end);
        Room {
            bytes: self.target_bytes.saturating_sub(end),
            is_empty: end <= HEAD_BYTES,
        }
    }

    /// Returns whether the segment is larger than segments are, for a call that was.
    pub(crate) fn is_oversized(&self) -> bool {
        let end = self.active.as_ref().map_or(0, |active| active.end);
        end > self.segment_bytes
    }

    /// Makes a new segment the one to be filled, out of a file of the queue that is not needed any
    /// more, or of nothing. Returns the length of its file.
    pub(crate) fn open_segment(
        &mut self,
        key: SegmentKey,
        previous_id: u64,
        made: Moment,
        spare: Option<SegmentKey>,
    ) -> Result<u64, IoFailure> {
        let path = self.directory.join(key.file_name());
        let (file, length) = match spare {
            Some(spare) => {
                let old = self.directory.join(spare.file_name());
                let file = vfs::uninterrupted(|| self.vfs.open(&old, OpenMode::Write))
                    .context("open", &old)?;
                let length = file.length().context("measure", &old)?;
                self.vfs.rename(&old, &path).context("rename", &old)?;
                (file, length)
            }
            None => match vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Create)) {
                Ok(file) => (file, 0),
                Err(error) => {
                    let failure = IoFailure::new("create", &path, error);
                    // A name takes no space: where there is some left, the file system has no room
                    // for another file.
                    let has_space = self
                        .vfs
                        .free_bytes(&self.directory)
                        .is_ok_and(|free| free >= FIRST_BYTES);
                    return Err(failure.with_space(has_space));
                }
            },
        };
        let header = SegmentHeader {
            uuid: self.uuid,
            key,
            previous_id,
            made,
        };
        if let Err(error) = vfs::write_all_at(&*file, &mut [IoSlice::new(&header.encode())], 0) {
            // Without a header it would only be in the way of the next try.
            let _ = self.vfs.remove(&path);
            return Err(IoFailure::new("write to", &path, error));
        }
        let file_bytes = length.max(HEAD_BYTES);
        self.active = Some(Active {
            key,
            path,
            file,
            sums: HeaderSums::new(key.seed(self.uuid)),
            made,
            end: HEAD_BYTES,
            file_bytes,
            is_unnamed: true,
        });
        Ok(file_bytes)
    }

    /// Appends items with their times of acceptance, the first with the id, and a lease behind
    /// them.
    pub(crate) fn write<'a>(
        &mut self,
        payloads: impl Iterator<Item = (&'a Bytes, Moment)> + Clone,
        first_id: u64,
        lease: Option<&LeaseRecord>,
    ) -> Result<Written, WriteFailure> {
        let Some(active) = self.active.as_mut() else {
            let cause = IoFailure::new("write to", &self.directory, io::ErrorKind::NotFound.into());
            return Err(WriteFailure {
                cause,
                is_undone: true,
            });
        };
        let start = active.end;
        let entries = &mut self.entries;
        entries.begin(first_id, active.made);
        for (payload, accepted) in payloads.clone() {
            entries.add_item(payload, accepted, &mut active.sums);
        }
        let lease_position = start.saturating_add(entries.bytes());
        if let Some(record) = lease {
            let mut payload = Vec::with_capacity(record.tag.len().saturating_add(24));
            record.encode(&mut payload);
            entries.add_lease(&payload, &mut active.sums);
        }
        let end = start.saturating_add(entries.bytes());
        active.file_bytes =
            preallocate::fill(&*active.file, active.file_bytes, end, self.target_bytes);
        let payloads = payloads.map(|(payload, _)| payload);
        let result = vfs::write_all_at(&*active.file, &mut entries.buffers(payloads), start);
        if let Err(error) = result {
            let cause = IoFailure::new("write to", &active.path, error);
            return Err(WriteFailure {
                is_undone: self.undo(start),
                cause,
            });
        }
        active.end = end;
        active.file_bytes = active.file_bytes.max(end);
        Ok(Written {
            segment: active.key,
            position: start,
            lease_position,
            end,
            file_bytes: active.file_bytes,
        })
    }

    /// Makes everything written durable, and the name of the file.
    pub(crate) fn sync(&mut self) -> Result<(), IoFailure> {
        let Some(active) = self.active.as_mut() else {
            return Ok(());
        };
        vfs::uninterrupted(|| active.file.sync()).context("sync", &active.path)?;
        if active.is_unnamed {
            self.vfs
                .sync_directory(&self.directory)
                .context("sync", &self.directory)?;
            active.is_unnamed = false;
        }
        Ok(())
    }

    /// Takes back what was written from the position on. Returns whether that succeeded; if not, the
    /// segment is to be abandoned.
    fn undo(&mut self, position: u64) -> bool {
        let Some(active) = self.active.as_mut() else {
            return true;
        };
        let is_undone = active.file.set_length(position).is_ok()
            && (!self.is_synced || vfs::uninterrupted(|| active.file.sync()).is_ok());
        if is_undone {
            active.end = position;
            active.file_bytes = position;
        }
        is_undone
    }

    /// Where the next entry goes.
    pub(crate) fn end(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.end)
    }

    /// The length of the file being filled, which taking back a write changes.
    pub(crate) fn file_bytes(&self) -> Option<(SegmentKey, u64)> {
        self.active
            .as_ref()
            .map(|active| (active.key, active.file_bytes))
    }

    /// Lets go of the segment without a seal: it is not to be trusted with more. Returns whether
    /// what is after the end is gone; if not, opening still knows where the next segment's ids
    /// begin.
    pub(crate) fn abandon(&mut self, end: u64) -> bool {
        let active = self.active.take();
        active.is_none_or(|active| active.file.set_length(end).is_ok())
    }

    /// Lets go of the segment as full. The seal only spares reading at open, also after a power
    /// loss: where there is none, or it cannot be written or synced, nothing is lost.
    pub(crate) fn close_segment(&mut self, seal: Option<&Seal>) -> io::Result<()> {
        if let Some(active) = self.active.take()
            && let Some(bytes) = seal.and_then(|seal| seal.encode(self.uuid, active.key))
        {
            vfs::write_all_at(&*active.file, &mut [IoSlice::new(&bytes)], SEAL_POSITION)?;
            if self.is_synced {
                vfs::uninterrupted(|| active.file.sync())?;
            }
        }
        Ok(())
    }

    /// Overwrites the header of a lease entry, so that the entry says nothing any more. What failed
    /// was not done: the header is put back, as far as the disk takes it.
    pub(crate) fn void_lease(
        &self,
        segment: SegmentKey,
        position: u64,
        payload_bytes: u32,
        id: u64,
    ) -> Result<(), WriteFailure> {
        let undone = |cause| WriteFailure {
            cause,
            is_undone: true,
        };
        let path = self.directory.join(segment.file_name());
        let mut header = [0; entry::HEADER_BYTES];
        Header {
            kind: Kind::Void,
            elapsed: Elapsed::ZERO,
            payload_bytes,
            id,
            payload_sum: PayloadSum::NONE,
        }
        .encode(&mut HeaderSums::new(segment.seed(self.uuid)), &mut header);
        let file = vfs::uninterrupted(|| self.vfs.open(&path, OpenMode::Write))
            .context("open", &path)
            .map_err(undone)?;
        let mut before = Vec::with_capacity(header.len());
        vfs::read_full_at(&*file, &mut before, header.len(), position)
            .context("read", &path)
            .map_err(undone)?;
        let put_back = || {
            let _ = vfs::write_all_at(&*file, &mut [IoSlice::new(&before)], position);
        };
        vfs::write_all_at(&*file, &mut [IoSlice::new(&header)], position)
            .context("write to", &path)
            .map_err(|cause| {
                put_back();
                undone(cause)
            })?;
        if self.is_synced {
            vfs::uninterrupted(|| file.sync())
                .context("sync", &path)
                .map_err(|cause| {
                    put_back();
                    WriteFailure {
                        cause,
                        is_undone: false,
                    }
                })?;
        }
        Ok(())
    }
}
