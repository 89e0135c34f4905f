//! Which core runs what, and how much CPU time a process has used.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Cores that this process may use, lowest first.
///
/// # Errors
/// The kernel does not say.
pub fn usable_cores() -> Result<Vec<usize>, Failure> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

/// Pins the calling thread, and all that it starts from now on, to one core.
///
/// # Errors
/// There is no such core.
pub fn pin_to(core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// CPU time of this process so far: user and system, all threads, those that have ended too.
#[must_use]
pub fn cpu_time_of_process() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
