//! A few threads that do the blocking work of many queues.

use crate::sync::thread::{self, JoinHandle};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, mpsc};

use crate::config::Flush;
use crate::error::FlushError;
use crate::front::queue::Queue;

/// So many jobs may wait for a thread; who submits another one waits too.
const MOST_WAITING: usize = 4096;

/// The longest delay; no clock ends within this time.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Work that comes again and again, as that of one queue does. Its owner schedules it when there is
/// something to do and it is not scheduled yet: then it is done by one thread at a time and in
/// order, and waits in line once at most.
pub trait Job: Send + Sync {
    /// Does what there is to do, and returns.
    fn run(self: Arc<Self>);
}

/// Threads for those who must not block, and for work on many queues in parallel. Queues do not
/// need it: all their calls may be made from any thread.
///
/// Dropping the pool waits until everything that was submitted is done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use replayq::{Config, Flush, IoPool, Queue};
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
/// assert!(pool.flush_all(&queues, Flush::Disk).iter().all(Result::is_ok));
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
    ready: VecDeque<Task>,
    later: BinaryHeap<Appointment>,
    /// A thread waits for this moment.
    awaited: Option<Instant>,
    is_over: bool,
}

enum Task {
    Once(Box<dyn FnOnce() + Send>),
    Again(Arc<dyn Job>),
}

impl Task {
    fn run(self) {
        match self {
            Self::Once(job) => job(),
            Self::Again(job) => job.run(),
        }
    }
}

/// A job that is not to be run before its time.
struct Appointment {
    at: Instant,
    job: Arc<dyn Job>,
}

/// The earliest is the greatest: it is at the top of the heap.
impl Ord for Appointment {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Appointment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Appointment {}

impl PartialEq for Appointment {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pool is threads of the system, which wait by its clock"
)]
fn now() -> Instant {
    Instant::now()
}

impl Line {
    /// The next job of which the time has come. In the end all have.
    fn take(&mut self) -> Option<Task> {
        if let Some(task) = self.ready.pop_front() {
            return Some(task);
        }
        let at = self.later.peek()?.at;
        if !self.is_over && at > now() {
            return None;
        }
        self.later
            .pop()
            .map(|appointment| Task::Again(appointment.job))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("waiting", &self.line.lock().ready.len())
            .finish_non_exhaustive()
    }
}

impl IoPool {
    /// A pool of so many threads, one at least.
    ///
    /// # Errors
    /// The system gives no thread at all; with fewer than were asked for the pool works all the
    /// same.
    pub fn new(threads: usize) -> io::Result<Self> {
        Self::named("replayq-io", threads)
    }

    /// A pool whose threads have this name, and a number.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn named(name: &str, threads: usize) -> io::Result<Self> {
        let mut pool = Self {
            shared: Arc::default(),
            threads: Vec::new(),
        };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || shared.work());
            match thread {
                Ok(thread) => pool.threads.push(thread),
                Err(error) if pool.threads.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(pool)
    }

    /// The number of threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Submits a job to the threads; jobs are begun in the order in which they come. A job must not
    /// submit another one to the same pool and wait for it. One that panics ends, and its thread
    /// goes on.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) {
        let mut line = self.shared.line.lock();
        self.shared
            .room
            .wait_while(&mut line, |line| line.ready.len() >= MOST_WAITING);
        line.ready.push_back(Task::Once(Box::new(job)));
        drop(line);
        self.shared.ready.notify_one();
    }

    /// The same for a job that comes again. Never waits.
    pub fn schedule(&self, job: Arc<dyn Job>) {
        self.shared.line.lock().ready.push_back(Task::Again(job));
        self.shared.ready.notify_one();
    }

    /// The same for a job that is the better the more it finds to do: it is run after a while, or
    /// when the pool is dropped.
    pub fn schedule_after(&self, delay: Duration, job: Arc<dyn Job>) {
        let at = now() + delay.min(LONGEST_DELAY);
        let is_awaited = {
            let mut line = self.shared.line.lock();
            line.later.push(Appointment { at, job });
            line.awaited.is_some_and(|awaited| awaited <= at)
        };
        if !is_awaited {
            self.shared.ready.notify_one();
        }
    }

    /// Flushes all of the queues as [`Queue::flush`] does, several at a time, and waits for it; the
    /// results are in their order.
    pub fn flush_all(&self, queues: &[Arc<Queue>], level: Flush) -> Vec<Result<(), FlushError>> {
        let (sender, receiver) = mpsc::channel();
        for (index, queue) in queues.iter().enumerate() {
            let (sender, queue) = (sender.clone(), Arc::clone(queue));
            self.submit(move || {
                // It is not received only if the caller is gone.
                let _heard = sender.send((index, queue.flush(level)));
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
        while let Some(task) = self.next() {
            self.room.notify_one();
            let _panicked = catch_unwind(AssertUnwindSafe(|| task.run()));
        }
    }

    /// Waits for the next job; none: the pool is over.
    fn next(&self) -> Option<Task> {
        let mut line = self.line.lock();
        let task = loop {
            if let Some(task) = line.take() {
                break task;
            }
            if line.is_over {
                return None;
            }
            match line.later.peek().map(|appointment| appointment.at) {
                Some(at) if line.awaited.is_none_or(|awaited| at < awaited) => {
                    line.awaited = Some(at);
                    self.ready.wait_until(&mut line, at);
                    line.awaited = None;
                }
                _ => self.ready.wait(&mut line),
            }
        };
        if line.awaited.is_none() && !line.later.is_empty() {
            // Another thread must look at the clock while this one works.
            self.ready.notify_one();
        }
        Some(task)
    }
}

impl Drop for IoPool {
    fn drop(&mut self) {
        self.shared.line.lock().is_over = true;
        self.shared.ready.notify_all();
        let own = thread::current().id();
        for thread in self.threads.drain(..) {
            // The last owner may be a job: its thread cannot wait for itself.
            if thread.thread().id() != own {
                let _panicked = thread.join();
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

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

    struct Tell(&'static str, Sender<(&'static str, Instant)>);

    impl Job for Tell {
        fn run(self: Arc<Self>) {
            self.1.send((self.0, Instant::now())).unwrap();
        }
    }

    #[test]
    fn a_job_that_can_wait_is_run_when_its_time_has_come_whatever_came_before_it() {
        const SOON: Duration = Duration::from_millis(5);
        let (sender, runs) = channel();
        let pool = IoPool::new(2).unwrap();
        assert_eq!(pool.threads(), 2);
        let start = Instant::now();
        let tell = |name| Arc::new(Tell(name, sender.clone()));
        pool.schedule_after(Duration::from_secs(3600), tell("not today"));
        pool.schedule_after(SOON * 2, tell("later"));
        pool.schedule_after(SOON, tell("soon"));
        pool.schedule(tell("now"));
        let mut seen: Vec<_> = (0..3).map(|_| runs.recv().unwrap()).collect();
        seen.sort_by_key(|(name, _)| *name);
        let [(_, later), ("now", _), (_, soon)] = seen.as_slice() else {
            panic!("each is run once: {seen:?}");
        };
        assert!(*soon >= start + SOON && *later >= start + SOON * 2);
        drop(pool);
        assert_eq!(runs.try_recv().unwrap().0, "not today");
    }
}
