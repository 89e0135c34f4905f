//! Files whose checksums are right and whose numbers are not: forged, or written by a program that
//! is wrong. No panic, no memory without bound, and nothing returned twice.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::vfs::{DirectoryEntry, OpenMode, Vfs, VfsFile, VfsLock};
use replayq::{Damage, PopLimits, Queue};
use twox_hash::XxHash3_64;

use crate::calls::{append, ids, pop_ids};
use crate::hook::{Act, HookVfs};
use crate::setup::{DIRECTORY, End, Mode, Setup, payload};

const HEAD_BYTES: usize = 4096;
/// Where the commit slots of the control file are, and its first lease slot.
const COMMIT_SLOTS: [usize; 3] = [4096, 12_288, 20_480];
const LEASE_SLOT: usize = 28_672;

fn control() -> PathBuf {
    Path::new(DIRECTORY).join("control")
}

fn uuid(vfs: &SimVfs) -> Vec<u8> {
    vfs.read_file(&control()).unwrap()[12..28].to_vec()
}

fn segments(vfs: &SimVfs) -> Vec<PathBuf> {
    let files = vfs.files().into_iter();
    files.filter(|file| file.extension().is_some()).collect()
}

/// Value that the checksums of a segment start from.
fn seed(vfs: &SimVfs, segment: &Path) -> u32 {
    let name = segment.file_stem().unwrap().to_str().unwrap();
    let (first_id, generation) = name.split_once('-').unwrap();
    let number = |text: &str| text.parse::<u64>().unwrap().to_le_bytes();
    let seed = crc32c::crc32c(&uuid(vfs));
    let seed = crc32c::crc32c_append(seed, &number(first_id));
    crc32c::crc32c_append(seed, &number(generation))
}

fn put(vfs: &SimVfs, path: &Path, position: usize, bytes: &[u8]) {
    let mut content = vfs.read_file(path).unwrap();
    let end = position + bytes.len();
    content.resize(content.len().max(end), 0);
    content[position..end].copy_from_slice(bytes);
    vfs.write_file(path, content);
}

/// Puts a seal into a segment.
fn forge_seal(vfs: &SimVfs, segment: &Path, fields: [u64; 4], leases: &[u64]) {
    let mut seal = b"REPLAYQF".to_vec();
    for field in fields {
        seal.extend(field.to_le_bytes());
    }
    seal.extend(u32::try_from(leases.len()).unwrap().to_le_bytes());
    for position in leases {
        seal.extend(position.to_le_bytes());
    }
    seal.extend(crc32c::crc32c_append(seed(vfs, segment), &seal).to_le_bytes());
    put(vfs, segment, 512, &seal);
}

/// The seal of a segment: items, bytes of their payloads, last id, end.
fn seal(vfs: &SimVfs, segment: &Path) -> [u64; 4] {
    let content = vfs.read_file(segment).unwrap();
    assert_eq!(&content[512..520], b"REPLAYQF");
    [520, 528, 536, 544].map(|at| u64::from_le_bytes(content[at..at + 8].try_into().unwrap()))
}

/// The header of an entry, and what follows it.
fn entry(seed: u32, kind: u8, id: u64, payload: &[u8], payload_bytes: u32) -> Vec<u8> {
    let mut entry = vec![kind, 0, 0, 0];
    entry.extend(payload_bytes.to_le_bytes());
    entry.extend(id.to_le_bytes());
    entry.extend(&XxHash3_64::oneshot(payload).to_le_bytes()[..4]);
    entry.extend(crc32c::crc32c_append(seed, &entry).to_le_bytes());
    entry.extend(payload);
    entry.resize(entry.len().next_multiple_of(8), 0);
    entry
}

/// Three items in a segment that is full, and one in the next.
fn two_segments(setup: &Setup, end: End) -> SimVfs {
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=3, 200);
    append(&queue, 4..=4, 4000);
    if end == End::Close {
        queue.close().unwrap();
    }
    drop(queue);
    assert_eq!(segments(&vfs).len(), 2);
    vfs
}

