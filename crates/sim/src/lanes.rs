//! The producer's I/O lanes as tasks of the run's own thread.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use replayq::Job;
use tokio::time::sleep;
use wolff::Executor;
use wolff_backoff::Random;

/// The longest that a job waits for its turn, in microseconds.
const LONGEST_WAIT_US: u64 = 3_000;

/// Runs each job in a task of its own, after a while that is drawn from a seed.
pub(crate) struct TaskLanes {
    random: Mutex<Random>,
}

impl TaskLanes {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random: Mutex::new(random),
        }
    }

    fn spawn(&self, job: Arc<dyn Job>, at_least_us: u64) {
        let wait = {
            let mut random = self.random.lock();
            // Half of the jobs find a thread at once.
            match random.below(2) {
                0 => 0,
                _ => random.below(LONGEST_WAIT_US),
            }
        };
        let wait = Duration::from_micros(at_least_us + wait);
        drop(tokio::spawn(async move {
            if !wait.is_zero() {
                sleep(wait).await;
            }
            job.run();
        }));
    }
}

impl Executor for TaskLanes {
    fn run(&self, job: Arc<dyn Job>) {
        self.spawn(job, 0);
    }

    fn run_later(&self, job: Arc<dyn Job>) {
        self.spawn(job, 1_000);
    }
}
