//! Counting what is left in queues on disk that nobody has open.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};
use wolff_core::LeasedBatches;

use crate::directory::TopicDirectory;
use crate::error::StartError;

/// How much is read at once, bytes.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// How many records wait on disk in the queues of a topic: for a producer of that client id and topic below that base
/// directory, which must not run at the same time.
///
/// All of them are read for it, and nothing is changed. It does file I/O in the caller's thread.
///
/// # Errors
/// [`StartError::Queue`] or [`StartError::Directory`] for a queue that cannot be opened or read.
pub fn records_left(base: &Path, client_id: &str, topic: &str) -> Result<u64, StartError> {
    let directory = TopicDirectory::new(base, client_id, topic);
    let partitions = directory.partitions();
    let partitions = partitions.map_err(|source| StartError::Directory {
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

fn count(path: &Path) -> Result<u64, StartError> {
    let opened = Queue::open(Config::disk(path.to_owned()));
    let (queue, _) = opened.map_err(|source| StartError::Queue {
        path: path.to_owned(),
        source,
    })?;
    let mut records = 0;
    // Leased and never acknowledged: at the next open everything is there again.
    while let Some(lease) = pop(&queue, path)? {
        let items: Vec<(u64, Bytes)> = lease
            .items
            .into_iter()
            .map(|item| (item.id.0, item.payload))
            .collect();
        let batches = LeasedBatches::read(&items);
        records += batches
            .bodies()
            .map(|body| u64::from(body.record_count()))
            .sum::<u64>();
    }
    Ok(records)
}

fn pop(queue: &Queue, path: &Path) -> Result<Option<replayq::Lease>, StartError> {
    let popped = queue.pop(PopLimits::at_least_bytes(PIECE_BYTES));
    popped.map_err(|error| StartError::Directory {
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })
}
