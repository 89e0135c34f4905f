//! One turn of a contender, in a process of its own.

mod raw_file;
pub mod rdkafka;
mod rskafka;
mod wolff;
mod wolff_client;

use std::time::{Duration, Instant};

use crate::Failure;
use crate::affinity;
use crate::job::{Contender, Job, Measurement};
use crate::latency::Latencies;

/// Longest time that a producer may take to get the last acknowledgements.
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
        Contender::WolffClient => wolff_client::run(job),
        Contender::Rdkafka => rdkafka::run(job),
        Contender::Rskafka => rskafka::run_by_hand(job),
        Contender::RskafkaBatch => rskafka::run_batch_producer(job),
        Contender::RawFile => raw_file::run(job),
    }
}

/// Does the job at its pace, in this process, and tells how long records took.
///
/// # Errors
/// Anything but every record acknowledged, or a contender that is not made for single records.
pub fn run_paced(job: &Job) -> Result<Latencies, Failure> {
    if let Some(core) = job.core {
        affinity::pin_to(core)?;
    }
    match job.contender {
        Contender::Wolff => wolff::run_paced(job),
        Contender::Rdkafka => rdkafka::run_paced(job),
        Contender::Rskafka => rskafka::run_paced(job),
        Contender::WolffClient | Contender::RskafkaBatch | Contender::RawFile => {
            Err("it is not made for single records".into())
        }
    }
}

/// Takes the time of the measured part.
struct Clock {
    start: Instant,
    cpu_before: Duration,
    broker_pid: u32,
    broker_cpu_before: Duration,
}

impl Clock {
    fn start(job: &Job) -> Result<Self, Failure> {
        Ok(Self {
            broker_pid: job.broker_pid,
            broker_cpu_before: affinity::cpu_time_of(job.broker_pid)?,
            cpu_before: affinity::cpu_time_of_process(),
            start: Instant::now(),
        })
    }

    fn stop(self, records: usize) -> Result<Measurement, Failure> {
        let wall = self.start.elapsed();
        let cpu = affinity::cpu_time_of_process().saturating_sub(self.cpu_before);
        let broker_cpu =
            affinity::cpu_time_of(self.broker_pid)?.saturating_sub(self.broker_cpu_before);
        Ok(Measurement {
            records,
            wall,
            cpu,
            broker_cpu: Some(broker_cpu),
            peak_memory_kib: affinity::peak_memory_kib(),
        })
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
