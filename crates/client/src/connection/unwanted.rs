//! Requests that need no response, for brokers that respond all the same (Azure Event Hubs).

use std::collections::VecDeque;

use wolff_codec::CorrelationId;

/// Runs of ids that are told apart. Between more of them, what was asked in between counts as
/// unwanted too: whoever asks this has looked at what is in flight before.
const MOST_RUNS: usize = 64;

/// The correlation ids of requests with acks=0, in the order in which they were offered. A broker
/// may be any number of them behind, or never respond to one: ids follow each other, so that runs
/// of them are enough.
#[derive(Debug)]
pub(super) struct Unwanted {
    /// Oldest first; never more than [`MOST_RUNS`].
    runs: VecDeque<Run>,
}

/// Ids from the first to the last one.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: CorrelationId,
    last: CorrelationId,
}

impl Run {
    fn contains(self, id: CorrelationId) -> bool {
        distance(self.first, id) <= distance(self.first, self.last)
    }
}

/// Steps from an id to a later one; ids begin again after the highest.
fn distance(from: CorrelationId, to: CorrelationId) -> u32 {
    to.0.wrapping_sub(from.0).cast_unsigned()
}

fn next(id: CorrelationId) -> CorrelationId {
    CorrelationId(id.0.wrapping_add(1))
}

impl Unwanted {
    pub(super) fn new() -> Self {
        Self {
            runs: VecDeque::new(),
        }
    }

    /// A request that needs no response goes out.
    pub(super) fn handle_offered(&mut self, id: CorrelationId) {
        match self.runs.back_mut() {
            Some(run) if next(run.last) == id => run.last = id,
            _ => self.runs.push_back(Run {
                first: id,
                last: id,
            }),
        }
        if self.runs.len() > MOST_RUNS
            && let Some(oldest) = self.runs.pop_front()
            && let Some(second) = self.runs.front_mut()
        {
            second.first = oldest.first;
        }
    }

    /// Returns true if the response is to one of these. It ends the wait for those before it:
    /// responses come in the order of the requests.
    pub(super) fn handle_response(&mut self, got: CorrelationId) -> bool {
        let Some(index) = self.runs.iter().position(|run| run.contains(got)) else {
            return false;
        };
        self.runs.drain(..index);
        if let Some(run) = self.runs.front_mut() {
            if run.last == got {
                self.runs.pop_front();
            } else {
                run.first = next(got);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_ids_needs_little_memory() {
        let mut unwanted = Unwanted::new();
        for id in 0..100_000 {
            unwanted.handle_offered(CorrelationId(id));
        }
        assert_eq!(unwanted.runs.len(), 1);
        for id in (100_001..200_000).step_by(2) {
            unwanted.handle_offered(CorrelationId(id));
        }
        assert_eq!(unwanted.runs.len(), MOST_RUNS);
        for id in (0..100_000).chain((100_001..200_000).step_by(2)) {
            assert!(unwanted.handle_response(CorrelationId(id)), "{id}");
        }
        assert!(unwanted.runs.is_empty());
    }

    #[test]
    fn ids_go_on_after_the_highest_one() {
        let mut unwanted = Unwanted::new();
        for id in [i32::MAX - 1, i32::MAX, i32::MIN, i32::MIN + 1] {
            unwanted.handle_offered(CorrelationId(id));
        }
        assert_eq!(unwanted.runs.len(), 1);
        assert!(unwanted.handle_response(CorrelationId(i32::MIN)));
        assert!(!unwanted.handle_response(CorrelationId(i32::MAX)));
        assert!(unwanted.handle_response(CorrelationId(i32::MIN + 1)));
        assert!(!unwanted.handle_response(CorrelationId(i32::MIN + 2)));
    }
}
