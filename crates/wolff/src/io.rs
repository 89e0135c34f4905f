//! The threads that do file I/O and compress: never the async workers, never the callers.
//!
//! One small pool serves all queues of the process. A job is scheduled at most once at a time by its owner, so that the work
//! of one queue stays in order.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use replayq::{IoPool, Job};

/// How long a job waits that is not urgent.
const LATER: Duration = Duration::from_millis(1);

/// The pool of this process; its threads are started at the first use, and end with the process.
fn pool() -> Option<&'static IoPool> {
    static POOL: OnceLock<IoPool> = OnceLock::new();
    if let Some(pool) = POOL.get() {
        return Some(pool);
    }
    let threads = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(2, 8);
    match IoPool::named("wolff-io", threads) {
        Ok(pool) => Some(POOL.get_or_init(|| pool)),
        Err(error) => {
            tracing::error!(%error, "cannot start an I/O thread; its queue stands still");
            None
        }
    }
}

/// Hands a job to the threads.
pub(crate) fn schedule(job: Arc<dyn Job>) {
    if let Some(pool) = pool() {
        pool.schedule(job);
    }
}

/// The same for a job that is the better the more it finds to do: it is run in a moment.
pub(crate) fn schedule_later(job: Arc<dyn Job>) {
    if let Some(pool) = pool() {
        pool.schedule_after(LATER, job);
    }
}
