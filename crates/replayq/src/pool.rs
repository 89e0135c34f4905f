//! A few threads that do the blocking work of many queues.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use crate::error::FlushError;
use crate::queue::Queue;

/// So many jobs may wait for a thread; who submits another one waits too.
const MOST_WAITING: usize = 4096;

type Job = Box<dyn FnOnce() + Send>;

/// Threads for those who must not block, and for work on many queues in parallel. Queues do not need it: all their calls may be made from any thread.
///
/// Dropping the pool waits until everything that was submitted is done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use replayq::{Config, IoPool, Queue};
///
/// let room = tempfile::tempdir()?;
/// let queues: Vec<Arc<Queue>> = (0..10)
///     .map(|number| Queue::open(Config::disk(room.path().join(number.to_string()))))
///     .map(|opened| opened.map(|(queue, _)| Arc::new(queue)))
///     .collect::<Result<_, _>>()?;
///
/// let pool = IoPool::new(4)?;
/// for queue in queues.clone() {
///     pool.submit(move || {
///         let _answer = queue.append_one("an item".into());
///     });
/// }
/// // Syncs that are under way at the same time share the disk's work.
/// assert!(pool.flush_all(&queues).iter().all(Result::is_ok));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct IoPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    /// There is a job, or an end.
    ready: Condvar,
    /// There is room for another job.
    room: Condvar,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    is_over: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("waiting", &self.line.lock().jobs.len())
            .finish()
    }
}

impl IoPool {
    /// A pool of so many threads, one at least.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let mut pool = Self {
            shared: Arc::default(),
            threads: Vec::new(),
        };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            pool.threads.push(
                std::thread::Builder::new()
                    .name(format!("replayq-io-{number}"))
                    .spawn(move || shared.work())?,
            );
        }
        Ok(pool)
    }

    /// Hands a job to the threads; jobs are begun in the order in which they come. A job must not submit another one to the same pool and wait for it. One
    /// that panics ends, and its thread goes on.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let mut line = self.shared.line.lock();
        self.shared
            .room
            .wait_while(&mut line, |line| line.jobs.len() >= MOST_WAITING);
        line.jobs.push_back(Box::new(job));
        drop(line);
        self.shared.ready.notify_one();
    }

    /// Flushes all of the queues, several at a time, and waits for it; the results are in their order.
    pub fn flush_all(&self, queues: &[Arc<Queue>]) -> Vec<Result<(), FlushError>> {
        let (sender, receiver) = std::sync::mpsc::channel();
        for (index, queue) in queues.iter().enumerate() {
            let (sender, queue) = (sender.clone(), Arc::clone(queue));
            self.submit(move || {
                // Nobody hears it only if the caller is gone.
                let _heard = sender.send((index, queue.flush()));
            });
        }
        drop(sender);
        let mut results: Vec<Result<(), FlushError>> =
            queues.iter().map(|_| Err(FlushError::Closed)).collect();
        for (index, result) in receiver {
            if let Some(place) = results.get_mut(index) {
                *place = result;
            }
        }
        results
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let job = {
                let mut line = self.line.lock();
                self.ready
                    .wait_while(&mut line, |line| line.jobs.is_empty() && !line.is_over);
                line.jobs.pop_front()
            };
            let Some(job) = job else { return };
            self.room.notify_one();
            let _panicked = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

impl Drop for IoPool {
    fn drop(&mut self) {
        self.shared.line.lock().is_over = true;
        self.shared.ready.notify_all();
        let own = std::thread::current().id();
        for thread in self.threads.drain(..) {
            // The last owner may be a job: its thread cannot wait for itself.
            if thread.thread().id() != own {
                let _panicked = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everything_that_was_submitted_is_done_when_the_pool_is_gone() {
        let done = Arc::new(AtomicUsize::new(0));
        let pool = IoPool::new(3).unwrap();
        for number in 0..10_000 {
            let done = Arc::clone(&done);
            pool.submit(move || {
                done.fetch_add(1, Ordering::SeqCst);
                assert!(
                    number % 1000 != 7,
                    "a job that panics takes no other one with it"
                );
            });
        }
        drop(pool);
        assert_eq!(done.load(Ordering::SeqCst), 10_000);
    }
}
