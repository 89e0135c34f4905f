//! A thousand queues, open and dirty: what a flush cycle costs, and what they take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replayq::{Config, Flush, IoPool, Queue};

use crate::Settings;
use crate::process::{descriptors_and_threads, resident_bytes};
use crate::race::outcome;

const QUEUES: usize = 1000;
const THREADS: usize = 8;

pub(crate) fn run(settings: &Settings) {
    let room = tempfile::tempdir_in(&settings.directory).expect("a directory");
    let rounds = if settings.is_quick { 2 } else { 5 };
    let (descriptors, threads) = descriptors_and_threads();
    let memory = resident_bytes();
    let start = Instant::now();
    let queues: Vec<Arc<Queue>> = (0..QUEUES)
        .map(|number| {
            let config = Config::disk(room.path().join(number.to_string()));
            Arc::new(Queue::open(config).expect("a new queue").0)
        })
        .collect();
    println!("{QUEUES} queues");
    println!("  opened in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let payload = Bytes::from(vec![7_u8; 1024]);
    let dirty = || {
        let start = Instant::now();
        for queue in &queues {
            queue.append_one(payload.clone()).expect("an append");
        }
        start.elapsed()
    };
    let mut appends = Vec::new();
    let mut one_by_one = Vec::new();
    let mut pooled = Vec::new();
    for _ in 0..rounds {
        appends.push(dirty());
        one_by_one.push(timed(|| {
            for queue in &queues {
                queue.flush(Flush::Disk).expect("a flush");
            }
        }));
    }
    let taken = descriptors_and_threads();
    let pool = IoPool::new(THREADS).expect("threads");
    for _ in 0..rounds {
        appends.push(dirty());
        pooled.push(timed(|| {
            assert!(
                pool.flush_all(&queues, Flush::Disk)
                    .iter()
                    .all(Result::is_ok)
            );
        }));
    }
    let (descriptors_now, threads_now) = taken;
    println!(
        "  {:.2} descriptors and {:.1} KiB of memory each, {} threads in all",
        (descriptors_now - descriptors) as f64 / QUEUES as f64,
        (resident_bytes().saturating_sub(memory) >> 10) as f64 / QUEUES as f64,
        threads_now - threads
    );
    print("one append to each, Os", &mut appends);
    let one_by_one = print("flush cycle, one after the other", &mut one_by_one);
    let pooled = print("flush cycle, eight at a time", &mut pooled);
    wolff_benches::print_ratio(
        "replayq_flush_cycle_pool_vs_one_by_one",
        one_by_one / pooled,
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Returns the median in seconds.
fn print(name: &'static str, times: &mut [Duration]) -> f64 {
    let outcome = outcome(name, times);
    let per_queue = |time: Duration| time.as_secs_f64() * 1e6 / QUEUES as f64;
    println!(
        "  {:<34} {:>9.1} ms, {:.1} µs a queue ({:.1} … {:.1})",
        name,
        outcome.median.as_secs_f64() * 1e3,
        per_queue(outcome.median),
        per_queue(outcome.min),
        per_queue(outcome.max)
    );
    outcome.median.as_secs_f64()
}
