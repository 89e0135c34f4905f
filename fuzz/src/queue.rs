//! The disk queue: directories that anything may have happened to, and operations in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use replayq::vfs::sim::{Fault, FaultKind, SimVfs};
use replayq::{AppendError, Config, Flush, ItemId, Lease, PopLimits, Queue};
use twox_hash::XxHash3_64;

const DIRECTORY: &str = "/queue";
const SEGMENT_HEAD_BYTES: usize = 4096;
/// Where the commit slots of the control file lie.
const COMMIT_SLOTS: [usize; 3] = [4096, 12_288, 20_480];
const LEASE_SLOTS: usize = 28_672;
/// So few that leases soon have to be written between the items.
const LEASE_SLOT_COUNT: u8 = 3;

fn config(vfs: &SimVfs) -> Config {
    Config::disk(DIRECTORY)
        .lease_slots(u32::from(LEASE_SLOT_COUNT))
        .segment_bytes(5000)
        .resident_bytes(500)
        .read_bytes(4096)
        .vfs(Arc::new(vfs.clone()))
}

/// A queue with a few segments, items acked in the middle, and leases in both places.
fn sample() -> SimVfs {
    let vfs = SimVfs::new();
    let (queue, _) = Queue::open(config(&vfs)).expect("an empty directory opens");
    for size in [10, 300, 700] {
        let payloads: Vec<Bytes> = (0..4).map(|byte| Bytes::from(vec![byte; size])).collect();
        queue.append(&payloads).expect("appends");
    }
    for number in 0..3 {
        let lease = queue.pop(PopLimits::items(2)).expect("reads");
        let lease = lease.expect("there are items").id;
        if number == 1 {
            queue.ack(lease).expect("acks");
        } else {
            queue.tag(lease, Bytes::from_static(b"tag")).expect("tags");
        }
    }
    queue
        .append_one(Bytes::from_static(b"last"))
        .expect("appends");
    queue.close().expect("closes");
    vfs
}

/// Whatever the directory holds: it opens or says why not, what is in it can be read, acked and
/// added to, and all of that once more, with room for more leases.
fn use_directory(vfs: &SimVfs) {
    for more_slots in [0, 4] {
        let slots = u32::from(LEASE_SLOT_COUNT + more_slots);
        let Ok((queue, recovery)) = Queue::open(config(vfs).lease_slots(slots)) else {
            return;
        };
        for lease in &recovery.leases {
            queue.read_lease(lease.id).expect("leases can be read");
        }
        if let Some(lease) = recovery.leases.first() {
            queue.release(lease.id).expect("leases can be released");
        }
        // Forged numbers can put an end to the ids; then there is nothing to append any more.
        let _ = queue.append_one(Bytes::from_static(b"new"));
        let mut last = ItemId(0);
        let mut leases = Vec::new();
        while let Some(lease) = queue.pop(PopLimits::items(3)).expect("items can be read") {
            for item in &lease.items {
                assert!(item.id > last, "{} after {last}", item.id);
                last = item.id;
            }
            leases.push(lease.id);
        }
        if let Some(lease) = leases.pop() {
            // Too many stretches of acked items are an error of their own.
            let _ = queue.ack(lease);
        }
        let _ = queue.close();
    }
}

/// Cursor over the input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    fn short(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// A number that is often small, often near the end of its range.
    fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..200 => u64::from(byte),
            byte @ 200..220 => u64::MAX - u64::from(byte - 200),
            byte @ 220..240 => 1 << (byte - 200),
            _ => {
                let mut bytes = [0; 8];
                bytes.fill_with(|| self.byte());
                u64::from_le_bytes(bytes)
            }
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes.to_vec()
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

fn put(content: &mut Vec<u8>, position: usize, bytes: &[u8]) {
    let end = position + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[position..end].copy_from_slice(bytes);
}

fn segments(vfs: &SimVfs) -> Vec<PathBuf> {
    let files = vfs.files().into_iter();
    files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "segment")
        })
        .collect()
}

/// The identity of the sample, from its control file's header.
fn uuid(vfs: &SimVfs) -> Vec<u8> {
    let control = vfs.read_file(&Path::new(DIRECTORY).join("control"));
    control.expect("there is one")[12..28].to_vec()
}

/// Value that the checksums of a segment start from.
fn seed(uuid: &[u8], path: &Path) -> u32 {
    let name = path
        .file_stem()
        .and_then(|name| name.to_str())
        .expect("a name");
    let (first_id, generation) = name.split_once('-').expect("two numbers");
    let number = |text: &str| text.parse::<u64>().expect("a number").to_le_bytes();
    let seed = crc32c::crc32c(uuid);
    let seed = crc32c::crc32c_append(seed, &number(first_id));
    crc32c::crc32c_append(seed, &number(generation))
}