/// Items that a seal does not admit were read again under the ids of newer ones: an assertion under
/// the lock of the queue.
#[test]
fn items_behind_the_last_one_of_a_forged_seal_are_lost_and_reported() {
    let setup = Setup::small(Mode::Os);
    let ends = [End::Close, End::Kill].into_iter();
    for (end, is_last) in ends.flat_map(|end| [(end, false), (end, true)]) {
        for last_id in 0..=2 {
            let vfs = two_segments(&setup, end);
            let [first, second] = &segments(&vfs)[..] else {
                panic!("two segments")
            };
            let [_, _, _, end_of_entries] = seal(&vfs, first);
            let fields = [last_id, last_id * 200, last_id, end_of_entries];
            forge_seal(&vfs, first, fields, &[]);
            if is_last {
                vfs.remove_file(second);
            }
            let (queue, _) = setup.open(&vfs).unwrap();
            // After a kill nothing else says that there was more in the last segment.
            let is_known = end == End::Close || !is_last;
            assert!(!is_known || queue.stats().lost_items >= 3 - last_id);
            let new = queue.append_one(payload(9, 20)).unwrap().0;
            let mut expected: Vec<u64> = (1..=last_id).collect();
            expected.extend((!is_last).then_some(4));
            expected.push(new);
            assert_eq!(pop_ids(&queue, 99), expected);
            assert!(pop_ids(&queue, 99).is_empty());
            queue.close().unwrap();
        }
    }
}

/// A segment that seemed to end before it began was done, and removed with its items.
#[test]
fn a_seal_that_cannot_be_is_no_seal() {
    let setup = Setup::small(Mode::Os);
    let end = {
        let vfs = two_segments(&setup, End::Close);
        let [.., end] = seal(&vfs, &segments(&vfs)[0]);
        end
    };
    for fields in [
        [3, 600, 0, end],
        [4, 600, 3, end],
        [u64::MAX, 600, 3, end],
        [3, u64::MAX, 3, end],
        [3, end, 3, end],
        [3, 600, u64::MAX, end],
        [0, 0, 0, 0],
    ] {
        let vfs = two_segments(&setup, End::Close);
        forge_seal(&vfs, &segments(&vfs)[0], fields, &[]);
        let (queue, recovery) = setup.open(&vfs).unwrap();
        assert_eq!((recovery.items, recovery.bytes), (4, 4600), "{fields:?}");
        assert_eq!(pop_ids(&queue, 9), [1, 2, 3, 4], "{fields:?}");
        assert!(queue.damage().is_empty(), "{fields:?}");
    }
}

/// The count said that there was nothing, so that a task slept beside three items.
#[test]
fn a_task_is_ready_for_items_that_a_forged_seal_does_not_count() {
    let setup = Setup::small(Mode::Os);
    let vfs = two_segments(&setup, End::Close);
    let files = segments(&vfs);
    let [.., end] = seal(&vfs, &files[0]);
    forge_seal(&vfs, &files[0], [0, 0, 3, end], &[]);
    vfs.remove_file(&files[1]);
    let (queue, _) = setup.open(&vfs).unwrap();
    assert_eq!(queue.count(), 0);
    let mut context = Context::from_waker(Waker::noop());
    let mut ready = Box::pin(queue.ready());
    assert!(matches!(
        ready.as_mut().poll(&mut context),
        Poll::Ready(Ok(()))
    ));
    assert_eq!(pop_ids(&queue, 9), [1, 2, 3]);
    assert!(pop_ids(&queue, 9).is_empty());
    let mut ready = Box::pin(queue.ready());
    assert!(ready.as_mut().poll(&mut context).is_pending());
}

