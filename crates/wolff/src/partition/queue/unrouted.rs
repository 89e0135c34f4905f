//! The queue of unrouted records: its leases end with the partitions that carry them.

use std::sync::Arc;

use wolff_codec::PartitionId;
use wolff_core::{EndedLease, Event, LeaseNo, Origin, Outcome, RoutedEnd};

use super::super::Token;
use super::super::foreign::ForeignSource;
use super::UnroutedQueue;
use crate::clock;

impl UnroutedQueue {
    /// Calls of a lease come to their end without a partition: none could be chosen, or `at`,
    /// the one that was chosen, never got them.
    pub(crate) fn end_unrouted(
        self: &Arc<Self>,
        at: Option<PartitionId>,
        (lease, origin): (LeaseNo, &Origin<Token>),
        (first_record, records): (u32, u32),
        calls: u64,
        outcome: &Outcome,
    ) {
        if let Origin::ThisRun(token) = origin {
            let (called, _) = token.complete_in(at, first_record, records, outcome);
            self.callbacks().call(called);
        }
        self.count(outcome, records);
        let end = RoutedEnd {
            lease,
            at: at.map(|partition| (partition, clock::now())),
            records: &[(first_record, records)],
            calls,
            outcome,
            was_sent: false,
        };
        if let Some(ended) = ForeignSource::ended(&**self, &end) {
            self.handle(Event::Reported(ended));
        }
    }
}

impl ForeignSource for UnroutedQueue {
    fn ended(&self, end: &RoutedEnd<'_>) -> Option<EndedLease> {
        let ended = self.driver.machine().ended(end);
        self.signals.moved();
        self.signals.wake();
        ended
    }

    fn is_durable(&self) -> bool {
        self.is_on_disk
    }

    fn reported(self: Arc<Self>, lease: EndedLease) {
        self.handle(Event::Reported(lease));
    }
}
