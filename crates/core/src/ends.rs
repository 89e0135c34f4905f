//! The ends of records: counted and put in order for the driver to report.

use std::collections::VecDeque;

use crate::action::{Completion, Ended, EndedLease, LeaseNo, Origin};
use crate::counters::{Counters, Owner};
use crate::outcome::{FailReason, Outcome};

/// A run of records that came to an end.
#[derive(Debug)]
pub(crate) struct EndedRun<T> {
    pub(crate) origin: Origin<T>,
    pub(crate) first_record: u32,
    pub(crate) records: u32,
    pub(crate) calls: u64,
    /// Bytes that they counted for in the memory held.
    pub(crate) held_bytes: u64,
}

/// Ends that were not reported yet, oldest first, and the counts that they have changed already.
#[derive(Debug)]
pub(crate) struct Ends<T> {
    counters: Counters,
    waiting: VecDeque<Ended<T>>,
}

impl<T> Ends<T> {
    pub(crate) fn new() -> Self {
        Self {
            counters: Counters::default(),
            waiting: VecDeque::new(),
        }
    }

    #[inline]
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    #[inline]
    pub(crate) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The oldest records that have not ended come to their end. `lease`: their lease ends with
    /// them, and the body that is not needed any more.
    pub(crate) fn end(&mut self, run: EndedRun<T>, outcome: Outcome, lease: Option<EndedLease>) {
        if matches!(run.origin, Origin::ThisRun(_)) {
            self.counters.finish_next(run.calls);
        }
        self.end_out_of_order(run, outcome, lease);
    }

    /// The same for records whose calls are counted as finished by themselves.
    pub(crate) fn end_out_of_order(
        &mut self,
        run: EndedRun<T>,
        outcome: Outcome,
        lease: Option<EndedLease>,
    ) {
        let owner = match run.origin {
            Origin::ThisRun(_) => Some(Owner::ThisRun),
            Origin::PreviousRun => Some(Owner::PreviousRun),
            // Their own queue counts them.
            Origin::Foreign(_) => None,
        };
        if let Some(owner) = owner {
            self.counters.end(owner, run.records, run.calls, &outcome);
            self.counters.let_go(run.held_bytes);
        }
        self.waiting.push_back(Ended {
            completion: Some(Completion {
                origin: run.origin,
                first_record: run.first_record,
                record_count: run.records,
                outcome,
            }),
            lease,
        });
    }

    /// Records that the local queue lost to damage come to their end, perhaps ahead of earlier
    /// ones. `first_call`: the number of their first call.
    pub(crate) fn end_damaged(&mut self, first_call: u64, runs: Vec<EndedRun<T>>) {
        let calls = runs.iter().map(|run| run.calls).sum();
        self.counters.finish_from(first_call, calls);
        for run in runs {
            self.counters.damage(u64::from(run.records));
            let outcome = Outcome::Failed(FailReason::QueueDamaged);
            self.end_out_of_order(run, outcome, None);
        }
    }

    /// Reports an end that is counted already.
    pub(crate) fn report(&mut self, completion: Completion<T>, lease: Option<EndedLease>) {
        self.waiting.push_back(Ended {
            completion: Some(completion),
            lease,
        });
    }

    /// A lease ends in which nothing was left to send.
    pub(crate) fn end_lease(&mut self, lease: LeaseNo) {
        self.waiting.push_back(Ended {
            completion: None,
            lease: Some(EndedLease { lease, body: None }),
        });
    }

    pub(crate) fn poll(&mut self) -> Option<Ended<T>> {
        self.waiting.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
