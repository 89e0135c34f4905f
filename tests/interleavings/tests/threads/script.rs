//! Scenarios: what each thread does with a queue, one step after the other.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use replayq_interleavings::vfs::sim::{Fate, SimVfs};
use replayq_interleavings::{
    AppendError, Config, Durability, Flush, ItemRange, Lease, Overflow, PopLimits, Queue,
    ReadError, Storage,
};
use shuttle::thread;

use crate::oracle::{Answers, Keeps, Oracle, power_loss};
use crate::points::PointVfs;

/// Where items are kept, and what they survive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Memory,
    Os,
    Fsync,
    Offload,
    OffloadVolatile,
}

pub(crate) const MODES: [Mode; 5] = [
    Mode::Memory,
    Mode::Os,
    Mode::Fsync,
    Mode::Offload,
    Mode::OffloadVolatile,
];

/// Next step of a thread. Leases are its own, the oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Appends so many items of so many bytes.
    Append(u64, usize),
    /// Appends one item of so many bytes, leased and tagged with all that wait, if these are in
    /// memory.
    AppendLeased(usize),
    /// Pops up to so many items into a lease.
    Pop(usize),
    /// The same, waiting without end for an item.
    PopWait(usize),
    /// The same, as a task that waits for the queue to be ready.
    PopReady(usize),
    Tag,
    Ack,
    /// Acks the first item of the lease.
    AckOne,
    Release,
    FlushOs,
    FlushDisk,
    Close,
    /// Lets the next sync of a file fail, whoever makes it.
    FailSync,
    /// Takes a copy of the disk: the process might be killed here.
    Kill,
    /// Takes so many copies of the disk as power losses might leave it here.
    PowerLoss(usize),
}

/// Steps of a thread, after those that are done for it before any thread begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    pub(crate) before: &'static [(usize, Step)],
    pub(crate) threads: &'static [&'static [Step]],
    pub(crate) segment_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) lease_slots: u32,
    /// Appends beyond wait.
    pub(crate) max_total_bytes: u64,
}

/// One thread's leases, and the items that it still has in them.
#[derive(Clone)]
struct Worker {
    leases: VecDeque<Lease>,
    tags: u32,
    vfs: PointVfs,
}

fn config(script: &Script, mode: Mode, vfs: PointVfs) -> Config {
    let directory = PathBuf::from("/queue");
    let storage = match mode {
        Mode::Memory => Storage::Memory,
        Mode::Os | Mode::Fsync => Storage::Disk(directory),
        Mode::Offload => Storage::Offload(directory),
        Mode::OffloadVolatile => Storage::OffloadVolatile(directory),
    };
    let durability = match mode {
        Mode::Fsync => Durability::Fsync {
            max_delay: Duration::ZERO,
        },
        _ => Durability::Os,
    };
    Config::new(storage)
        .durability(durability)
        .segment_bytes(script.segment_bytes)
        .resident_bytes(script.resident_bytes)
        .read_bytes(4096)
        .spare_segments(1)
        .lease_slots(script.lease_slots)
        .max_total_bytes(script.max_total_bytes)
        .overflow(Overflow::Block)
        .vfs(Arc::new(vfs))
}

