//! Generations of segments: a counter that grows with every segment, and a number drawn each time
//! that the queue is opened. By the latter, segments that were written to a copy of the directory
//! are recognised in the original.

/// Bits of the counter, the lower ones; those above are the drawn number.
const COUNTER_BITS: u32 = 40;
/// Runs that are remembered; segments of older ones are taken as they come.
pub(crate) const MOST_RUNS: usize = 64;

/// A generation's counter.
pub(crate) const fn counter(generation: u64) -> u64 {
    generation & ((1 << COUNTER_BITS) - 1)
}

/// The number that its run has drawn.
const fn draw(generation: u64) -> u64 {
    generation >> COUNTER_BITS
}

/// Compares as an integer does: by the counter first.
pub(crate) const fn rank(generation: u64) -> u64 {
    generation.rotate_left(u64::BITS.saturating_sub(COUNTER_BITS))
}

/// One opening of the queue: all segments with counters from `first` on, up to the next run's, have
/// drawn `draw`.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Run {
    pub(crate) first: u64,
    pub(crate) draw: u64,
}

/// The generations of a queue.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Generations {
    /// The next counter.
    next: u64,
    /// In order of their counters.
    runs: Vec<Run>,
}

impl Default for Generations {
    fn default() -> Self {
        Self::new(1, Vec::new())
    }
}

impl Generations {
    /// As a commit says.
    pub(crate) fn new(next: u64, runs: Vec<Run>) -> Self {
        Self {
            next: next.max(1),
            runs,
        }
    }

    /// The counter of the next segment.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A generation for a new segment.
    pub(crate) fn draw(&mut self) -> u64 {
        let counter = counter(self.next);
        self.next = self.next.saturating_add(1);
        let draw = self.runs.last().map_or(0, |run| run.draw);
        draw << COUNTER_BITS | counter
    }

    /// There is a segment of this generation.
    pub(crate) fn note(&mut self, generation: u64) {
        self.next = self.next.max(counter(generation).saturating_add(1));
    }

    /// Returns whether a segment of this generation may be the queue's: not where another run made
    /// the one with that counter.
    pub(crate) fn admits(&self, generation: u64) -> bool {
        let counter = counter(generation);
        let later = self.runs.partition_point(|run| run.first <= counter);
        let run = later.checked_sub(1).and_then(|at| self.runs.get(at));
        run.is_none_or(|run| run.draw == draw(generation))
    }

    /// A new run. Earlier ones of which no segment is left, by their counters in order, are
    /// forgotten.
    pub(crate) fn begin_run(&mut self, draw: u64, live: &[u64]) {
        let limits: Vec<u64> = self.runs.iter().skip(1).map(|run| run.first).collect();
        let mut limits = limits.into_iter();
        self.runs.retain(|run| {
            let limit = limits.next().unwrap_or(u64::MAX);
            let at = live.partition_point(|counter| *counter < run.first);
            live.get(at).is_some_and(|counter| *counter < limit)
        });
        self.runs.retain(|run| run.first < self.next);
        let surplus = self.runs.len().saturating_add(1).saturating_sub(MOST_RUNS);
        self.runs.drain(..surplus);
        self.runs.push(Run {
            first: self.next,
            draw: draw & ((1 << (u64::BITS - COUNTER_BITS)) - 1),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_of_another_run_is_not_admitted() {
        let mut original = Generations::default();
        original.begin_run(0, &[]);
        let first = original.draw();
        assert_eq!(first, 1);
        let mut copy = original.clone();
        original.begin_run(7, &[1]);
        copy.begin_run(8, &[1]);
        let (own, other) = (original.draw(), copy.draw());
        assert_eq!((counter(own), counter(other)), (2, 2));
        assert!(original.admits(first) && original.admits(own) && !original.admits(other));
        assert!(copy.admits(first) && copy.admits(other) && !copy.admits(own));
        assert!(rank(first) < rank(own) && first < rank(u64::MAX));
        original.begin_run(9, &[2]);
        assert_eq!(original.runs().len(), 2);
        assert!(original.admits(own) && !original.admits(other));
    }

    #[test]
    fn so_many_runs_are_remembered() {
        let mut generations = Generations::default();
        let mut live = Vec::new();
        for draw in 0..200 {
            generations.begin_run(draw, &live);
            live.push(counter(generations.draw()));
        }
        assert_eq!(generations.runs().len(), MOST_RUNS);
        assert!(
            generations.admits(3 << COUNTER_BITS | 1)
                && !generations.admits(3 << COUNTER_BITS | 200)
        );
    }
}
