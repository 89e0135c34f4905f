//! Appends, leases and acks, and says so line by line, each line when the queue has answered: what
//! a reader of the lines was told must be in the directory, however this program ends.
//!
//! `steps DIRECTORY run ROUNDS` does a bit of everything in one thread: it leaves the queue
//! unclosed half way, opens it again, and closes it when it is empty; `steps DIRECTORY load ROUNDS`
//! appends in two threads and acks in a third; `steps DIRECTORY crowd ROUNDS MODE SEED` has two
//! threads that append, three that pop, tag, release and ack, and one that flushes, in the mode
//! `os`, `fsync`, `offload` or `volatile`, and closes the queue in the end; `steps DIRECTORY hold`
//! keeps the queue open until its input ends; `steps DIRECTORY backlog MEGABYTES` appends that
//! much, opens the directory again and reads it, and says what memory that took; `steps DIRECTORY
//! many COUNT` uses so many queues at once, and says what threads and file descriptors that takes.
#![allow(clippy::disallowed_methods, reason = "examples run in the real world")]

use std::error::Error;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use bytes::Bytes;
use replayq::{Config, Durability, Flush, Lease, PopLimits, Queue, Storage};

/// Small segments, so that a few rounds fill several. STEPS_SEGMENT_BYTES gives another size.
const SEGMENT_BYTES: u64 = 8 << 10;

fn main() -> ExitCode {
    if let Err(error) = do_as_told() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn do_as_told() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [directory, "run", rounds] => run(directory, rounds.parse()?),
        [directory, "load", rounds] => load(&open(directory)?, rounds.parse()?),
        [directory, "crowd", rounds, mode, seed] => {
            crowd(directory, rounds.parse()?, mode, seed.parse()?)
        }
        [directory, "hold"] => hold(&open(directory)?),
        [directory, "backlog", megabytes] => backlog(Path::new(directory), megabytes.parse()?),
        [directory, "many", count] => many(Path::new(directory), count.parse()?),
        _ => Err(
            "usage: steps DIRECTORY run|load ROUNDS | crowd ROUNDS MODE SEED | hold | backlog MEGABYTES | many COUNT".into(),
        ),
    }
}

fn open(directory: &str) -> Result<Queue, Box<dyn Error>> {
    let segment_bytes = match std::env::var("STEPS_SEGMENT_BYTES") {
        Ok(bytes) => bytes.parse()?,
        Err(_) => SEGMENT_BYTES,
    };
    let mut config = Config::disk(directory)
        .segment_bytes(segment_bytes)
        .resident_bytes(4 << 10)
        .spare_segments(1);
    if std::env::var_os("STEPS_FSYNC").is_some() {
        config = config.durability(Durability::Fsync {
            max_delay: Duration::ZERO,
        });
    }
    let (queue, recovery) = Queue::open(config)?;
    println!("open {}", recovery.items);
    Ok(queue)
}

/// The payload says which one it is. Large ones take another way to the disk than small ones.
fn payload(name: &str) -> Bytes {
    let bytes = if name.ends_with('5') { 3000 } else { 700 };
    Bytes::from(format!("{name:<bytes$}"))
}

fn append(queue: &Queue, names: &[String]) {
    let payloads: Vec<Bytes> = names.iter().map(|name| payload(name)).collect();
    match queue.append(&payloads) {
        Ok(_) => println!("appended {}", names.join(" ")),
        Err(error) => println!("refused {error}"),
    }
}

/// Takes some items, tags the lease and acks it. How many there were.
fn consume(queue: &Queue, items: usize) -> Result<usize, Box<dyn Error>> {
    let Some(lease) = queue.pop(PopLimits::items(items))? else {
        return Ok(0);
    };
    let names: Vec<&str> = lease
        .items
        .iter()
        .filter_map(|item| std::str::from_utf8(&item.payload).ok())
        .map(str::trim)
        .collect();
    if let Err(error) = queue.tag(lease.id, Bytes::from_static(b"tag")) {
        println!("untagged {error}");
    }
    println!("acking {}", names.join(" "));
    match queue.ack(lease.id) {
        Ok(()) => println!("acked {}", names.join(" ")),
        Err(error) => println!("unacked {error}"),
    }
    Ok(lease.items.len())
}

fn run(directory: &str, rounds: u64) -> Result<(), Box<dyn Error>> {
    let work = |queue: &Queue, rounds: Range<u64>| -> Result<(), Box<dyn Error>> {
        for round in rounds {
            append(
                queue,
                &[0, 1, 2].map(|item| format!("a{}", round * 3 + item)),
            );
            consume(queue, 2)?;
            if round % 3 == 2 {
                queue.flush(Flush::Disk)?;
            }
        }
        Ok(())
    };
    work(&open(directory)?, 0..rounds / 2)?;
    let queue = open(directory)?;
    work(&queue, rounds / 2..rounds)?;
    while consume(&queue, 20)? > 0 {}
    queue.close()?;
    println!("closed");
    Ok(())
}

fn load(queue: &Queue, rounds: u64) -> Result<(), Box<dyn Error>> {
    thread::scope(|scope| {
        let appenders = ["a", "b"].map(|thread| {
            scope.spawn(move || {
                for round in 0..rounds {
                    append(queue, &[format!("{thread}{round}")]);
                }
            })
        });
        loop {
            // Asked first: what is found missing then will not come any more.
            let is_all = appenders.iter().all(ScopedJoinHandle::is_finished);
            if consume(queue, 3)? == 0 {
                if is_all {
                    return Ok(());
                }
                thread::yield_now();
            }
        }
    })
}