/// Runs a script once, in the schedule that shuttle gives, and checks what came of it.
pub(crate) fn run(script: &Script, mode: Mode) {
    let (vfs, oracle) = (PointVfs::new(), Oracle::default());
    let (queue, _) = Queue::open(config(script, mode, vfs.clone())).unwrap();
    let queue = Arc::new(queue);
    let mut workers = vec![Worker::new(vfs.clone()); script.threads.len()];
    for (worker, step) in script.before {
        workers[*worker].step(*step, &queue, &oracle);
    }
    let threads: Vec<_> = workers
        .into_iter()
        .zip(script.threads)
        .map(|(mut worker, steps)| {
            let (queue, oracle) = (Arc::clone(&queue), oracle.clone());
            thread::spawn(move || {
                for step in *steps {
                    worker.step(*step, &queue, &oracle);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    oracle.remember(&vfs.sim);
    let durable = (mode == Mode::Fsync).then(|| {
        let sim = vfs.sim.after_power_loss(0, |_, _| Fate::Lost);
        (sim, oracle.now())
    });
    let before_close = oracle.now();
    if !oracle.is_closing() {
        oracle.drain(&queue);
        close(&queue, &vfs);
    }
    drop(queue);
    let at_close = (vfs.sim.copy(), before_close);
    let disk_keeps = matches!(mode, Mode::Os | Mode::Fsync);
    let keeps_at_close = disk_keeps || mode == Mode::Offload;
    let all = |keeps| Keeps {
        items: keeps,
        acks: true,
        tags: keeps,
    };
    check(script, mode, at_close, all(keeps_at_close));
    for moment in oracle.moments() {
        check(script, mode, moment, all(disk_keeps));
    }
    for moment in oracle.losses() {
        check_losses(script, mode, moment);
    }
    if let Some(moment) = durable {
        let keeps = Keeps {
            acks: false,
            ..all(true)
        };
        check(script, mode, moment, keeps);
    }
}

/// Closes the queue. A close fails only where a sync did, and can be tried again.
fn close(queue: &Queue, vfs: &PointVfs) {
    let failed_before = vfs.failed_syncs();
    if let Err(error) = queue.close() {
        assert!(vfs.failed_syncs() > failed_before, "{error}");
        queue.close().unwrap();
    }
}

fn check(script: &Script, mode: Mode, (sim, answers): (SimVfs, Answers), keeps: Keeps) {
    if matches!(mode, Mode::Memory | Mode::OffloadVolatile) {
        return;
    }
    let (queue, recovery) = Queue::open(config(script, mode, PointVfs::of(sim))).unwrap();
    assert_eq!(queue.damage(), []);
    let leases = recovery.leases.iter().map(|lease| lease.id).collect();
    answers.check(&queue, leases, keeps);
}

/// Opens the disk that a power loss has left, does a little, and loses power once more.
fn check_losses(script: &Script, mode: Mode, (sim, mut answers): (SimVfs, Answers)) {
    let open = |sim: &SimVfs| {
        let (queue, recovery) =
            Queue::open(config(script, mode, PointVfs::of(sim.clone()))).unwrap();
        let leases: Vec<_> = recovery.leases.iter().map(|lease| lease.id).collect();
        (queue, leases)
    };
    let keeps = Keeps {
        items: true,
        acks: false,
        tags: true,
    };
    let (queue, _) = open(&sim);
    if mode == Mode::Fsync {
        answers.append(&queue);
    }
    drop(queue);
    for sim in [power_loss(&sim), sim] {
        let (queue, leases) = open(&sim);
        match mode {
            Mode::Fsync => answers.check(&queue, leases, keeps),
            _ => answers.check_flushed(&queue, leases),
        }
    }
}

impl Worker {
    fn new(vfs: PointVfs) -> Self {
        Self {
            leases: VecDeque::new(),
            tags: 0,
            vfs,
        }
    }

    fn step(&mut self, step: Step, queue: &Queue, oracle: &Oracle) {
        match step {
            Step::Append(count, bytes) => {
                let payloads = oracle.payloads(count, bytes);
                match queue.append(&payloads) {
                    Ok(items) => oracle.appended(&payloads, items),
                    Err(error) => self.not_appended(&error, &payloads, oracle),
                }
            }
            Step::AppendLeased(bytes) => self.append_leased(bytes, queue, oracle),
            Step::Pop(items) => self.popped(queue.pop(PopLimits::items(items)), oracle),
            Step::PopWait(items) => {
                let popped = queue.pop_wait(PopLimits::items(items), Duration::MAX);
                self.popped(popped, oracle);
            }
            Step::PopReady(items) => {
                let popped = shuttle::future::block_on(async {
                    loop {
                        queue.ready().await?;
                        if let Some(lease) = queue.pop(PopLimits::items(items))? {
                            return Ok(Some(lease));
                        }
                    }
                });
                self.popped(popped, oracle);
            }
            Step::Tag => self.tag(queue, oracle),
            Step::Ack => {
                let Some(lease) = self.leases.pop_front() else {
                    return;
                };
                oracle.acking(&lease, &lease.items);
                match queue.ack(lease.id) {
                    Ok(()) => oracle.acked(&lease.items),
                    Err(error) => self.refused(&error, oracle),
                }
            }
            Step::AckOne => self.ack_one(queue, oracle),
            Step::Release => {
                let Some(lease) = self.leases.pop_front() else {
                    return;
                };
                oracle.releasing(&lease);
                if let Err(error) = queue.release(lease.id) {
                    self.refused(&error, oracle);
                    oracle.not_released(&lease);
                }
            }
            Step::FlushOs => self.flush(Flush::Os, queue, oracle),
            Step::FlushDisk => self.flush(Flush::Disk, queue, oracle),
            Step::Close => {
                oracle.closing();
                close(queue, &self.vfs);
            }
            Step::FailSync => self.vfs.fail_next_sync(),
            Step::PowerLoss(images) => oracle.lose_power(&self.vfs.sim, images),
            Step::Kill => oracle.remember(&self.vfs.sim),
        }
    }

    fn popped(&mut self, popped: Result<Option<Lease>, ReadError>, oracle: &Oracle) {
        match popped {
            Ok(Some(lease)) => {
                oracle.leased(&lease);
                self.leases.push_back(lease);
            }
            Ok(None) => {}
            Err(error) => self.refused(&error, oracle),
        }
    }

    /// Nothing fails here but by a close or a sync.
    fn refused(&self, error: &dyn std::error::Error, oracle: &Oracle) {
        let may_fail = oracle.is_closing() || self.vfs.failed_syncs() > 0;
        assert!(may_fail, "{error}");
    }

    fn not_appended(&self, error: &AppendError, payloads: &[Bytes], oracle: &Oracle) {
        self.refused(error, oracle);
        // Those of an append in doubt may be there after a crash.
        if !matches!(error, AppendError::InDoubt(_)) {
            oracle.not_appended(payloads);
        }
    }

    fn flush(&self, level: Flush, queue: &Queue, oracle: &Oracle) {
        let before = oracle.now();
        match queue.flush(level) {
            Ok(()) if level == Flush::Disk => oracle.synced(before),
            Ok(()) => {}
            Err(error) => self.refused(&error, oracle),
        }
    }

    fn next_tag(&mut self) -> Bytes {
        self.tags += 1;
        Bytes::from(format!("tag {}", self.tags))
    }

    fn append_leased(&mut self, bytes: usize, queue: &Queue, oracle: &Oracle) {
        let (payloads, tag) = (oracle.payloads(1, bytes), self.next_tag());
        let from = queue.peek(PopLimits::items(1));
        let from = from.unwrap_or_default().first().map(|item| item.id);
        match queue.append_leased(&payloads, from, tag.clone()) {
            Ok(leased) => {
                oracle.appended(&payloads, leased.items);
                let lease = queue.read_lease(leased.lease);
                let Ok(lease) = lease.map_err(|error| self.refused(&error, oracle)) else {
                    return;
                };
                oracle.leased(&lease);
                let first = from.unwrap_or(leased.items.first);
                let ends = lease.items.first().zip(lease.items.last());
                let ends = ends.map(|(first, last)| (first.id, last.id));
                assert_eq!(ends, Some((first, leased.items.last)));
                oracle.tagged(&lease, tag);
                self.leases.push_back(lease);
            }
            // Others have popped or released meanwhile.
            Err(AppendError::Lease(_)) => oracle.not_appended(&payloads),
            Err(error) => self.not_appended(&error, &payloads, oracle),
        }
    }

    fn tag(&mut self, queue: &Queue, oracle: &Oracle) {
        let tag = self.next_tag();
        let Some(lease) = self.leases.front() else {
            return;
        };
        oracle.tagging(lease);
        match queue.tag(lease.id, tag.clone()) {
            Ok(()) => oracle.tagged(lease, tag),
            Err(error) => self.refused(&error, oracle),
        }
    }

    fn ack_one(&mut self, queue: &Queue, oracle: &Oracle) {
        let Some(mut lease) = self.leases.pop_front() else {
            return;
        };
        let item = lease.items.remove(0);
        let done = [item];
        oracle.acking(&lease, &done);
        match queue.ack_items(lease.id, ItemRange::one(done[0].id)) {
            Ok(()) => oracle.acked(&done),
            Err(error) => self.refused(&error, oracle),
        }
        if !lease.items.is_empty() {
            self.leases.push_front(lease);
        }
    }
}
