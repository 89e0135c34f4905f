//! Ends of calls, on their way to receipts, callbacks and the acknowledgement of their leases.

use std::sync::Arc;

use parking_lot::Mutex;
use wolff_core::{Ended, EndedLease, Event, FailReason, Origin, Outcome, Ticket};

use super::super::Token;
use super::super::ending::{ReportedLease, Reports};
use super::super::foreign::{ForeignBatch, ForeignBatches};
use super::super::machines::CallMachine;
use super::Queue;
use super::accept::OBSERVER_BYTES;
use crate::clock;
use crate::completion::CallbackLane;
use crate::error::with_causes;
use crate::failures::Failures;

/// Ends of one queue's calls, until those who wait for them have them.
pub(super) struct Reporting {
    callbacks: Arc<CallbackLane>,
    failures: Arc<Failures>,
    /// Ends are reported by one thread at a time, in order: the one that has this lock.
    waiting: Mutex<Waiting>,
}

/// Leases and foreign batches that wait for ends, or for their reports.
#[derive(Default)]
struct Waiting {
    reports: Reports,
    foreign: ForeignBatches,
}

impl Reporting {
    pub(super) fn new(callbacks: Arc<CallbackLane>, failures: Arc<Failures>) -> Self {
        Self {
            callbacks,
            failures,
            waiting: Mutex::default(),
        }
    }

    /// The lane in which callbacks run.
    pub(super) fn callbacks(&self) -> &Arc<CallbackLane> {
        &self.callbacks
    }

    /// Takes in a batch of another queue: its ticket.
    pub(super) fn add_foreign(&self, batch: ForeignBatch) -> Ticket {
        self.waiting.lock().foreign.add(batch)
    }

    /// Counts records that came to this end without being delivered.
    fn count(&self, outcome: &Outcome, records: u32) {
        match outcome {
            Outcome::InDoubt(reason) => self.failures.record_doubt(*reason, records),
            Outcome::Failed(reason) => self.failures.record(reason, records),
            _ => {}
        }
    }
}

impl<M: CallMachine> Queue<M> {
    /// Reports the ends of calls: receipts at once, callbacks in their lane; leases whose ends were
    /// reported are acknowledged. Afterwards all ends that were counted before are reported, also
    /// those that another thread was about to report.
    pub(crate) fn report_ends(&self) {
        let mut has_reported = false;
        let mut observed = 0usize;
        {
            let mut waiting = self.reporting.waiting.lock();
            loop {
                let Some(ended) = self.driver.machine().poll_end() else {
                    break;
                };
                observed = observed.saturating_add(self.report(ended, &mut waiting));
                has_reported = true;
            }
        }
        if observed > 0 {
            let bytes = observed.saturating_mul(OBSERVER_BYTES);
            self.driver.machine().let_go_beside(bytes);
        }
        self.callbacks_returned();
        if has_reported {
            self.signals.moved();
        }
    }

    /// Returns how many of its calls were observed.
    fn report(&self, ended: Ended<Token>, waiting: &mut Waiting) -> usize {
        let mut observed = 0;
        let mut sources = Vec::new();
        let mut number = self.callbacks().reported_through();
        if let Some(completion) = ended.completion {
            let range = (completion.first_record, completion.record_count);
            let called = match completion.origin {
                Origin::ThisRun(token) => {
                    let (first, count) = range;
                    let (called, observers) = token.complete(first, count, &completion.outcome);
                    observed = observers;
                    called
                }
                Origin::PreviousRun => Vec::new(),
                Origin::Foreign(ticket) => {
                    let (called, leases) =
                        waiting
                            .foreign
                            .end(ticket, self.partition, range, &completion.outcome);
                    sources = leases;
                    called
                }
            };
            number = self.callbacks().call(called);
            self.count(&completion.outcome, completion.record_count);
        }
        let own = ended.lease.map(ReportedLease::Own);
        for lease in own
            .into_iter()
            .chain(sources.into_iter().map(ReportedLease::Source))
        {
            waiting.reports.push(number, lease);
        }
        observed
    }

    pub(super) fn count(&self, outcome: &Outcome, records: u32) {
        self.reporting.count(outcome, records);
        if let Outcome::Failed(reason) = outcome
            && *reason != FailReason::Stopped
        {
            tracing::error!(
                partition = self.partition.map(|number| number.0), records, reason = %with_causes(reason), "records failed"
            );
        }
    }

    /// Acknowledges the leases whose ends have reached their callbacks.
    pub(super) fn callbacks_returned(&self) {
        let mut seen = None;
        let mut leases = Vec::new();
        // Callbacks can return while ends are being reported, even in the thread that reports them:
        // whoever holds the lock looks again afterwards.
        while seen != Some(self.callbacks().reported_through())
            && let Some(mut waiting) = self.reporting.waiting.try_lock()
        {
            let through = self.callbacks().reported_through();
            leases.extend(waiting.reports.reported(through));
            seen = Some(through);
        }
        let mut own: Vec<EndedLease> = Vec::new();
        for lease in leases {
            match lease {
                ReportedLease::Own(lease) => own.push(lease),
                ReportedLease::Source(lease) => lease.reported(),
            }
        }
        if own.is_empty() {
            return;
        }
        let now = clock::now();
        let mut machine = self.driver.machine();
        for lease in own {
            machine.handle(Event::Reported(lease), now);
        }
        drop(machine);
        self.signals.wake();
    }
}
