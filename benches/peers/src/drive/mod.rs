//! One turn of a contender, in a process of its own.

pub mod rdkafka;
mod rskafka;
mod wolff;

use std::time::{Duration, Instant};

use crate::Failure;
use crate::affinity;
use crate::job::{Contender, Job, Measurement};

/// How long a producer may take to get the last acknowledgements.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does the job, in this process.
///
/// # Errors
/// Anything but every record acknowledged.
pub fn run(job: &Job) -> Result<Measurement, Failure> {
    // Before any thread is started: threads inherit it.
    if let Some(core) = job.core {
        affinity::pin_to(core)?;
    }
    match job.contender {
        Contender::Wolff => wolff::run(job),
        Contender::Rdkafka => rdkafka::run(job),
        Contender::Rskafka => rskafka::run_by_hand(job),
        Contender::RskafkaBatch => rskafka::run_batch_producer(job),
    }
}

/// Takes the time of the measured part.
struct Clock {
    start: Instant,
    cpu_before: Duration,
}

impl Clock {
    fn start() -> Self {
        Self {
            cpu_before: affinity::cpu_time_of_process(),
            start: Instant::now(),
        }
    }

    fn stop(self, records: usize) -> Measurement {
        let wall = self.start.elapsed();
        Measurement {
            records,
            wall,
            cpu: affinity::cpu_time_of_process().saturating_sub(self.cpu_before),
        }
    }
}

/// The runtime of the contenders that need one.
fn runtime(job: &Job) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = match job.worker_threads {
        0 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    Ok(builder.enable_all().build()?)
}