/// A file system whose segment files are longer than what was written to them, by a hole.
#[derive(Clone)]
struct SparseVfs {
    sim: SimVfs,
    bytes: u64,
    /// Bytes of the largest read.
    largest: Arc<AtomicUsize>,
}

impl fmt::Debug for SparseVfs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sim.fmt(formatter)
    }
}

impl Vfs for SparseVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.sim.create_directory(path)
    }
    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        self.sim.canonical_directory(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = self.sim.list(directory)?;
        for entry in &mut entries {
            if entry.name.ends_with(".segment") {
                entry.bytes = self.bytes;
            }
        }
        Ok(entries)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.sim.open(path, mode)?;
        if path.extension().is_none() {
            return Ok(file);
        }
        Ok(Arc::new(SparseFile {
            file,
            vfs: self.clone(),
        }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.sim.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.sim.remove(path)
    }
    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.sim.remove_directory(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.sim.sync_directory(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        self.sim.lock(path)
    }
    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.sim.free_bytes(directory)
    }
    fn boot_id(&self) -> Option<[u8; 16]> {
        self.sim.boot_id()
    }
    fn random(&self) -> io::Result<[u8; 16]> {
        self.sim.random()
    }
}

#[derive(Debug)]
struct SparseFile {
    file: Arc<dyn VfsFile>,
    vfs: SparseVfs,
}

impl VfsFile for SparseFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.file.write_at(buffers, position)
    }
    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        self.vfs.largest.fetch_max(bytes, Ordering::Relaxed);
        let read = self.file.read_at(buffer, bytes, position)?;
        let left = usize::try_from(self.vfs.bytes.saturating_sub(position)).unwrap();
        if read == 0 {
            // What would be allocated for more is seen above.
            let zeros = left.min(bytes).min(1 << 20);
            buffer.resize(buffer.len() + zeros, 0);
            return Ok(zeros);
        }
        Ok(read)
    }
    fn data_from(&self, position: u64) -> io::Result<u64> {
        let end = self.file.length()?;
        Ok(if position < end {
            position
        } else {
            self.vfs.bytes
        })
    }
    fn length(&self) -> io::Result<u64> {
        Ok(self.vfs.bytes)
    }
    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// Opening took as much memory as a header named, if only the file was as long: four gigabytes of
/// nothing.
#[test]
fn opening_takes_no_memory_for_an_item_that_is_a_hole_in_the_file() {
    let setup = Setup::small(Mode::Os);
    for (kind, claimed) in [
        (0xd1, u32::MAX - 100),
        (0xd1, 1 << 30),
        (0xd2, u32::MAX - 100),
        (0xd2, 1 << 20),
        (0xd3, u32::MAX - 100),
    ] {
        let sim = SimVfs::new();
        let (queue, _) = setup.open(&sim).unwrap();
        append(&queue, 1..=2, 100);
        drop(queue);
        let file = segments(&sim).remove(0);
        let end = sim.read_file(&file).unwrap().len();
        let forged = entry(seed(&sim, &file), kind, 3, &[], claimed);
        put(&sim, &file, end, &forged);
        let vfs = SparseVfs {
            sim: sim.clone(),
            bytes: 5 << 30,
            largest: Arc::default(),
        };
        let config = setup.config(&sim).vfs(Arc::new(vfs.clone()));
        let (queue, _) = Queue::open(config).unwrap();
        assert_eq!(pop_ids(&queue, 9), [1, 2], "{kind:x} {claimed}");
        let largest = vfs.largest.load(Ordering::Relaxed);
        assert!(largest <= 2 << 20, "{kind:x} {claimed}: {largest}");
    }
}