/// Segments with bytes changed, cut, and entries put in whose checksums are right while all else
/// may be wrong.
pub fn segment(data: &[u8]) {
    let vfs = sample();
    let uuid = uuid(&vfs);
    let mut input = Input(data);
    while !input.is_over() {
        let paths = segments(&vfs);
        let path = &paths[usize::from(input.byte()) % paths.len()];
        let mut content = vfs.read_file(path).expect("it was listed");
        let position = input.short() % (content.len() + 64);
        match input.byte() % 4 {
            0 => put(&mut content, position, &input.bytes()),
            1 => content.truncate(position),
            2 => {
                let payload = input.bytes();
                let kinds = [0xd0, 0xd1, 0xd1, 0xd2, 0xd3, 0xd4];
                let kind = kinds[usize::from(input.byte()) % kinds.len()];
                let mut entry = vec![kind, input.byte(), 0, 0];
                let length = match input.byte() {
                    0..200 => u32::try_from(payload.len()).expect("it is short"),
                    byte => u32::MAX >> (byte - 200).min(31),
                };
                entry.extend(length.to_le_bytes());
                entry.extend(input.number().to_le_bytes());
                let [a, b, c, d, ..] = XxHash3_64::oneshot(&payload).to_le_bytes();
                entry.extend([a, b, c, d]);
                entry.extend(crc32c::crc32c_append(seed(&uuid, path), &entry).to_le_bytes());
                entry.extend(payload);
                let place = SEGMENT_HEAD_BYTES.max(position).next_multiple_of(8);
                put(&mut content, place, &entry);
            }
            _ => {
                let mut seal = b"REPLAYQF".to_vec();
                for _ in 0..4 {
                    seal.extend(input.number().to_le_bytes());
                }
                let leases = input.byte() % 5;
                seal.extend(u32::from(leases).to_le_bytes());
                for _ in 0..leases {
                    seal.extend(input.number().to_le_bytes());
                }
                seal.extend(crc32c::crc32c_append(seed(&uuid, path), &seal).to_le_bytes());
                put(&mut content, 512, &seal);
            }
        }
        vfs.write_file(path, content);
    }
    use_directory(&vfs);
}

/// Commit and lease slots with right checksums and anything in them.
pub fn slots(data: &[u8]) {
    let vfs = sample();
    let uuid = uuid(&vfs);
    let path = Path::new(DIRECTORY).join("control");
    let mut content = vfs.read_file(&path).expect("there is one");
    let mut input = Input(data);
    while !input.is_over() {
        match input.byte() % 3 {
            0 => {
                let position = input.short() % content.len();
                put(&mut content, position, &input.bytes());
            }
            1 => {
                let tag = input.bytes();
                let mut body = 3_u16.to_le_bytes().to_vec();
                body.extend(u16::try_from(tag.len()).expect("it is short").to_le_bytes());
                body.extend(&uuid);
                for _ in 0..4 {
                    body.extend(input.number().to_le_bytes());
                }
                body.extend([0; 16]);
                // Ranges, segments, runs.
                for _ in 0..3 {
                    body.extend(u32::from(input.byte()).to_le_bytes());
                }
                body.extend([0; 4]);
                body.extend(tag);
                body.extend(input.bytes());
                let mut covered = u32::try_from(body.len() + 12)
                    .expect("it is short")
                    .to_le_bytes()
                    .to_vec();
                covered.extend(body);
                let mut slot = b"RQCM".to_vec();
                slot.extend(crc32c::crc32c(&covered).to_le_bytes());
                slot.extend(covered);
                put(
                    &mut content,
                    COMMIT_SLOTS[usize::from(input.byte()) % 3],
                    &slot,
                );
            }
            _ => {
                let mut body = [1_u16.to_le_bytes(), 1_u16.to_le_bytes()].concat();
                body.extend(&uuid);
                for _ in 0..3 {
                    body.extend(input.number().to_le_bytes());
                }
                body.extend(input.bytes());
                let length = u32::try_from(body.len()).expect("it is short");
                let mut slot = b"RQLS".to_vec();
                slot.extend(length.to_le_bytes());
                slot.extend(crc32c::crc32c_append(length, &body).to_le_bytes());
                slot.extend(body);
                put(
                    &mut content,
                    LEASE_SLOTS + 4096 * usize::from(input.byte() % LEASE_SLOT_COUNT),
                    &slot,
                );
            }
        }
    }
    vfs.write_file(&path, content);
    use_directory(&vfs);
}

/// A directory with any files in it, some of them those of a queue under other names.
pub fn directory(data: &[u8]) {
    let vfs = sample();
    let mut input = Input(data);
    while !input.is_over() {
        let files = vfs.files();
        let source = &files[usize::from(input.byte()) % files.len()];
        let mut content = vfs.read_file(source).expect("it was listed");
        let name = match input.byte() % 6 {
            0 => "control".to_owned(),
            1 => "control.new".to_owned(),
            2 => "segment.new".to_owned(),
            3 => String::from_utf8_lossy(&input.bytes()).replace('/', "_"),
            _ => format!("{:020}-{:020}.segment", input.number(), input.number()),
        };
        match input.byte() % 4 {
            0 => content = input.bytes(),
            1 => content.truncate(input.short()),
            2 => vfs.remove_file(source),
            _ => {
                let position = input.short() % (content.len() + 1);
                put(&mut content, position, &input.bytes());
            }
        }
        vfs.write_file(&Path::new(DIRECTORY).join(name), content);
    }
    use_directory(&vfs);
}

