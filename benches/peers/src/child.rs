//! Child processes: how they end, and what they cost.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Failure;
use crate::affinity::cpu_time_of;

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

/// Result of a program that was run to its end.
#[derive(Clone, Copy, Debug)]
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
    let cpu = cpu_time_of(child.0.id())?;
    let status = child.0.wait()?;
    if status.success() {
        Ok(Cost { wall, cpu })
    } else {
        Err(format!("{command:?} failed ({status})").into())
    }
}
