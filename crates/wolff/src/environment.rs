//! The seams to the world: a simulator puts its own disk and threads in their place.

use std::sync::Arc;

use replayq::vfs::Vfs;

use crate::io::{Executor, Lanes};

/// What a producer takes from its surroundings beside the client: the file system of its queues, and
/// the threads for file I/O and compression. The default is the operating system's.
#[derive(Debug, Clone)]
pub struct Environment {
    vfs: Option<Arc<dyn Vfs>>,
    lanes: Lanes,
}

impl Environment {
    /// Has queues on disk use this file system.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// Has file I/O and compression done by this executor.
    #[must_use]
    pub fn executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.lanes = Lanes::of(executor);
        self
    }

    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes.clone()
    }

    /// The configuration of a queue on this file system.
    pub(crate) fn on_disk(&self, config: replayq::Config) -> replayq::Config {
        match &self.vfs {
            Some(vfs) => config.vfs(vfs.clone()),
            None => config,
        }
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            vfs: None,
            lanes: Lanes::of_process(),
        }
    }
}
