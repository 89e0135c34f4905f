//! Processes that outlive this one: start, find again, signal.

use crate::failure::{Context as _, Failure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Interval at which a process is looked at while waiting for it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Activity of a process that was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Activity {
    /// It runs.
    Running,
    /// It is stopped by a signal and can be continued.
    Paused,
}

/// A process known by a pid file.
///
/// A pid alone proves nothing, as the system uses it again. The process counts only while `mark`, a
/// word of its command line that no other process has, stands in `/proc/<pid>/cmdline`.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    pid_file: PathBuf,
    mark: String,
}

impl Daemon {
    /// The process that `pid_file` names, if its command line contains `mark`.
    pub(crate) fn new(pid_file: PathBuf, mark: String) -> Self {
        Self { pid_file, mark }
    }

    /// Starts it in a process group of its own, so that Ctrl-C here does not reach it. Its output
    /// goes to the end of `log`.
    pub(crate) fn spawn(&self, command: &mut Command, log: &Path) -> Result<(), Failure> {
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .context(log.display())?;
        let same_file = log_file.try_clone().context(log.display())?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log_file)
            .stderr(same_file)
            .process_group(0)
            .spawn()
            .context(format!(
                "cannot run `{}`",
                command.get_program().to_string_lossy()
            ))?;
        fs::write(&self.pid_file, child.id().to_string()).context(self.pid_file.display())?;
        // A new program's command line is empty for a moment; until then the process would look
        // dead.
        while self.pid().is_none()
            && child
                .try_wait()
                .context("cannot wait for the new process")?
                .is_none()
        {
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Its process id, while it is alive.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let pid: i32 = fs::read_to_string(&self.pid_file)
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_ours = command_line
            .split(|byte| *byte == 0)
            .any(|word| word == self.mark.as_bytes());
        if is_ours { Pid::from_raw(pid) } else { None }
    }

    /// Its activity; `None` when it is dead.
    pub(crate) fn activity(&self) -> Option<Activity> {
        let pid = self.pid()?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The name in parentheses may hold anything; the state is the first word behind it.
        let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
        Some(match state {
            'T' | 't' => Activity::Paused,
            _ => Activity::Running,
        })
    }

    /// Sends a signal; `false` when the process is dead.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        self.pid()
            .is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Waits until it is dead; `false` when it still lives after `patience`.
    pub(crate) fn wait_until_dead(&self, patience: Duration) -> bool {
        let deadline = Instant::now().checked_add(patience);
        while self.pid().is_some() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path, seconds: &str) -> Daemon {
        let daemon = Daemon::new(directory.join("pid"), seconds.to_owned());
        daemon
            .spawn(Command::new("sleep").arg(seconds), &directory.join("log"))
            .unwrap();
        daemon
    }

    #[test]
    fn a_daemon_is_found_paused_continued_and_killed() {
        let directory = tempfile::tempdir().unwrap();
        let daemon = sleeper(directory.path(), "3600.125");
        assert!(daemon.signal(Signal::STOP));
        while daemon.activity() != Some(Activity::Paused) {
            thread::yield_now();
        }
        assert!(daemon.signal(Signal::CONT));
        assert!(daemon.signal(Signal::KILL));
        assert!(daemon.wait_until_dead(Duration::from_secs(10)));
        assert_eq!(daemon.activity(), None);
        assert!(!daemon.signal(Signal::KILL));
    }

    #[test]
    fn a_process_that_took_over_the_pid_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        fs::write(&pid_file, std::process::id().to_string()).unwrap();
        assert_eq!(
            Daemon::new(pid_file, "server.properties of a node".into()).pid(),
            None
        );
    }
}
