//! The seams to the world: a simulator puts its own disk, threads, randomness and time of day in
//! their place. Decisions about time follow tokio's clock, which a paused runtime drives.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use replayq::vfs::Vfs;
use wolff_codec::PartitionId;

use crate::clock::WallClock;
use crate::directory::TopicDirectory;
use crate::io::{Executor, Lanes};
use crate::random::Randomness;

/// Surroundings of a producer beside the client: the file system of its queues,
/// the threads for file I/O and compression, random numbers and the time of day. The default is the
/// operating system's.
#[derive(Clone, Debug)]
pub struct Environment {
    vfs: Option<Arc<dyn Vfs>>,
    directories: Option<Directories>,
    lanes: Lanes,
    randomness: Randomness,
    wall_clock: WallClock,
}

impl Environment {
    /// Has queues on disk use this file system.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = Some(vfs);
        self
    }

    /// Looks for queues of previous runs there: the names of a directory's subdirectories that hold
    /// a queue. A file system that is not the operating system's needs it.
    #[must_use]
    pub fn directories(
        mut self,
        list: impl Fn(&Path) -> io::Result<Vec<String>> + Send + Sync + 'static,
    ) -> Self {
        self.directories = Some(Directories(Arc::new(list)));
        self
    }

    /// Has file I/O and compression done by this executor.
    #[must_use]
    pub fn executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.lanes = Lanes::of(executor);
        self
    }

    /// Draws all random numbers (partitions, the jitter of delays) from this seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.randomness = Randomness::from_seed(seed);
        self
    }

    /// Takes the time of records that bring none from there: milliseconds since the Unix epoch.
    /// Called for each call, under no lock.
    #[must_use]
    pub fn wall_clock(mut self, now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.wall_clock = WallClock::Given(Arc::new(now_ms));
        self
    }

    /// The next random number.
    #[inline]
    pub(crate) fn random(&self) -> u64 {
        self.randomness.next_u64()
    }

    pub(crate) fn clock(&self) -> WallClock {
        self.wall_clock.clone()
    }

    /// The partitions that have a queue on disk.
    pub(crate) fn partitions_in(&self, directory: &TopicDirectory) -> io::Result<Vec<PartitionId>> {
        let Some(Directories(list)) = &self.directories else {
            return directory.partitions();
        };
        let names = list(directory.path())?;
        let numbers = names.iter().filter_map(|name| name.parse().ok());
        Ok(numbers.map(PartitionId).collect())
    }

    /// Returns whether there is a queue of unrouted records on disk.
    pub(crate) fn has_unrouted(&self, directory: &TopicDirectory) -> bool {
        let unrouted = directory.unrouted();
        let Some(Directories(list)) = &self.directories else {
            return unrouted.exists();
        };
        let is_it = |name: &String| directory.path().join(name) == unrouted;
        list(directory.path()).is_ok_and(|names| names.iter().any(is_it))
    }

    /// Returns whether queues are in the operating system's file system.
    pub(crate) fn is_real_disk(&self) -> bool {
        self.vfs.is_none()
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
            directories: None,
            lanes: Lanes::of_process(),
            randomness: Randomness::default(),
            wall_clock: WallClock::default(),
        }
    }
}

/// Lists directories.
#[derive(Clone)]
struct Directories(Arc<ListDirectory>);

type ListDirectory = dyn Fn(&Path) -> io::Result<Vec<String>> + Send + Sync;

impl fmt::Debug for Directories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directories")
    }
}
