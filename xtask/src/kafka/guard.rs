//! A cluster that is stopped when its user ends, however that happens: returned, interrupted, or killed.
//!
//! The guard is a small process in a process group of its own (so Ctrl-C does not reach it). It reads from a pipe that its
//! parent never writes to; the end of that pipe is the end of the parent.

use super::cluster::Cluster;
use crate::failure::{Context as _, Failure};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Stops a cluster when dropped, and also when this process dies before that.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
}

impl Guard {
    /// Watches over the cluster of this name from now on, whether it runs already or not.
    pub(crate) fn over(cluster: &str) -> Result<Self, Failure> {
        let this_program = std::env::current_exe().context("cannot find this program")?;
        let child = Command::new(this_program)
            .args(["kafka", "guard", "--cluster", cluster])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the guard of the cluster")?;
        Ok(Self { child })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("warning: the guard of the cluster cannot be waited for: {error}");
        }
    }
}

/// The guard's own work: waits for the end of standard input, then stops the cluster.
pub(crate) fn serve(cluster: &Cluster) -> Result<(), Failure> {
    io::copy(&mut io::stdin().lock(), &mut io::sink()).context("reading from the pipe")?;
    cluster.stop()
}
