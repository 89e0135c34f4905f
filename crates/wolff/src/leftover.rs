//! Counting what is left in queues on disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use replayq::{Inspector, ItemId, ItemState};
use wolff_core::records_ended;

use crate::directory::TopicDirectory;
use crate::error::LeftoverError;
use crate::queued::record_count;

/// Counts the records that wait on disk in the queues of a topic: for a producer of that client id
/// and topic below that base directory.
///
/// Every queue is read item by item, one item in memory at a time, and nothing is changed or
/// locked: while a producer runs there the count is that of some moment. Records of a batch that
/// was delivered in part are counted as far as the queue knows that they were not. It does file I/O
/// in the caller's thread. Items that no producer of this version can read count as one record
/// each.
///
/// # Errors
/// [`LeftoverError`]: a queue cannot be read.
pub fn records_left(base: &Path, client_id: &str, topic: &str) -> Result<u64, LeftoverError> {
    let directory = TopicDirectory::new(base, client_id, topic);
    let partitions = directory.partitions();
    let partitions = partitions.map_err(|source| LeftoverError::Directory {
        path: directory.path().to_owned(),
        source,
    })?;
    let mut queues: Vec<PathBuf> = partitions
        .into_iter()
        .map(|partition| directory.partition(partition))
        .collect();
    queues.extend(Some(directory.unrouted()).filter(|path| path.exists()));
    queues.into_iter().map(|path| count(&path)).sum()
}

fn count(path: &Path) -> Result<u64, LeftoverError> {
    let mut records = 0_u64;
    let mut leased: Vec<(ItemId, u64)> = Vec::new();
    let visited = Inspector::new().visit(path, |item| {
        let count = || record_count(&item.payload).map_or(1, u64::from);
        match item.state {
            ItemState::Done => {}
            ItemState::Leased => leased.push((item.id, count())),
            ItemState::Waiting => records = records.saturating_add(count()),
        }
        ControlFlow::Continue(())
    });
    let inspection = visited.map_err(|source| LeftoverError::Queue {
        path: path.to_owned(),
        source,
    })?;
    // Each lease is one batch, which may have ended in part.
    for (_, count) in &leased {
        records = records.saturating_add(*count);
    }
    for lease in &inspection.leases {
        let is_in = |item: ItemId| lease.items.first <= item && item <= lease.items.last;
        let of_lease = leased.iter().filter(|(item, _)| is_in(*item));
        let held: u64 = of_lease.map(|(_, count)| count).sum();
        let ended = records_ended(&lease.tag).min(held);
        records = records.saturating_sub(ended);
    }
    Ok(records)
}