fn crowd(directory: &str, rounds: u64, mode: &str, seed: u64) -> Result<(), Box<dyn Error>> {
    let storage = match mode {
        "os" | "fsync" => Storage::Disk(directory.into()),
        "offload" => Storage::Offload(directory.into()),
        "volatile" => Storage::OffloadVolatile(directory.into()),
        _ => return Err("the mode is os, fsync, offload or volatile".into()),
    };
    let mut config = Config::new(storage)
        .segment_bytes(SEGMENT_BYTES)
        .resident_bytes(4 << 10)
        .lease_slots(2)
        .spare_segments(1);
    if mode == "fsync" {
        config = config.durability(Durability::Fsync {
            max_delay: Duration::ZERO,
        });
    }
    let (queue, _) = Queue::open(config)?;
    let queue = &queue;
    thread::scope(|scope| {
        for name in ["a", "b"] {
            scope.spawn(move || crowd_append(queue, name, rounds, seed));
        }
        for worker in 1..=3 {
            scope.spawn(move || crowd_work(queue, rounds, seed ^ worker));
        }
        scope.spawn(move || {
            for number in 0..rounds / 8 {
                println!("flushing {number}");
                let level = if number % 4 == 0 {
                    Flush::Disk
                } else {
                    Flush::Os
                };
                if queue.flush(level).is_ok() {
                    println!("flushed {number}");
                }
            }
        });
    });
    println!("closing");
    queue.close()?;
    println!("closed");
    Ok(())
}

fn crowd_append(queue: &Queue, name: &str, rounds: u64, seed: u64) {
    let mut dice = Dice(seed);
    let mut number = 0;
    for _ in 0..rounds {
        let first = number;
        number += 1 + dice.below(3);
        let names: Vec<String> = (first..number)
            .map(|item| format!("{name}{item}"))
            .collect();
        append(queue, &names);
    }
}

fn crowd_work(queue: &Queue, rounds: u64, seed: u64) {
    let mut dice = Dice(seed);
    let mut leases: Vec<Lease> = Vec::new();
    for round in 0..rounds {
        if dice.below(2) == 0 || leases.is_empty() {
            let limits = PopLimits::items(1 + dice.below(4));
            if let Ok(Some(lease)) = queue.pop(limits) {
                println!("leased {} {}", lease.id, names(&lease).join(" "));
                leases.push(lease);
            } else {
                thread::yield_now();
            }
            continue;
        }
        let lease = leases.swap_remove(dice.below(leases.len()));
        let (names, id) = (names(&lease).join(" "), lease.id);
        match dice.below(5) {
            0 | 1 => {
                println!("tagging {id}");
                let tag = format!("{round}-{seed}");
                if queue.tag(id, tag.clone().into()).is_ok() {
                    println!("tagged {id} {tag} {names}");
                }
                leases.push(lease);
            }
            2 => {
                println!("releasing {id} {names}");
                if let Err(error) = queue.release(id) {
                    println!("failed {error}");
                }
            }
            _ => {
                println!("acking {names}");
                match queue.ack(id) {
                    Ok(()) => println!("acked {names}"),
                    Err(error) => println!("failed {error}"),
                }
            }
        }
    }
}

fn names(lease: &Lease) -> Vec<String> {
    let payloads = lease.items.iter().map(|item| &item.payload);
    payloads
        .map(|payload| String::from_utf8_lossy(payload).trim().to_owned())
        .collect()
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

fn hold(queue: &Queue) -> Result<(), Box<dyn Error>> {
    io::stdin().read_to_end(&mut Vec::new())?;
    queue.close()?;
    Ok(())
}

fn backlog(directory: &Path, megabytes: u64) -> Result<(), Box<dyn Error>> {
    let item = Bytes::from(vec![b'x'; 64 << 10]);
    let (queue, _) = Queue::open(Config::disk(directory))?;
    for _ in 0..megabytes * 16 {
        queue.append_one(item.clone())?;
    }
    // As after a crash: without a clean close.
    drop(queue);
    let (queue, recovery) = Queue::open(Config::disk(directory))?;
    println!("open {}", recovery.items);
    let mut items = 0;
    while let Some(lease) = queue.pop(PopLimits::default())? {
        items += lease.items.len();
        queue.ack(lease.id)?;
    }
    println!("read {items}");
    println!("{}", peak_memory()?);
    Ok(())
}

fn many(directory: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let mut queues = Vec::with_capacity(count);
    for number in 0..count {
        // Nothing stays in memory: what is popped is read from disk.
        let config = Config::disk(directory.join(number.to_string())).resident_bytes(0);
        queues.push(Queue::open(config)?.0);
    }
    for queue in &queues {
        queue.append(&[payload("first"), payload("second")])?;
        let lease = queue.pop(PopLimits::items(1))?.ok_or("nothing to pop")?;
        queue.tag(lease.id, Bytes::from_static(b"tag"))?;
        queue.ack(lease.id)?;
        queue.append_one(payload("third"))?;
    }
    println!("queues {}", queues.len());
    println!("threads {}", std::fs::read_dir("/proc/self/task")?.count());
    println!(
        "descriptors {}",
        std::fs::read_dir("/proc/self/fd")?.count()
    );
    Ok(())
}

/// The most memory that this process had at once, as Linux counts it.
fn peak_memory() -> io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    Ok(line.unwrap_or_default().to_owned())
}
