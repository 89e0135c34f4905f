//! A small directory, damaged at every place: at most the records that the damage is in are lost,
//! and that is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use replayq::vfs::sim::SimVfs;
use replayq::{Damage, ItemId, OpenError, PopLimits};

use crate::setup::{DIRECTORY, Mode, Setup, payload};

/// A closed queue: three segments, two of them full; items acked in the middle; a lease in a slot
/// and one in a segment.
pub(crate) struct Sample {
    pub(crate) setup: Setup,
    pub(crate) vfs: SimVfs,
    files: Vec<PathBuf>,
    /// What is open, and in which bytes of which file it lies.
    open: BTreeMap<ItemId, (Bytes, PathBuf, Range<usize>)>,
    leases: Vec<SampleLease>,
    acked: Vec<ItemId>,
}

/// A lease, and in which bytes of which file its record lies.
struct SampleLease {
    tag: &'static [u8],
    items: RangeInclusive<u64>,
    file: PathBuf,
    record: Range<usize>,
}

const HEADER_BYTES: usize = 24;
/// Bytes before the tag of a lease, in a slot and in an entry's payload.
const SLOT_BYTES: usize = 56;
const LEASE_BYTES: usize = 24;

impl Sample {
    pub(crate) fn new() -> Self {
        let (setup, vfs) = (
            Setup {
                segment_bytes: 4700,
                spare_segments: 0,
                ..Setup::small(Mode::Os)
            },
            SimVfs::new(),
        );
        let (queue, _) = setup.open(&vfs).unwrap();
        let payloads: Vec<Bytes> = (1..=12).map(|serial| payload(serial, 8 + 9 * 8)).collect();
        queue.append(&payloads[..4]).unwrap();
        let slot = queue.pop(PopLimits::items(2)).unwrap().unwrap();
        queue
            .tag(slot.id, Bytes::from_static(b"in a slot"))
            .unwrap();
        let acked = queue.pop(PopLimits::items(1)).unwrap().unwrap();
        queue.append(&payloads[4..8]).unwrap();
        queue
            .ack_with_tag(acked.id, Bytes::from_static(b"commit"))
            .unwrap();
        let front = queue.peek(PopLimits::items(1)).unwrap()[0].id;
        queue
            .append_leased(
                &payloads[8..9],
                Some(front),
                Bytes::from_static(b"in a segment"),
            )
            .unwrap();
        queue.append(&payloads[9..]).unwrap();
        queue.close().unwrap();

        let files: Vec<PathBuf> = vfs.files();
        let find = |content: &[u8]| {
            files
                .iter()
                .find_map(|file| Some((file.clone(), position(&vfs.read_file(file)?, content)?)))
                .expect("it is in a file")
        };
        let leases = [
            (b"in a slot".as_slice(), 1..=2, SLOT_BYTES),
            (b"in a segment", 4..=9, HEADER_BYTES + LEASE_BYTES),
        ];
        let leases = leases.map(|(tag, items, before)| {
            let (file, at) = find(tag);
            SampleLease {
                tag,
                items,
                file,
                record: at - before..(at + tag.len()).next_multiple_of(8),
            }
        });
        let mut open = BTreeMap::new();
        for (payload, id) in payloads.iter().zip(1..) {
            let id = ItemId(id);
            if acked.items.iter().any(|item| item.id == id) {
                continue;
            }
            let (file, at) = find(payload);
            let range = at - HEADER_BYTES..(at + payload.len()).next_multiple_of(8);
            open.insert(id, (payload.clone(), file, range));
        }
        Self {
            setup,
            vfs,
            open,
            leases: leases.into(),
            files,
            acked: acked.items.iter().map(|item| item.id).collect(),
        }
    }

