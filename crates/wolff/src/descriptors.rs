//! Descriptors of this process: where the files of a queue get none, others give up theirs.
//!
//! Each partition has a connection of its own while there are enough descriptors, and a drained
//! queue keeps its last segments. Where descriptors run out, a queue that cannot open its next
//! segment would wait for ever for those which nobody needs.

use std::error::Error;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wolff_client::Client;

use crate::clock;

/// `ENFILE` and `EMFILE`, which have no kind of their own.
const OUT_OF_DESCRIPTORS: [i32; 2] = [23, 24];

/// Least time between two attempts to free some: each looks at all queues.
const PAUSE: Duration = Duration::from_millis(200);

/// A queue whose files can be closed while nothing waits in it.
pub(crate) trait Trim: Send + Sync {
    /// Closes them, if nothing does.
    fn trim(&self);
}

/// Everything of a topic that descriptors can be had from.
pub(crate) struct Descriptors {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: Vec<Weak<dyn Trim>>,
    last_attempt: Option<Instant>,
}

impl Descriptors {
    pub(crate) fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            state: Mutex::default(),
        })
    }

    /// Adds a queue on disk.
    pub(crate) fn add(&self, queue: Weak<dyn Trim>) {
        self.state.lock().queues.push(queue);
    }

    /// Work on a local queue failed. Where that was for want of descriptors, some are freed for
    /// the next attempt.
    pub(crate) fn handle_failure(&self, error: &(dyn Error + 'static)) {
        if !is_out_of_descriptors(error) {
            return;
        }
        let Some(queues) = self.attempt(clock::now()) else {
            return;
        };
        let connections = self.client.free_descriptors();
        for queue in queues {
            queue.trim();
        }
        tracing::warn!(
            connections,
            "too few descriptors for the files of queues: those of drained queues are closed, and of \
             connections, whose partitions share the others for 30 seconds; raise the limit of open \
             files (ulimit -n)"
        );
    }

    /// The queues, where another attempt is due.
    fn attempt(&self, now: Instant) -> Option<Vec<Arc<dyn Trim>>> {
        let mut state = self.state.lock();
        if state.last_attempt.is_some_and(|last| now < last + PAUSE) {
            return None;
        }
        state.last_attempt = Some(now);
        state.queues.retain(|queue| queue.strong_count() > 0);
        Some(state.queues.iter().filter_map(Weak::upgrade).collect())
    }
}

/// Returns whether that is the cause.
fn is_out_of_descriptors(error: &(dyn Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .filter_map(io::Error::raw_os_error)
        .any(|code| cfg!(unix) && OUT_OF_DESCRIPTORS.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StartError;

    #[test]
    fn the_cause_is_found_behind_the_errors_of_the_queue() {
        let failure = |code| StartError::Directory {
            path: "/q".into(),
            source: io::Error::from_raw_os_error(code),
        };
        assert!(is_out_of_descriptors(&failure(24)));
        assert!(is_out_of_descriptors(&failure(23)));
        assert!(
            !is_out_of_descriptors(&failure(28)),
            "a full disk is another matter"
        );
    }
}