/// Each lease position in a forged seal was searched from, to the end of the segment.
#[test]
fn forged_lease_positions_in_a_seal_cost_one_read_each() {
    let setup = Setup {
        segment_bytes: 1 << 20,
        ..Setup::small(Mode::Os)
    };
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=1, 500_000);
    append(&queue, 2..=2, 900_000);
    queue.close().unwrap();
    let first = segments(&vfs).remove(0);
    let fields = seal(&vfs, &first);
    let leases: Vec<u64> = (0..400).map(|number| 4104 + 8 * number).collect();
    forge_seal(&vfs, &first, fields, &leases);
    let before = vfs.read_bytes();
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert!(recovery.damage.contains(&Damage::Lease));
    let read = vfs.read_bytes() - before;
    assert!(read < 10 << 20, "{read} bytes read");
    assert_eq!(pop_ids(&queue, 9), [1, 2]);
}

#[test]
fn tags_that_no_call_takes_are_damage() {
    let setup = Setup::small(Mode::Os);
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=4, 100);
    queue.close().unwrap();
    let record = |first: u64, sequence: u64, tag: &[u8]| {
        let mut record = Vec::new();
        for field in [sequence, first, first] {
            record.extend(field.to_le_bytes());
        }
        record.extend(tag);
        record
    };
    let slot = |record: &[u8]| {
        let mut body = [1_u16.to_le_bytes(), 1_u16.to_le_bytes()].concat();
        body.extend(uuid(&vfs));
        body.extend(record);
        let length = u32::try_from(body.len()).unwrap();
        let mut slot = b"RQLS".to_vec();
        slot.extend(length.to_le_bytes());
        slot.extend(crc32c::crc32c_append(length, &body).to_le_bytes());
        slot.extend(body);
        slot
    };
    let sound = slot(&record(1, 1, &[7; 2048]));
    put(&vfs, &control(), LEASE_SLOT, &sound);
    let large = slot(&record(2, 2, &[7; 2049]));
    put(&vfs, &control(), LEASE_SLOT + 4096, &large);
    let last = slot(&record(3, u64::MAX, b"tag"));
    put(&vfs, &control(), LEASE_SLOT + 8192, &last);
    let file = segments(&vfs).remove(0);
    let end = vfs.read_file(&file).unwrap().len();
    let payload = record(4, 4, &[7; 2049]);
    let length = u32::try_from(payload.len()).unwrap();
    let forged = entry(seed(&vfs, &file), 0xd2, 4, &payload, length);
    put(&vfs, &file, end, &forged);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    let leases: Vec<u64> = recovery
        .leases
        .iter()
        .map(|lease| lease.items.first.0)
        .collect();
    assert_eq!(leases, [1]);
    assert!(recovery.damage.contains(&Damage::Lease), "{recovery:?}");
    assert_eq!(pop_ids(&queue, 9), [2, 3, 4]);
}

/// No sequence is higher than the highest: what was acked after it came back.
#[test]
fn acks_count_after_a_forged_commit_with_the_highest_sequence() {
    for sequence in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let setup = Setup::small(Mode::Os);
        let vfs = SimVfs::new();
        let (queue, _) = setup.open(&vfs).unwrap();
        append(&queue, 1..=4, 100);
        queue.close().unwrap();
        let mut content = vfs.read_file(&control()).unwrap();
        for at in COMMIT_SLOTS {
            let slot = &mut content[at..];
            let length =
                usize::try_from(u32::from_le_bytes(slot[8..12].try_into().unwrap())).unwrap();
            slot[32..40].copy_from_slice(&sequence.to_le_bytes());
            let sum = crc32c::crc32c(&slot[8..length]);
            slot[4..8].copy_from_slice(&sum.to_le_bytes());
        }
        vfs.write_file(&control(), content);
        for first in 1..=4 {
            let (queue, recovery) = setup.open(&vfs).unwrap();
            assert_eq!(recovery.items, 5 - first, "{sequence}");
            let lease = queue.pop(PopLimits::items(1)).unwrap().unwrap();
            assert_eq!(ids(&lease.items), [first]);
            queue.ack(lease.id).unwrap();
        }
    }
}

