//! One turn of the queue beside another version of itself: `cargo xtask bench replayq --against`
//! builds this program with both, lets them take turns, and compares.
//!
//! It uses only what the first version had. A line is `turn <nanoseconds an item> <name>`: of the
//! processor in all threads, the median of three laps after two that do not count. Arguments are
//! parts of the names of the lines that are wanted.

#![expect(clippy::expect_used, reason = "what does not work measures nothing")]

use std::path::Path;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use replayq::{Config, PopLimits, Queue};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of all payloads together: more than the caches near a core hold.
const POOL_BYTES: usize = 2 << 20;

const LAPS: usize = 3;

/// The part of a lap that is timed.
#[derive(Clone, Copy)]
enum Timed {
    Append,
    /// Pops and acks, in so many threads, with leases of so many items.
    Drain {
        threads: usize,
        lease: usize,
    },
    /// Each group is appended, popped and acked.
    Both,
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Spare segments, or none of a queue in memory.
    spares: Option<usize>,
    item_bytes: usize,
    group: usize,
    items: usize,
    timed: Timed,
}

const SMALL: usize = 116;

const fn case(
    name: &'static str,
    spares: Option<usize>,
    (items, group, item_bytes): (usize, usize, usize),
    timed: Timed,
) -> Case {
    Case {
        name,
        spares,
        item_bytes,
        group,
        items,
        timed,
    }
}

const fn drain(threads: usize, lease: usize) -> Timed {
    Timed::Drain { threads, lease }
}

const CASES: [Case; 15] = [
    case(
        "append of 100, segments used again",
        Some(40),
        (200_000, 100, SMALL),
        Timed::Append,
    ),
    case(
        "append of 100, new segments",
        Some(0),
        (200_000, 100, SMALL),
        Timed::Append,
    ),
    case("append of one", Some(40), (20_000, 1, SMALL), Timed::Append),
    case(
        "append of one of 16 KiB, segments used again",
        Some(40),
        (2_000, 1, 16 << 10),
        Timed::Append,
    ),
    case(
        "pop and ack from disk, 1000 a lease",
        Some(40),
        (200_000, 100, SMALL),
        drain(1, 1000),
    ),
    case(
        "pop and ack from disk, 100 a lease",
        Some(40),
        (200_000, 100, SMALL),
        drain(1, 100),
    ),
    case(
        "append, pop and ack of 10",
        Some(40),
        (60_000, 10, SMALL),
        Timed::Both,
    ),
    case(
        "in memory: append of 100",
        None,
        (400_000, 100, SMALL),
        Timed::Append,
    ),
    case(
        "in memory: append of one",
        None,
        (200_000, 1, SMALL),
        Timed::Append,
    ),
    case(
        "in memory: pop and ack, 1000 a lease",
        None,
        (400_000, 100, SMALL),
        drain(1, 1000),
    ),
    case(
        "in memory: pop and ack, 10 a lease",
        None,
        (400_000, 100, SMALL),
        drain(1, 10),
    ),
    case(
        "in memory, 1 KiB: 4 consumers, 10 a lease",
        None,
        (40_000, 100, 1024),
        drain(4, 10),
    ),
    case(
        "on disk, 1 KiB: 1 consumer, 10 a lease",
        Some(40),
        (20_000, 100, 1024),
        drain(1, 10),
    ),
    case(
        "on disk, 1 KiB: 4 consumers, 10 a lease",
        Some(40),
        (20_000, 100, 1024),
        drain(4, 10),
    ),
    case(
        "on disk, 1 KiB: 16 consumers, 10 a lease",
        Some(40),
        (20_000, 100, 1024),
        drain(16, 10),
    ),
];

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |case: &Case| {
        // `cargo bench` says `--bench` to every benchmark.
        let mut parts = parts.iter().filter(|part| *part != "--bench").peekable();
        parts.peek().is_none() || parts.any(|part| case.name.contains(part.as_str()))
    };
    let room = tempfile::tempdir_in(".").expect("a directory");
    for (index, case) in CASES.iter().enumerate() {
        if !is_wanted(case) {
            continue;
        }
        let mut laps = case.laps(&room.path().join(index.to_string()));
        laps.sort_unstable();
        let median = laps.get(LAPS / 2).expect("an odd number of laps");
        let nanos = median.as_nanos() * 10 / case.items as u128;
        println!("turn {}.{} {}", nanos / 10, nanos % 10, case.name);
    }
}

impl Case {
    fn laps(&self, directory: &Path) -> Vec<Duration> {
        let config = match self.spares {
            Some(spares) => Config::disk(directory).spare_segments(spares),
            None => Config::memory(),
        };
        let (queue, _) = Queue::open(config).expect("a new queue");
        let payloads = payloads(self.item_bytes, self.group);
        for _ in 0..2 {
            let _warm = self.lap(&queue, &payloads);
        }
        (0..LAPS).map(|_| self.lap(&queue, &payloads)).collect()
    }

    fn lap(&self, queue: &Queue, payloads: &[Bytes]) -> Duration {
        let groups = || {
            let groups = payloads.chunks_exact(self.group).cycle();
            groups.take(self.items / self.group)
        };
        let append_all = || {
            for group in groups() {
                append(queue, group);
            }
        };
        match self.timed {
            Timed::Append => {
                let time = timed(append_all);
                empty(queue, 1000);
                time
            }
            Timed::Drain { threads: 1, lease } => {
                append_all();
                timed(|| empty(queue, lease))
            }
            Timed::Drain { threads, lease } => {
                append_all();
                timed(|| {
                    thread::scope(|scope| {
                        for _ in 0..threads {
                            scope.spawn(|| empty(queue, lease));
                        }
                    });
                })
            }
            Timed::Both => timed(|| {
                for group in groups() {
                    append(queue, group);
                    take(queue, self.group);
                }
            }),
        }
    }
}

/// The same way for groups and single items as an application has it.
fn append(queue: &Queue, group: &[Bytes]) {
    match group {
        [payload] => {
            queue.append_one(payload.clone()).expect("an append");
        }
        _ => {
            queue.append(group).expect("an append");
        }
    }
}

/// Returns whether there was something.
fn take(queue: &Queue, items: usize) -> bool {
    let Some(lease) = queue.pop(PopLimits::items(items)).expect("a pop") else {
        return false;
    };
    queue.ack(lease.id).expect("an ack");
    true
}

fn empty(queue: &Queue, lease: usize) {
    while take(queue, lease) {}
}

fn payloads(item_bytes: usize, group: usize) -> Vec<Bytes> {
    let groups = (POOL_BYTES / (item_bytes * group)).max(1);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..groups * group)
        .map(|_| {
            let payload = (0..item_bytes).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            });
            payload.collect()
        })
        .collect()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = processor_time();
    work();
    processor_time().saturating_sub(start)
}

/// Processor time of all threads.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // Neither part of such a time is negative.
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
