//! Which core runs what, and how much CPU time and memory a process has used.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Ticks of the kernel's process accounting in a second, as every Linux shows them to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Cores that this process may use, lowest first.
///
/// # Errors
/// The kernel does not say.
fn usable_cores() -> Result<Vec<usize>, Failure> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

/// A core for the client and one for the broker; neither where there is one core for both.
///
/// # Errors
/// The kernel does not say which cores there are.
pub fn two_cores() -> Result<(Option<usize>, Option<usize>), Failure> {
    match usable_cores()?.as_slice() {
        [] | [_] => {
            println!(
                "This machine has one core: nothing is pinned, and the broker's work slows the client."
            );
            Ok((None, None))
        }
        [first, second, ..] => Ok((Some(*second), Some(*first))),
    }
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

/// The most of this process that was in memory so far (`VmHWM`, proc(5)), KiB.
pub(crate) fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// CPU time of another process so far, user and system, in steps of 10 ms.
///
/// # Errors
/// There is no such process.
pub(crate) fn cpu_time_of(pid: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(cpu_time_in(&stat).ok_or("cannot read the CPU time of a process")?)
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc(5)); the second field, the name, may contain
/// anything up to the last `)`.
fn cpu_time_in(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Duration::try_from_secs_f64((user + system) / TICKS_PER_SECOND).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_time_in(stat), Some(Duration::from_secs(3)));
    }
}