/// Operations in any order, with failing calls, kills and reopening: nothing answered is lost,
/// nothing acked comes back, order is kept.
pub fn operations(data: &[u8]) {
    let vfs = SimVfs::new();
    let (mut queue, _) = Queue::open(config(&vfs)).expect("an empty directory opens");
    let mut input = Input(data);
    // What must be there; what may be, since its ack failed.
    let mut open: BTreeMap<ItemId, Bytes> = BTreeMap::new();
    let mut doubtful: BTreeSet<ItemId> = BTreeSet::new();
    let mut leases: Vec<Lease> = Vec::new();
    let mut serial = 0_u64;
    while !input.is_over() {
        let op = input.byte();
        match op % 8 {
            0 | 1 => {
                serial += 1;
                let mut payload = serial.to_le_bytes().to_vec();
                payload.resize(8 + input.short() % 6000, 7);
                let payload = Bytes::from(payload);
                match queue.append_one(payload.clone()) {
                    Ok(id) => {
                        assert!(open.last_key_value().is_none_or(|(last, _)| *last < id));
                        open.insert(id, payload);
                    }
                    // It may come back with an id that nobody knows: what follows is another
                    // test's.
                    Err(AppendError::InDoubt(_)) => return,
                    Err(_) => {}
                }
            }
            2 => {
                let items = 1 + usize::from(input.byte() % 8);
                leases.extend(queue.pop(PopLimits::items(items)).ok().flatten());
            }
            3 if !leases.is_empty() => {
                let lease = leases.swap_remove(usize::from(input.byte()) % leases.len());
                let is_durable = queue.ack(lease.id).is_ok();
                for item in lease.items {
                    assert_eq!(open.remove(&item.id), Some(item.payload));
                    if !is_durable {
                        doubtful.insert(item.id);
                    }
                }
                if is_durable {
                    doubtful.clear();
                }
            }
            4 if !leases.is_empty() => {
                let at = usize::from(input.byte()) % leases.len();
                if queue.release(leases[at].id).is_ok() {
                    leases.swap_remove(at);
                }
            }
            5 if !leases.is_empty() => {
                let at = usize::from(input.byte()) % leases.len();
                let _ = queue.tag(leases[at].id, Bytes::from(input.bytes()));
            }
            6 => vfs.inject(Fault {
                call: vfs.calls() + u64::from(input.byte() % 16),
                for_ever: false,
                kind: match input.byte() % 3 {
                    0 => FaultKind::Error(5),
                    1 => FaultKind::Error(28),
                    _ => FaultKind::Short,
                },
            }),
            7 => {
                vfs.heal();
                if input.byte().is_multiple_of(2) {
                    queue.close().expect("a sound disk takes the last commit");
                    doubtful.clear();
                }
                drop(queue);
                let opened = Queue::open(config(&vfs)).expect("a sound directory opens");
                queue = opened.0;
                leases.clear();
                for lease in opened.1.leases {
                    leases.push(queue.read_lease(lease.id).expect("leases can be read"));
                }
                open = check_all(&vfs, &open, &doubtful);
                doubtful.clear();
            }
            _ => {
                let level = match op / 8 % 2 {
                    0 => Flush::Os,
                    _ => Flush::Disk,
                };
                // Acks that had failed are written with it.
                if queue.flush(level).is_ok() {
                    doubtful.clear();
                }
            }
        }
    }
    vfs.heal();
    drop(queue);
    check_all(&vfs, &open, &doubtful);
}

/// Looks at all that is in a copy of the directory.
fn check_all(
    vfs: &SimVfs,
    open: &BTreeMap<ItemId, Bytes>,
    doubtful: &BTreeSet<ItemId>,
) -> BTreeMap<ItemId, Bytes> {
    let (queue, recovery) = Queue::open(config(&vfs.copy())).expect("a sound directory opens");
    let mut found = BTreeMap::new();
    for lease in recovery.leases {
        let lease = queue.read_lease(lease.id).expect("leases can be read");
        found.extend(lease.items.into_iter().map(|item| (item.id, item.payload)));
    }
    while let Some(lease) = queue.pop(PopLimits::default()).expect("items can be read") {
        found.extend(lease.items.into_iter().map(|item| (item.id, item.payload)));
    }
    for (id, payload) in open {
        assert_eq!(found.get(id), Some(payload), "item {id}");
    }
    let last = open.last_key_value().map_or(ItemId(0), |(last, _)| *last);
    for id in found.keys() {
        // Behind the last one: of an append that failed in doubt.
        assert!(
            open.contains_key(id) || doubtful.contains(id) || *id > last,
            "item {id} is nobody's"
        );
    }
    found
}