    /// Opens the directory with another content of one file, of which these bytes are damaged, and
    /// looks at all that is there.
    fn check(&self, file: &Path, content: Vec<u8>, damaged: &Range<usize>) {
        let vfs = self.vfs.copy();
        vfs.write_file(file, content);
        let what = format!("{} {damaged:?}", file.display());
        let (queue, recovery) = match self.setup.open(&vfs) {
            Ok(opened) => opened,
            // No single damaged bit makes a newer version.
            Err(error) => panic!("{what}: {error}"),
        };
        let mut found: BTreeMap<ItemId, Bytes> = BTreeMap::new();
        for lease in &recovery.leases {
            for item in queue.read_lease(lease.id).unwrap().items {
                assert!(
                    found.insert(item.id, item.payload).is_none(),
                    "{what}: twice"
                );
            }
        }
        let mut last = ItemId(0);
        while let Some(lease) = queue.pop(PopLimits::items(2)).unwrap() {
            for item in lease.items {
                assert!(item.id > last, "{what}: order");
                last = item.id;
                assert!(
                    found.insert(item.id, item.payload).is_none(),
                    "{what}: twice"
                );
            }
        }
        let damage = queue.damage();
        let is_control = file.ends_with("control");
        let mut lost = BTreeSet::new();
        for (id, (payload, place, range)) in &self.open {
            let is_hit = place == file && range.start < damaged.end && damaged.start < range.end;
            match found.remove(id) {
                Some(content) => assert_eq!(&content, payload, "{what}: altered"),
                None => {
                    assert!(is_hit, "{what}: item {id} is lost, {damage:?}");
                    lost.insert(id.0);
                }
            }
        }
        assert!(
            lost.is_empty() || !damage.is_empty(),
            "{what}: a loss that is not reported"
        );
        for id in found.keys() {
            let is_forgotten = is_control && self.acked.contains(id);
            let is_reported = damage
                .iter()
                .any(|damage| matches!(damage, Damage::Commit | Damage::Control));
            assert!(is_forgotten && is_reported, "{what}: item {id} is nobody's");
        }
        let tags: Vec<&[u8]> = recovery.leases.iter().map(|lease| &lease.tag[..]).collect();
        for lease in &self.leases {
            let is_hit = lease.file == file
                && lease.record.start < damaged.end
                && damaged.start < lease.record.end;
            // A lease of items that are all lost is none.
            let is_over = lease.items.clone().all(|id| lost.contains(&id));
            let is_there = tags.contains(&lease.tag);
            assert!(
                is_there || is_hit || is_over,
                "{what}: the lease of {:?} is lost, {damage:?}",
                lease.items
            );
            assert!(
                is_there || !damage.is_empty(),
                "{what}: a lost lease that is not reported"
            );
        }
        assert!(tags.len() <= self.leases.len(), "{what}");
        queue.append_one(payload(99, 100)).unwrap();
    }

    pub(crate) fn queue_files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }
}

fn position(content: &[u8], payload: &[u8]) -> Option<usize> {
    content
        .windows(payload.len())
        .position(|window| window == payload)
}

/// Does something for each number, on all processors.
fn for_all(numbers: usize, each: impl Fn(usize) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let each = &each;
            scope.spawn(move || (thread..numbers).step_by(threads).for_each(each));
        }
    });
}

#[test]
fn any_flipped_bit_costs_at_most_the_record_it_is_in() {
    let sample = Sample::new();
    for file in sample.queue_files() {
        let content = sample.vfs.read_file(&file).unwrap();
        for_all(content.len(), |at| {
            for bit in 0..8 {
                let mut flipped = content.clone();
                flipped[at] ^= 1 << bit;
                sample.check(&file, flipped, &(at..at + 1));
            }
        });
    }
}

#[test]
fn any_cut_costs_only_what_is_behind_it() {
    let sample = Sample::new();
    for file in sample.queue_files() {
        let content = sample.vfs.read_file(&file).unwrap();
        for_all(content.len(), |at| {
            sample.check(&file, content[..at].to_vec(), &(at..content.len()));
        });
    }
}

#[test]
fn any_sector_of_zeros_costs_only_what_was_in_it() {
    let sample = Sample::new();
    for file in sample.queue_files() {
        let content = sample.vfs.read_file(&file).unwrap();
        for start in (0..content.len()).step_by(512) {
            let end = (start + 512).min(content.len());
            let mut zeroed = content.clone();
            zeroed[start..end].fill(0);
            sample.check(&file, zeroed, &(start..end));
        }
    }
}

