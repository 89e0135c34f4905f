//! The process that produces.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wolff_real_cluster::report::Seen;

use crate::nodes::in_time;

/// A run of `wolff-numbered`. Dropped, it is killed.
pub(crate) struct Child {
    pub(crate) run: u32,
    process: Process,
    /// Held open: the child goes on until it ends.
    input: Option<ChildStdin>,
    seen: watch::Receiver<Seen>,
    reading: JoinHandle<()>,
}

/// Where it produces to, and from.
pub(crate) struct Scene<'a> {
    pub(crate) brokers: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partitions: i32,
    pub(crate) queue_dir: &'a Path,
}

impl Child {
    /// Starts a run.
    pub(crate) fn start(scene: &Scene<'_>, run: u32, further: &[&str]) -> Self {
        let program = Command::new(env!("CARGO_BIN_EXE_wolff-numbered"));
        Self::spawn(program, scene, run, further)
    }

    /// Starts a run that is killed when it enters a system call of this name for the `nth` time.
    pub(crate) fn start_to_die(
        scene: &Scene<'_>,
        run: u32,
        further: &[&str],
        (call, nth): (&str, u64),
    ) -> Self {
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qqq", "-o", "/dev/null"])
            .args(["-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:signal=KILL:when={nth}")])
            .arg(env!("CARGO_BIN_EXE_wolff-numbered"));
        Self::spawn(strace, scene, run, further)
    }

    fn spawn(mut command: Command, scene: &Scene<'_>, run: u32, further: &[&str]) -> Self {
        let mut process = command
            .args(["--brokers", scene.brokers, "--topic", scene.topic])
            .args(["--partitions", &scene.partitions.to_string()])
            .arg("--queue-dir")
            .arg(scene.queue_dir)
            .args(["--run", &run.to_string()])
            .args(further)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let (sender, seen) = watch::channel(Seen::default());
        let reading = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            // What the killed process wrote is in the pipe, and is read to its end.
            while let Some(line) = lines.next_line().await.unwrap() {
                sender.send_modify(|seen| seen.add(&line));
            }
        });
        Self {
            run,
            input: process.stdin.take(),
            process,
            seen,
            reading,
        }
    }

    /// Waits until its reports are so. Fails if it ends before.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl FnMut(&Seen) -> bool) -> Seen {
        let seen = in_time(self.seen.wait_for(is_so)).await;
        assert!(seen.is_ok(), "run {} ended before {what}", self.run);
        seen.unwrap().clone()
    }

    /// Waits for its end, or until its reports are so. Returns whether it has ended.
    pub(crate) async fn until_end_or(&mut self, is_so: impl FnMut(&Seen) -> bool) -> bool {
        in_time(self.seen.wait_for(is_so)).await.is_err()
    }

    /// Waits until records of every partition are acknowledged that were not yet accepted.
    pub(crate) async fn flows(&mut self) {
        let accepted = self.seen.borrow().accepted.clone();
        self.until("it flowed", |seen| {
            let is_beyond = |(index, before)| seen.acked.get(index).is_some_and(|now| now > before);
            seen.accepted.len() >= accepted.len() && accepted.iter().enumerate().all(is_beyond)
        })
        .await;
    }

    /// Has it stop, and does not wait.
    pub(crate) fn stop(&mut self) {
        self.input = None;
    }

    /// Kills it with SIGKILL. Returns what it reported before.
    pub(crate) async fn kill(mut self) -> Seen {
        self.process.start_kill().unwrap();
        self.ended().await.1
    }

    /// Waits for its own end, which must be a clean one. Returns what it reported.
    pub(crate) async fn stopped(mut self) -> Seen {
        self.stop();
        let (run, (status, seen)) = (self.run, self.ended().await);
        assert!(status.success(), "run {run}: {status}");
        let wrong = seen.check_sums();
        assert!(wrong.is_empty(), "run {run}: {wrong:?}\n{seen:#?}");
        seen
    }

    /// Waits for its end, of whatever kind.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Seen) {
        let status = in_time(self.process.wait()).await.unwrap();
        in_time(self.reading).await.unwrap();
        let seen = self.seen.borrow().clone();
        (status, seen)
    }
}
