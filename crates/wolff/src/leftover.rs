//! Counting what is left in queues on disk.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use replayq::{Inspector, ItemState};

use crate::directory::TopicDirectory;
use crate::error::LeftoverError;
use crate::queued::record_count;

/// How many records wait on disk in the queues of a topic: for a producer of that client id and topic below that base
/// directory.
///
/// Every queue is read item by item, one item in memory at a time, and nothing is changed or locked: while a producer runs
/// there the count is that of some moment. It does file I/O in the caller's thread. Items that no producer of this version
/// can read count as one record each.
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
    let visited = Inspector::new().visit(path, |item| {
        if item.state != ItemState::Done {
            let count = record_count(&item.payload).map_or(1, u64::from);
            records = records.saturating_add(count);
        }
        ControlFlow::Continue(())
    });
    visited.map_err(|source| LeftoverError::Queue {
        path: path.to_owned(),
        source,
    })?;
    Ok(records)
}
