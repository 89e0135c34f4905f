//! The limit: the same bytes written to plain files, without headers, checksums, or a way to find
//! them again.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::path::Path;

use bytes::Bytes;

use crate::payloads::Payloads;
use crate::race::{Lap, Stopwatch};

/// Bytes of a segment, as the queue has by default.
pub(crate) const SEGMENT_BYTES: usize = 10 << 20;

/// Plain segment files.
#[derive(Debug)]
pub(crate) struct RawSegments {
    files: Vec<File>,
}

impl RawSegments {
    /// As many files as the bytes need, written once already: overwriting them is what writing into
    /// recycled segments is.
    pub(crate) fn recycled(directory: &Path, bytes: usize) -> Self {
        let zeros = vec![0_u8; 1 << 20];
        let files = (0..bytes.div_ceil(SEGMENT_BYTES) + 1)
            .map(|number| {
                let file = create(&directory.join(format!("recycled-{number}")));
                for position in (0..SEGMENT_BYTES + zeros.len()).step_by(zeros.len()) {
                    rustix::io::pwrite(&file, &zeros, position as u64).expect("disk space");
                }
                file
            })
            .collect();
        Self { files }
    }

    /// Writes so many groups, each with one pwritev of its items as they are.
    pub(crate) fn write_vectored(&self, payloads: &Payloads, groups: usize) -> Lap {
        let watch = Stopwatch::start();
        let mut place = Place::default();
        for group in payloads.groups().take(groups) {
            let bytes = group.iter().map(Bytes::len).sum();
            let (number, position) = place.take(bytes);
            let slices: Vec<IoSlice<'_>> = group.iter().map(|item| IoSlice::new(item)).collect();
            let written = rustix::io::pwritev(&self.files[number], &slices, position);
            assert_eq!(written.expect("a write"), bytes);
        }
        watch.stop()
    }

    /// Writes so many groups, each with one pwrite of its bytes in one piece.
    pub(crate) fn write(&self, payloads: &Payloads, groups: usize) -> Lap {
        let watch = Stopwatch::start();
        let mut place = Place::default();
        for piece in payloads.pieces().take(groups) {
            let (number, position) = place.take(piece.len());
            let written = rustix::io::pwrite(&self.files[number], piece, position);
            assert_eq!(written.expect("a write"), piece.len());
        }
        watch.stop()
    }
}

/// The same into new files, which have to grow.
pub(crate) fn write_growing(directory: &Path, payloads: &Payloads, groups: usize) -> Lap {
    let watch = Stopwatch::start();
    let mut place = Place::default();
    let mut current: Option<(usize, File)> = None;
    for piece in payloads.pieces().take(groups) {
        let (number, position) = place.take(piece.len());
        if current.as_ref().is_none_or(|(open, _)| *open != number) {
            current = Some((number, create(&directory.join(format!("growing-{number}")))));
        }
        let (_, file) = current.as_ref().expect("just opened");
        let written = rustix::io::pwrite(file, piece, position);
        assert_eq!(written.expect("a write"), piece.len());
    }
    let time = watch.stop();
    for number in 0..=place.number {
        std::fs::remove_file(directory.join(format!("growing-{number}"))).expect("just made");
    }
    time
}

/// Writes these many bytes and syncs, again and again, into a recycled file.
pub(crate) fn write_and_sync(segments: &RawSegments, groups: &[usize]) -> Lap {
    let zeros = vec![7_u8; groups.iter().copied().max().unwrap_or(1)];
    let watch = Stopwatch::start();
    let mut place = Place::default();
    for bytes in groups {
        let (number, position) = place.take(*bytes);
        let file = &segments.files[number % segments.files.len()];
        rustix::io::pwrite(file, &zeros[..*bytes], position).expect("a write");
        rustix::fs::fdatasync(file).expect("a sync");
    }
    watch.stop()
}

fn create(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .expect("a file that can be made")
}

/// Where the next bytes go.
#[derive(Debug, Default)]
struct Place {
    number: usize,
    position: usize,
}

impl Place {
    fn take(&mut self, bytes: usize) -> (usize, u64) {
        if self.position + bytes > SEGMENT_BYTES {
            self.number += 1;
            self.position = 0;
        }
        let position = self.position;
        self.position += bytes;
        (self.number, position as u64)
    }
}