#[test]
fn a_commit_tag_that_no_call_takes_is_damage() {
    let setup = Setup::small(Mode::Os);
    let vfs = SimVfs::new();
    let (queue, _) = setup.open(&vfs).unwrap();
    append(&queue, 1..=2, 100);
    queue.set_commit_tag(Bytes::from_static(b"tag")).unwrap();
    queue.close().unwrap();
    let mut content = vfs.read_file(&control()).unwrap();
    for at in COMMIT_SLOTS {
        let slot = &mut content[at..];
        let length = usize::try_from(u32::from_le_bytes(slot[8..12].try_into().unwrap())).unwrap();
        let before = usize::from(slot[14]);
        slot.copy_within(96 + before..length, 96 + 1025);
        slot[96..96 + 1025].fill(7);
        slot[14..16].copy_from_slice(&1025_u16.to_le_bytes());
        let length = length + 1025 - before;
        slot[8..12].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        let sum = crc32c::crc32c(&slot[8..length]);
        slot[4..8].copy_from_slice(&sum.to_le_bytes());
    }
    vfs.write_file(&control(), content);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert!(
        recovery.damage.contains(&Damage::Control) || recovery.damage.contains(&Damage::Commit)
    );
    assert_eq!(recovery.commit_tag, Bytes::new());
    assert_eq!(pop_ids(&queue, 9), [1, 2]);
}

/// So many items whose payloads are damaged, and a sound one behind them.
fn damaged(setup: &Setup, vfs: &SimVfs, items: usize) {
    let (queue, _) = setup.open(vfs).unwrap();
    append(&queue, 1..=items as u64 + 1, 8);
    queue.close().unwrap();
    let file = segments(vfs).remove(0);
    let mut content = vfs.read_file(&file).unwrap();
    for item in 0..items {
        content[HEAD_BYTES + 32 * item + 24] ^= 1;
    }
    vfs.write_file(&file, content);
}

/// Every place was in the list.
#[test]
fn opening_names_a_thousand_damaged_places_and_counts_all() {
    let setup = Setup {
        segment_bytes: 1 << 20,
        ..Setup::small(Mode::Os)
    };
    let vfs = SimVfs::new();
    damaged(&setup, &vfs, 5000);
    let (queue, recovery) = setup.open(&vfs).unwrap();
    assert_eq!(recovery.damage.len(), 1000);
    let stats = queue.stats();
    assert_eq!((stats.damage, stats.lost_items), (5000, 5000));
    assert_eq!(pop_ids(&queue, 9), [5001]);
    let stats = queue.stats();
    assert_eq!((stats.damage, stats.lost_items), (5000, 5000));
}

/// A read went on through all that was damaged, and kept each place in memory.
#[test]
fn damaged_items_count_for_the_length_of_a_read() {
    let setup = Setup {
        segment_bytes: 1 << 20,
        ..Setup::small(Mode::Os)
    };
    let vfs = HookVfs::new();
    damaged(&setup, &vfs.sim, 5000);
    // Sealed, so that opening does not look into it.
    let file = segments(&vfs.sim).remove(0);
    let end = HEAD_BYTES as u64 + 5001 * 32;
    forge_seal(&vfs.sim, &file, [5001, 5001 * 8, 5001, end], &[]);
    let config = setup.config(&vfs.sim).vfs(Arc::new(vfs.clone()));
    let queue = Arc::new(Queue::open(config).unwrap().0);
    let (sender, receiver) = std::sync::mpsc::channel();
    let (again, other) = (vfs.clone(), Arc::clone(&queue));
    vfs.before_next(Act::Read, move || {
        again.before_next(Act::Read, move || {
            sender.send(other.stats().damage).unwrap();
        });
    });
    assert_eq!(pop_ids(&queue, 9), [5001]);
    let reported = receiver.recv().unwrap();
    assert!(
        (100..200).contains(&reported),
        "{reported} after the first read"
    );
    assert_eq!(queue.stats().damage, 5000);
}
