//! The threads that do file I/O and compress: never the async workers, never the callers.
//!
//! One small pool serves all queues of the process. A job is scheduled at most once at a time by its owner, so that the work
//! of one queue stays in order.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Something that an I/O thread runs.
pub(crate) trait Job: Send + Sync {
    /// Does what there is to do, and returns.
    fn run(self: Arc<Self>);
}

/// How long a job waits that is not urgent.
const LATER: Duration = Duration::from_millis(1);

/// The pool. Its threads end with the process.
pub(crate) struct IoPool {
    jobs: Mutex<Jobs>,
    ready: Condvar,
}

#[derive(Default)]
struct Jobs {
    ready: VecDeque<Arc<dyn Job>>,
    /// In order of their time, since all of them wait equally long.
    later: VecDeque<(Instant, Arc<dyn Job>)>,
    /// A thread waits for the time of the first of these.
    is_timed: bool,
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
        self.jobs.lock().ready.push_back(job);
        self.ready.notify_one();
    }

    /// The same for a job that is the better the more it finds to do: it is run in a moment.
    pub(crate) fn schedule_later(&self, job: Arc<dyn Job>) {
        let is_timed = {
            let mut jobs = self.jobs.lock();
            jobs.later.push_back((Instant::now() + LATER, job));
            jobs.is_timed
        };
        if !is_timed {
            self.ready.notify_one();
        }
    }

    fn work(&self) {
        loop {
            let job = self.next_job();
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run())).is_err() {
                tracing::error!("an I/O job panicked; its queue stands still");
            }
        }
    }

    fn next_job(&self) -> Arc<dyn Job> {
        let mut jobs = self.jobs.lock();
        let job = loop {
            if let Some(job) = jobs.ready.pop_front() {
                break job;
            }
            match jobs.later.front().map(|(at, _)| *at) {
                Some(at) if at <= Instant::now() => {
                    if let Some((_, job)) = jobs.later.pop_front() {
                        break job;
                    }
                }
                Some(at) if !jobs.is_timed => {
                    jobs.is_timed = true;
                    self.ready.wait_until(&mut jobs, at);
                    jobs.is_timed = false;
                }
                _ => self.ready.wait(&mut jobs),
            }
        };
        if !jobs.is_timed && !jobs.later.is_empty() {
            // Somebody else has to look at the clock while this thread works.
            self.ready.notify_one();
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Tell(&'static str, Sender<(&'static str, Instant)>);

    impl Job for Tell {
        fn run(self: Arc<Self>) {
            self.1.send((self.0, Instant::now())).unwrap();
        }
    }

    #[test]
    fn a_job_that_can_wait_is_run_in_a_moment_and_others_before_it() {
        let (sender, runs) = channel();
        let pool = IoPool::shared();
        let start = Instant::now();
        pool.schedule_later(Arc::new(Tell("later", sender.clone())));
        pool.schedule_later(Arc::new(Tell("later still", sender.clone())));
        pool.schedule(Arc::new(Tell("now", sender)));
        let mut seen: Vec<_> = runs.into_iter().collect();
        seen.sort_by_key(|(name, _)| *name);
        let [(_, later), (_, later_still), (_, _)] = seen.as_slice() else {
            panic!("each is run once: {seen:?}");
        };
        assert!(*later >= start + LATER && *later_still >= start + LATER);
    }
}
