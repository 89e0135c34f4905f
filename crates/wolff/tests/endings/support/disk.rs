//! Queues on disk behind the producer's back: looked into, added to, and damaged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};

use super::TOPIC;

/// Where the queues of the topic are: one directory for each partition.
pub(crate) fn directory_of(base: &Path, client_id: &str) -> PathBuf {
    base.join("client").join(client_id).join(TOPIC)
}

/// Names of the directories below the topic's, in order.
pub(crate) fn partition_directories(topic: &Path) -> Vec<String> {
    let entries = fs::read_dir(topic).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn open(queue: &Path) -> Queue {
    Queue::open(Config::disk(queue)).unwrap().0
}

/// All that waits in a queue that nobody has open; it stays there.
pub(crate) fn items_in(queue: &Path) -> Vec<Bytes> {
    let queue = open(queue);
    let mut items = Vec::new();
    while let Some(lease) = queue.pop(PopLimits::items(1_000)).unwrap() {
        items.extend(lease.items.into_iter().map(|item| item.payload));
    }
    items
}

/// Makes a queue of items that no producer of this version has written.
pub(crate) fn add_foreign_queue(queue: &Path, items: &[&'static [u8]]) {
    let queue = open(queue);
    for item in items {
        queue.append_one(Bytes::from_static(item)).unwrap();
    }
    queue.close().unwrap();
}

/// Appends an item that no producer of this version has written.
pub(crate) fn add_foreign_item(queue: &Path, item: &'static [u8]) {
    add_foreign_queue(queue, &[item]);
}

/// The segment files of a queue, in order.
fn segments(queue: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(queue)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|name| name == "segment"))
        .collect();
    found.sort();
    found
}

/// Damages eight bytes of the first segment of a queue that is long enough to have this position.
pub(crate) fn damage_items(queue: &Path, position: u64) {
    damage_segment(queue, 0, position);
}

/// Damages eight bytes in the middle of what the first segment of a queue holds.
pub(crate) fn damage_middle(queue: &Path) {
    /// Items begin there.
    const HEADER_BYTES: u64 = 4096;
    let end = end_of_segment(queue);
    damage_segment(queue, 0, u64::midpoint(HEADER_BYTES, end));
}

/// Position behind the last byte of the first segment that is not zero; 0 while there is none.
pub(crate) fn end_of_segment(queue: &Path) -> u64 {
    segments(queue).first().map_or(0, end_of_items)
}

/// The same for a file: it may be longer than what it holds.
fn end_of_items(path: &PathBuf) -> u64 {
    let bytes = fs::read(path).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| u64::try_from(last).unwrap() + 1)
}

/// Damages eight bytes of a segment, counted from the oldest of those that hold so much.
pub(crate) fn damage_segment(queue: &Path, number: usize, position: u64) {
    let is_long = |path: &PathBuf| end_of_items(path) > position + 8;
    let path = segments(queue).into_iter().filter(is_long).nth(number);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.unwrap());
    let file = file.unwrap();
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, position).unwrap();
    let damaged = bytes.map(|byte| byte ^ 0x55);
    file.write_all_at(&damaged, position).unwrap();
}

/// Puts another file of the same size in the place of a segment.
pub(crate) fn swap_segment(queue: &Path, number: usize) {
    let path = segments(queue).swap_remove(number);
    let other = path.with_extension("other");
    let size = fs::metadata(&path).unwrap().len();
    fs::write(&other, vec![0x2a; usize::try_from(size).unwrap()]).unwrap();
    fs::rename(&other, &path).unwrap();
}

/// Removes all segments of a queue.
pub(crate) fn remove_segments(queue: &Path) {
    for path in segments(queue) {
        fs::remove_file(path).unwrap();
    }
}

/// Puts something that cannot be read in the place of a segment file, as a bad block is.
pub(crate) fn replace_oldest_waiting_segment(queue: &Path, number: usize) {
    let path = segments(queue).swap_remove(number);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
}

/// Moves a directory away, so that nothing new can be made in it.
pub(crate) fn hide(directory: &Path) -> PathBuf {
    let hidden = directory.with_extension("hidden");
    fs::rename(directory, &hidden).unwrap();
    hidden
}
