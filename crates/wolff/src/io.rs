//! The threads that do file I/O and compress: never the async workers, never the callers.
//!
//! One small pool serves all queues of the process. A job is scheduled at most once at a time by its owner, so that the work
//! of one queue stays in order.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};

/// Something that an I/O thread runs.
pub(crate) trait Job: Send + Sync {
    /// Does what there is to do, and returns.
    fn run(self: Arc<Self>);
}

/// The pool. Its threads end with the process.
pub(crate) struct IoPool {
    jobs: Mutex<VecDeque<Arc<dyn Job>>>,
    ready: Condvar,
}

impl IoPool {
    /// The pool of this process; its threads are started at the first use.
    pub(crate) fn shared() -> &'static Self {
        static POOL: OnceLock<&'static IoPool> = OnceLock::new();
        POOL.get_or_init(|| {
            let pool: &'static Self = Box::leak(Box::new(Self {
                jobs: Mutex::default(),
                ready: Condvar::new(),
            }));
            let threads = std::thread::available_parallelism()
                .map_or(2, usize::from)
                .clamp(2, 8);
            for number in 0..threads {
                let started = std::thread::Builder::new()
                    .name(format!("wolff-io-{number}"))
                    .spawn(move || pool.work());
                if let Err(error) = started {
                    tracing::error!(%error, number, "cannot start an I/O thread");
                }
            }
            pool
        })
    }

    /// Hands a job to the threads.
    pub(crate) fn schedule(&self, job: Arc<dyn Job>) {
        self.jobs.lock().push_back(job);
        self.ready.notify_one();
    }

    fn work(&self) {
        loop {
            let job = {
                let mut jobs = self.jobs.lock();
                loop {
                    match jobs.pop_front() {
                        Some(job) => break job,
                        None => self.ready.wait(&mut jobs),
                    }
                }
            };
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run())).is_err() {
                tracing::error!("an I/O job panicked; its queue stands still");
            }
        }
    }
}
