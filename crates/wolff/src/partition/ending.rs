//! Ends on their way to those who wait, and leases that are acknowledged once their ends were
//! reported.

use std::collections::VecDeque;

use wolff_core::EndedLease;

use super::foreign::SourceLease;

/// A lease that ends with a report.
#[derive(Debug)]
pub(super) enum ReportedLease {
    /// Of this queue.
    Own(EndedLease),
    /// Of the unrouted queue.
    Source(SourceLease),
}

/// Leases whose ends were handed over for reporting, oldest first, with the number of the report.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: VecDeque<(u64, ReportedLease)>,
}

impl Reports {
    pub(super) fn push(&mut self, report: u64, lease: ReportedLease) {
        self.waiting.push_back((report, lease));
    }

    /// Takes out the leases whose ends were reported.
    pub(super) fn reported(&mut self, through: u64) -> Vec<ReportedLease> {
        let count = self
            .waiting
            .iter()
            .take_while(|(report, _)| *report <= through)
            .count();
        self.waiting
            .drain(..count)
            .map(|(_, lease)| lease)
            .collect()
    }
}