#[test]
fn what_a_block_of_the_control_file_held_that_is_zeros_now_is_missed_and_reported_once() {
    const BLOCK_BYTES: usize = 4096;
    let (setup, vfs) = (Setup::small(Mode::Os), SimVfs::new());
    let (queue, _) = setup.open(&vfs).unwrap();
    let payloads: Vec<Bytes> = (1..=4).map(|serial| payload(serial, 100)).collect();
    queue.append(&payloads).unwrap();
    let leased = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    queue.tag(leased.id, Bytes::from_static(b"stamp")).unwrap();
    let acked = queue.pop(PopLimits::items(1)).unwrap().unwrap();
    queue.ack(acked.id).unwrap();
    // Not closed: a clean close writes the last commit twice.
    drop(queue);
    let control = Path::new(DIRECTORY).join("control");
    let content = vfs.read_file(&control).unwrap();
    let mut lost = (0, 0);
    for start in (0..content.len()).step_by(BLOCK_BYTES) {
        let vfs = vfs.copy();
        let mut zeroed = content.clone();
        zeroed[start..start + BLOCK_BYTES].fill(0);
        vfs.write_file(&control, zeroed);
        let (queue, first) = setup.open(&vfs).unwrap();
        if first.leases.is_empty() {
            lost.0 += 1;
            assert!(first.damage.contains(&Damage::Lease), "block at {start}");
        }
        if first.items > 3 {
            lost.1 += 1;
            assert!(first.damage.contains(&Damage::Commit), "block at {start}");
        }
        drop(queue);
        let (_, second) = setup.open(&vfs).unwrap();
        assert_eq!(second.damage, [], "block at {start}");
        assert_eq!(second.items, first.items, "block at {start}");
        assert_eq!(second.leases, first.leases, "block at {start}");
    }
    assert_eq!(lost, (1, 1), "one block held the lease, one the ack");
}

#[test]
fn any_missing_file_costs_only_what_was_in_it() {
    let sample = Sample::new();
    for file in sample.queue_files() {
        let vfs = sample.vfs.copy();
        vfs.remove_file(&file);
        let (queue, recovery) = sample.setup.open(&vfs).unwrap();
        let open = sample
            .open
            .values()
            .filter(|(_, place, _)| *place != file)
            .count();
        let acked = if file.ends_with("control") {
            sample.acked.len()
        } else {
            0
        };
        assert_eq!(
            queue.stats().leased_items + queue.count(),
            (open + acked) as u64,
            "{recovery:?}"
        );
        assert!(!recovery.damage.is_empty(), "{} is missing", file.display());
    }
}

#[test]
fn files_of_a_newer_version_are_refused_and_left_alone() {
    let vfs = SimVfs::new();
    let path = Path::new(DIRECTORY).join("control");
    let mut block = b"REPLAYQC\xff\x00\x00\x00".to_vec();
    block.extend([7; 24]);
    block.extend(crc32c::crc32c(&block).to_le_bytes());
    vfs.write_file(&path, block.clone());
    let result = Setup::small(Mode::Os).open(&vfs);
    assert!(
        matches!(result, Err(OpenError::NewerFormat { found: 255, .. })),
        "{result:?}"
    );
    assert_eq!(vfs.read_file(&path), Some(block));
}

#[test]
fn a_segment_of_another_queue_is_put_aside() {
    let sample = Sample::new();
    let other = SimVfs::new();
    // Another random identity: the simulation counts them.
    let (queue, _) = sample.setup.open(&other).unwrap();
    queue.close().unwrap();
    other.remove_file(&Path::new(DIRECTORY).join("control"));
    let (queue, _) = sample.setup.open(&other).unwrap();
    queue.append_one(payload(1, 500)).unwrap();
    queue.close().unwrap();
    let foreign = other
        .files()
        .into_iter()
        .find(|file| file.extension().is_some())
        .unwrap();
    let vfs = sample.vfs.copy();
    let name = Path::new(DIRECTORY).join("00000000000000000100-00000000000000000100.segment");
    vfs.write_file(&name, other.read_file(&foreign).unwrap());
    let (queue, recovery) = sample.setup.open(&vfs).unwrap();
    assert!(
        recovery
            .damage
            .iter()
            .any(|damage| matches!(damage, Damage::Foreign { .. })),
        "{recovery:?}"
    );
    assert_eq!(
        queue.stats().leased_items + queue.count(),
        sample.open.len() as u64
    );
    assert!(
        vfs.files()
            .iter()
            .any(|file| file.to_string_lossy().ends_with(".foreign"))
    );
}
