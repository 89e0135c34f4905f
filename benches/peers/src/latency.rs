//! Latency of single records, from the call that hands one over to the look at its acknowledgement.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::job::Job;

/// Result of a turn at a steady rate.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Latencies {
    /// Half of the records took no longer.
    pub p50: Duration,
    /// Of a hundred records 99 took no longer.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Latencies {
    /// Of these; `None` without any.
    #[must_use]
    fn of(mut taken: Vec<Duration>) -> Option<Self> {
        taken.sort_unstable();
        let last = taken.len().checked_sub(1)?;
        let at = |percent: usize| taken.get((taken.len() * percent / 100).min(last));
        Some(Self {
            p50: *at(50)?,
            p99: *at(99)?,
            max: *taken.last()?,
        })
    }
}

/// Hands over one record per `pace`, each when the one before has been acknowledged.
///
/// The thread sleeps in between, as one does that waits for its next event: no contender finds warm
/// what the one before it has just used.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: Duration,
    next: Instant,
    taken: Vec<Duration>,
}

impl Pacer {
    pub(crate) fn new(job: &Job) -> Self {
        Self {
            pace: job.pace,
            next: Instant::now(),
            taken: Vec::with_capacity(job.records),
        }
    }

    /// Waits for the next record's turn; returns when it began.
    pub(crate) fn wait(&mut self) -> Instant {
        self.next += self.pace;
        let now = Instant::now();
        match self.next.checked_duration_since(now) {
            Some(left) => std::thread::sleep(left),
            // Late: records that were missed are not made up for, or they would come in a bunch.
            None => self.next = now,
        }
        Instant::now()
    }

    /// The record that began then was acknowledged, and its sender knows.
    pub(crate) fn acknowledged(&mut self, began: Instant, at: Instant) {
        self.taken.push(at.saturating_duration_since(began));
    }

    /// The end of the warm-up.
    pub(crate) fn forget(&mut self) {
        self.taken.clear();
    }

    pub(crate) fn finish(self) -> Result<Latencies, Failure> {
        Ok(Latencies::of(self.taken).ok_or("no record was sent")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_figures() {
        let taken = (1..=200).rev().map(Duration::from_micros).collect();
        let found = Latencies::of(taken).unwrap();
        assert_eq!(found.p50, Duration::from_micros(101));
        assert_eq!(found.p99, Duration::from_micros(199));
        assert_eq!(found.max, Duration::from_micros(200));
        assert!(Latencies::of(Vec::new()).is_none());
    }
}
