//! A queue of jobs with several worker threads, one of which cannot do its first job.
//!
//! ```text
//! cargo run -p replayq --example workers -- /tmp/jobs 100
//! ```
//!
//! Each worker waits for a job, does it and acks it. What a worker had when it panicked is released
//! by its guard and goes to another one. When a call fails all workers end, and the error is
//! returned. Run it again after that, or after killing it: what was not acked is done then.
#![allow(clippy::disallowed_methods, reason = "examples run in the real world")]

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use replayq::{Bytes, Config, PopLimits, Queue, ReadError};

const WORKERS: usize = 4;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(jobs)) = (arguments.next(), arguments.next()) else {
        return Err("usage: workers DIRECTORY JOBS".into());
    };
    let jobs: u64 = jobs.parse()?;
    let (queue, recovery) = Queue::open(Config::disk(directory))?;
    println!("{} jobs were left by an earlier run", recovery.items);
    let done = run(&queue, recovery.items, jobs)?;
    println!("{done} jobs are done");
    Ok(queue.close()?)
}

/// Appends jobs, and has them and those that were left done. Returns how many that were.
pub(crate) fn run(queue: &Queue, left: u64, jobs: u64) -> Result<u64, Failure> {
    let progress = Progress {
        all: left.saturating_add(jobs),
        done: AtomicU64::new(0),
        has_failed: AtomicBool::new(false),
    };
    let progress = &progress;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || keep_working(queue, progress, worker)))
            .collect();
        // No `?` before the workers know: the scope waits for them on every way out.
        let mut outcome = progress.note(append(queue, progress, jobs));
        for worker in workers {
            let worked = worker.join().map_err(|_| "a worker was not replaced")?;
            outcome = outcome.and(worked);
        }
        outcome
    })?;
    Ok(progress.done.load(Ordering::SeqCst))
}

/// What all threads know.
struct Progress {
    all: u64,
    done: AtomicU64,
    /// A call has failed: nobody is to wait for the remaining jobs.
    has_failed: AtomicBool,
}

impl Progress {
    fn is_over(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst) || self.done.load(Ordering::SeqCst) >= self.all
    }

    /// Lets all threads end where this one has failed.
    fn note(&self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        if outcome.is_err() {
            self.has_failed.store(true, Ordering::SeqCst);
        }
        outcome
    }
}

fn append(queue: &Queue, progress: &Progress, jobs: u64) -> Result<(), Failure> {
    for job in 1..=jobs {
        if progress.is_over() {
            break;
        }
        queue.append_one(Bytes::from(format!("job {job}")))?;
    }
    Ok(())
}

/// Works, and replaces the worker when it panics.
fn keep_working(queue: &Queue, progress: &Progress, worker: usize) -> Result<(), Failure> {
    let mut fails_once = worker == 0;
    loop {
        let fails = std::mem::take(&mut fails_once);
        let ended = thread::scope(|scope| scope.spawn(move || work(queue, progress, fails)).join());
        match ended {
            Ok(outcome) => return progress.note(outcome),
            Err(_) => println!("worker {worker} has panicked, and is replaced"),
        }
    }
}

/// Works until all jobs are done, or a call fails.
fn work(queue: &Queue, progress: &Progress, fails: bool) -> Result<(), Failure> {
    while !progress.is_over() {
        let job = match queue.lease_wait(PopLimits::items(1), Duration::from_millis(100)) {
            Ok(Some(job)) => job,
            Ok(None) => continue,
            Err(ReadError::Closed) => break,
            Err(error) => return Err(error.into()),
        };
        assert!(!fails, "cannot do {:?}", job.items);
        job.ack()?;
        progress.done.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}
