//! Child processes: how they end, and what they cost.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Failure;

/// Ticks of the kernel's process accounting in a second, as every Linux shows them to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Kills the child when dropped, unless it has ended.
#[derive(Debug)]
pub(crate) struct KilledOnDrop(pub(crate) Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a program went that was run to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// User and system, in steps of 10 ms.
    pub(crate) cpu: Duration,
}

/// Runs a program to its end; anything but success is a failure.
pub(crate) fn run_to_end(command: &mut Command) -> Result<Cost, Failure> {
    let start = Instant::now();
    let mut child = KilledOnDrop(
        command
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?,
    );
    let pid = Pid::from_child(&child.0);
    // Its CPU time can be read as long as it has ended and nobody has asked for its status.
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )?;
    let wall = start.elapsed();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.0.id()))?;
    let cpu = cpu_time_in(&stat).ok_or("cannot read the CPU time of a child process")?;
    let status = child.0.wait()?;
    if status.success() {
        Ok(Cost { wall, cpu })
    } else {
        Err(format!("{command:?} failed ({status})").into())
    }
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc(5)); the second field, the name, may contain anything up to the last `)`.
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
