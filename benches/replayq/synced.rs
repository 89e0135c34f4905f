//! Appending at level `Fsync`: P4. Sixty-four threads append one item a call, to one queue and
//! spread over sixty-four.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use replayq::vfs::{DirectoryEntry, OpenMode, OsVfs, Vfs, VfsFile, VfsLock};
use replayq::{Config, Durability, Queue};

use crate::Settings;
use crate::race::{Runner, print, print_ratio, race};
use crate::raw::{self, RawSegments};

const THREADS: usize = 64;
const ITEM_BYTES: usize = 1024;

pub(crate) fn run(settings: &Settings) {
    let each = if settings.is_quick { 50 } else { 300 };
    let rounds = if settings.is_quick { 3 } else { 7 };
    one_queue(settings, each, rounds);
    many_queues(settings, each, rounds);
}

fn one_queue(settings: &Settings, each: usize, rounds: usize) {
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let syncs = Arc::new(Syncs::default());
    let queue = open(&room.path().join("queue"), &syncs);
    let files = RawSegments::recycled(room.path(), 64 << 20);
    let mut sizes = Vec::new();
    let groups = Mutex::new(Vec::new());
    let runners: Vec<Runner<'_>> = vec![
        (
            "replayq, Fsync, one queue",
            Box::new(|| {
                let _earlier = syncs.take();
                let time = append_from_threads(std::slice::from_ref(&queue), each);
                *groups.lock().expect("no panic") = syncs.take();
                let _untimed = crate::ours::drain(&queue, 1000);
                time.into()
            }),
        ),
        (
            "raw write + fdatasync, same groups",
            Box::new(|| {
                let groups = groups.lock().expect("no panic");
                sizes.push(groups.len());
                raw::write_and_sync(&files, &groups)
            }),
        ),
    ];
    let outcomes = race(runners, rounds);
    let items = THREADS * each;
    print(
        &format!("append at Fsync, {THREADS} threads, items of {ITEM_BYTES} bytes"),
        items,
        items * ITEM_BYTES,
        &outcomes,
    );
    sizes.sort_unstable();
    let middle = sizes[sizes.len() / 2];
    println!(
        "  {middle} syncs a round, {} items each",
        items / middle.max(1)
    );
    print_ratio(
        "replayq_fsync_64_appenders_vs_raw",
        &outcomes[0],
        &outcomes[1],
    );
}

fn many_queues(settings: &Settings, each: usize, rounds: usize) {
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let syncs = Arc::new(Syncs::default());
    let queues: Vec<Queue> = (0..THREADS)
        .map(|number| open(&room.path().join(format!("queue-{number}")), &syncs))
        .collect();
    let each = (each / 8).max(4);
    let mut counts = Vec::new();
    let runner: Runner<'_> = (
        "replayq, Fsync, 64 queues",
        Box::new(|| {
            let _earlier = syncs.take();
            let time = append_from_threads(&queues, each);
            counts.push(syncs.take().len());
            time.into()
        }),
    );
    let outcomes = race(vec![runner], rounds);
    let items = THREADS * each;
    print(
        "the same over as many queues",
        items,
        items * ITEM_BYTES,
        &outcomes,
    );
    counts.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = counts[counts.len() / 2] as f64 / outcomes[0].wall.median.as_secs_f64();
    println!("  {rate:.0} syncs of data a second");
}

fn open(directory: &Path, syncs: &Arc<Syncs>) -> Queue {
    let config = Config::disk(directory)
        .durability(Durability::Fsync {
            max_delay: Duration::ZERO,
        })
        .spare_segments(8)
        .vfs(Arc::new(CountingVfs {
            syncs: Arc::clone(syncs),
        }));
    Queue::open(config).expect("a new queue").0
}

/// Each thread appends to the queue of its number.
fn append_from_threads(queues: &[Queue], each: usize) -> Duration {
    let payload = Bytes::from(vec![7_u8; ITEM_BYTES]);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for queue in queues.iter().cycle().take(THREADS) {
            let payload = payload.clone();
            scope.spawn(move || {
                for _ in 0..each {
                    queue.append_one(payload.clone()).expect("an append");
                }
            });
        }
    });
    start.elapsed()
}

/// Bytes that went to segments between their syncs.
#[derive(Debug, Default)]
struct Syncs {
    groups: Mutex<Vec<usize>>,
}

impl Syncs {
    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.groups.lock().expect("no panic"))
    }
}

/// The real file system, with an eye on what is written between syncs.
struct CountingVfs {
    syncs: Arc<Syncs>,
}

impl fmt::Debug for CountingVfs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CountingVfs")
    }
}

impl Vfs for CountingVfs {
    fn create_directory(&self, path: &Path) -> io::Result<PathBuf> {
        OsVfs.create_directory(path)
    }
    fn canonical_directory(&self, path: &Path) -> io::Result<PathBuf> {
        OsVfs.canonical_directory(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        OsVfs.list(directory)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let file = OsVfs.open(path, mode)?;
        if path
            .extension()
            .is_none_or(|extension| extension != "segment")
        {
            return Ok(file);
        }
        Ok(Arc::new(CountingFile {
            file,
            syncs: Arc::clone(&self.syncs),
            written: Mutex::new(0),
        }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsVfs.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove(path)
    }
    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove_directory(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        OsVfs.sync_directory(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn VfsLock>>> {
        OsVfs.lock(path)
    }
    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        OsVfs.free_bytes(directory)
    }
    fn boot_id(&self) -> Option<[u8; 16]> {
        OsVfs.boot_id()
    }
    fn random(&self) -> io::Result<[u8; 16]> {
        OsVfs.random()
    }
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn VfsFile>,
    syncs: Arc<Syncs>,
    written: Mutex<usize>,
}

impl VfsFile for CountingFile {
    fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let written = self.file.write_at(buffers, position)?;
        *self.written.lock().expect("no panic") += written;
        Ok(written)
    }
    fn read_at(&self, buffer: &mut Vec<u8>, bytes: usize, position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, bytes, position)
    }
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_length(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        let written = std::mem::take(&mut *self.written.lock().expect("no panic"));
        self.syncs.groups.lock().expect("no panic").push(written);
        Ok(())
    }
}
