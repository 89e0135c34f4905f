//! The threads that do file I/O and compress: never the async workers, never the callers.
//!
//! Two small pools serve all queues of the process: one appends, one reads back and compresses, so
//! that a large batch or a backlog never delays an append. A job is scheduled at most once at a
//! time by its owner, so that the work of one queue stays in order.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use replayq::{IoPool, Job};

/// Time for which a small fragment waits for others.
const LATER: Duration = Duration::from_millis(1);

/// Runs the jobs of queues somewhere; a simulator runs them in its own thread.
pub trait Executor: Send + Sync {
    /// Runs a job soon. One that appends is never to wait for one that leases.
    fn run(&self, job: Arc<dyn Job>);
    /// Runs a job in a moment: it is the better the more it finds to do.
    fn run_later(&self, job: Arc<dyn Job>);
}

/// Where the queues of a producer do their work.
#[derive(Clone)]
pub(crate) struct Lanes {
    appends: Arc<dyn Executor>,
    leases: Arc<dyn Executor>,
}

impl Lanes {
    /// The threads of this process.
    pub(crate) fn of_process() -> Self {
        static LANES: OnceLock<Lanes> = OnceLock::new();
        LANES
            .get_or_init(|| Self {
                appends: Arc::new(Threads::new("wolff-append")),
                leases: Arc::new(Threads::new("wolff-lease")),
            })
            .clone()
    }

    /// One executor for everything.
    pub(crate) fn of(executor: Arc<dyn Executor>) -> Self {
        Self {
            appends: executor.clone(),
            leases: executor,
        }
    }

    pub(crate) fn append(&self, job: Arc<dyn Job>) {
        self.appends.run(job);
    }

    pub(crate) fn append_later(&self, job: Arc<dyn Job>) {
        self.appends.run_later(job);
    }

    pub(crate) fn lease(&self, job: Arc<dyn Job>) {
        self.leases.run(job);
    }

    /// Runs a computation that would keep an async worker busy for too long. `None`: it panicked.
    pub(crate) async fn compute<R: Send + 'static>(
        &self,
        compute: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.leases.run(Arc::new(Once(Mutex::new(Some(move || {
            // The receiver may be gone.
            let _ = sender.send(compute());
        })))));
        receiver.await.ok()
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

/// A job that is run once.
struct Once<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Job for Once<F> {
    fn run(self: Arc<Self>) {
        let job = self.0.lock().take();
        if let Some(job) = job {
            job();
        }
    }
}

/// A pool whose threads are started at the first use, and end with the process.
struct Threads {
    name: &'static str,
    pool: OnceLock<IoPool>,
}

impl Threads {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            pool: OnceLock::new(),
        }
    }

    fn pool(&self) -> Option<&IoPool> {
        if let Some(pool) = self.pool.get() {
            return Some(pool);
        }
        let threads = std::thread::available_parallelism()
            .map_or(2, usize::from)
            .clamp(2, 8);
        match IoPool::named(self.name, threads) {
            Ok(pool) => Some(self.pool.get_or_init(|| pool)),
            Err(error) => {
                tracing::error!(%error, "cannot start an I/O thread: the caller does its work");
                None
            }
        }
    }
}

impl Executor for Threads {
    fn run(&self, job: Arc<dyn Job>) {
        match self.pool() {
            Some(pool) => pool.schedule(job),
            None => job.run(),
        }
    }

    fn run_later(&self, job: Arc<dyn Job>) {
        match self.pool() {
            Some(pool) => pool.schedule_after(LATER, job),
            None => job.run(),
        }
    }
}
