//! Events of a run, with its virtual time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The events of a run, in order. Clones write to the same trace.
#[derive(Clone, Debug)]
pub struct Trace {
    start: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    /// An empty trace, whose times count from now.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: Arc::default(),
        }
    }

    /// The virtual time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Adds an event.
    pub(crate) fn note(&self, event: fmt::Arguments<'_>) {
        let at = self.elapsed();
        (self.lines.lock()).push(format!("{:>9.3} ms  {event}", at.as_secs_f64() * 1_000.0));
    }

    /// All events, each a line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }
}
