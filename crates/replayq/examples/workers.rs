//! A queue of jobs with several worker threads, one of which cannot do its first job.
//!
//! ```text
//! cargo run -p replayq --example workers -- /tmp/jobs 100
//! ```
//!
//! Each worker waits for a job, does it and acks it. What a worker had when it panicked is released
//! by its guard and goes to another one. Run it again after killing it: what was not acked is done
//! then.
#![allow(clippy::disallowed_methods, reason = "examples run in the real world")]

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use replayq::{Bytes, Config, PopLimits, Queue, ReadError};

const WORKERS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(jobs)) = (arguments.next(), arguments.next()) else {
        return Err("usage: workers DIRECTORY JOBS".into());
    };
    let jobs: u64 = jobs.parse()?;
    let (queue, recovery) = Queue::open(Config::disk(directory))?;
    println!("{} jobs were left by an earlier run", recovery.items);
    let done = AtomicU64::new(0);
    let all = recovery.items.saturating_add(jobs);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (queue, done) = (&queue, &done);
            scope.spawn(move || {
                // A worker that panics is replaced.
                let mut fails_once = worker == 0;
                while thread::scope(|scope| {
                    let fails = std::mem::take(&mut fails_once);
                    scope
                        .spawn(move || work(queue, done, all, fails))
                        .join()
                        .is_err()
                }) {
                    println!("worker {worker} has panicked, and is replaced");
                }
            });
        }
        for job in 1..=jobs {
            queue.append_one(Bytes::from(format!("job {job}")))?;
        }
        Ok::<_, replayq::AppendError>(())
    })?;
    println!("{} jobs are done", done.load(Ordering::SeqCst));
    Ok(queue.close()?)
}

/// Works until all jobs are done.
fn work(queue: &Queue, done: &AtomicU64, all: u64, fails: bool) {
    while done.load(Ordering::SeqCst) < all {
        let job = match queue.lease_wait(PopLimits::items(1), Duration::from_millis(100)) {
            Ok(Some(job)) => job,
            Ok(None) => continue,
            Err(ReadError::Closed) => return,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        assert!(!fails, "cannot do {:?}", job.items);
        match job.ack() {
            Ok(()) => {
                done.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => eprintln!("{error}"),
        }
    }
}
