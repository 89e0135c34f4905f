//! The queue under test.

use std::path::Path;

use replayq::{Config, PopLimits, Queue};

use crate::payloads::Payloads;
use crate::race::{Lap, Stopwatch};

/// A queue that keeps as many spare segments as a round fills, so that from the second round on
/// segments are recycled; or none.
pub(crate) fn open(directory: &Path, spares: usize) -> Queue {
    Queue::open(Config::disk(directory).spare_segments(spares))
        .expect("a new queue")
        .0
}

/// Appends so many groups.
pub(crate) fn append(queue: &Queue, payloads: &Payloads, groups: usize) -> Lap {
    let watch = Stopwatch::start();
    for group in payloads.groups().take(groups) {
        queue.append(group).expect("an append");
    }
    watch.stop()
}

/// Pops and acks everything in leases of so many items; returns how many there were.
pub(crate) fn drain(queue: &Queue, items: usize) -> (usize, Lap) {
    let watch = Stopwatch::start();
    let mut drained = 0;
    while let Some(lease) = queue.pop(PopLimits::items(items)).expect("a pop") {
        drained += lease.items.len();
        queue.ack(lease.id).expect("an ack");
    }
    (drained, watch.stop())
}
