//! Several consumers at a time, and consumers that wait for each item.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};

use crate::Settings;
use crate::race::{Lap, Runner, print, race};

const ITEM_BYTES: usize = 1024;
const CONSUMERS: [usize; 3] = [1, 4, 16];

pub(crate) fn run(settings: &Settings) {
    let items = if settings.is_quick { 4_000 } else { 40_000 };
    let rounds = if settings.is_quick { 3 } else { 7 };
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let in_memory = Queue::open(Config::memory()).expect("a queue").0;
    let on_disk = open(&room.path().join("queue"));
    for (place, queue) in [("in memory", &in_memory), ("on disk", &on_disk)] {
        let names = ["1 consumer", "4 consumers", "16 consumers"];
        let runners = names
            .into_iter()
            .zip(CONSUMERS)
            .map(|(name, consumers)| -> Runner<'_> {
                (name, Box::new(move || drain(queue, consumers, items)))
            })
            .collect();
        print(
            &format!("pop and ack of 10 items at a time, {place}"),
            items,
            items * ITEM_BYTES,
            &race(runners, rounds),
        );
        let runners = names
            .into_iter()
            .zip(CONSUMERS)
            .map(|(name, consumers)| -> Runner<'_> {
                (name, Box::new(move || hand_over(queue, consumers, items)))
            })
            .collect();
        print(
            &format!("append one, consumers wait with pop_wait, {place}"),
            items,
            items * ITEM_BYTES,
            &race(runners, rounds),
        );
    }
}

fn open(directory: &Path) -> Queue {
    Queue::open(Config::disk(directory).spare_segments(8))
        .expect("a queue")
        .0
}

/// Time that a number of consumers needs to empty the queue.
fn drain(queue: &Queue, consumers: usize, items: usize) -> Lap {
    let batch = vec![Bytes::from(vec![7_u8; ITEM_BYTES]); 100];
    for _ in 0..items / batch.len() {
        queue.append(&batch).expect("an append");
    }
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..consumers {
            scope.spawn(|| {
                while let Some(lease) = queue.pop(PopLimits::items(10)).expect("a pop") {
                    queue.ack(lease.id).expect("an ack");
                }
            });
        }
    });
    start.elapsed().into()
}

/// From the first append of one item at a time to the last ack of consumers that wait for them.
fn hand_over(queue: &Queue, consumers: usize, items: usize) -> Lap {
    let payload = Bytes::from(vec![7_u8; ITEM_BYTES]);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..consumers {
            scope.spawn(|| {
                // An empty item is the end, for one consumer each.
                loop {
                    let popped = queue.pop_wait(PopLimits::items(1), Duration::MAX);
                    let lease = popped.expect("a pop").expect("an item");
                    queue.ack(lease.id).expect("an ack");
                    if lease.items[0].payload.is_empty() {
                        break;
                    }
                }
            });
        }
        for _ in 0..items {
            queue.append_one(payload.clone()).expect("an append");
        }
        for _ in 0..consumers {
            queue.append_one(Bytes::new()).expect("an append");
        }
    });
    start.elapsed().into()
}
