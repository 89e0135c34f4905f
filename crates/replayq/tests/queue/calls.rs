//! What many tests do with a queue, in short.

use std::path::PathBuf;

use bytes::Bytes;
use replayq::vfs::sim::{Fault, FaultKind, SimVfs};
use replayq::{Item, PopLimits, Queue};

use crate::setup::payload;

pub(crate) fn ids(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.id.0).collect()
}

pub(crate) fn pop_ids(queue: &Queue, items: usize) -> Vec<u64> {
    let lease = queue.pop(PopLimits::items(items)).unwrap();
    lease.map_or_else(Vec::new, |lease| ids(&lease.items))
}

/// The only segment there is.
pub(crate) fn segment(vfs: &SimVfs) -> PathBuf {
    let mut files = vfs.files().into_iter();
    files.find(|file| file.extension().is_some()).unwrap()
}

pub(crate) fn append(queue: &Queue, serials: std::ops::RangeInclusive<u64>, bytes: usize) {
    let payloads: Vec<Bytes> = serials.map(|serial| payload(serial, bytes)).collect();
    queue.append(&payloads).unwrap();
}

/// The call with that number, the first being 0, fails from now on.
pub(crate) fn fail_from(vfs: &SimVfs, call: u64) {
    vfs.inject(Fault {
        call: vfs.calls() + call,
        for_ever: true,
        kind: FaultKind::Error(5),
    });
}
