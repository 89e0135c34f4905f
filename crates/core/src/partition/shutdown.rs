//! Flushing and stopping.

use super::machine::Partition;
use crate::config::Durability;
use crate::outcome::{FailReason, Outcome};

impl<T: Clone> Partition<T> {
    /// What was accepted so far does not linger any more. Returns the count of calls that must be finished for the flush to
    /// be complete.
    pub fn flush(&mut self) -> u64 {
        self.flush_through = self.counters.accepted_calls;
        self.flush_through
    }

    /// No call is taken from here on; what was accepted is still sent, without linger.
    pub fn stop_accepting(&mut self) {
        self.stopping = true;
    }

    /// Gives up everything that is not finished and reports it: what the local queue keeps is left there, the rest fails.
    pub fn abandon(&mut self) {
        self.stopping = true;
        let stopped = Outcome::Failed(FailReason::Stopped);
        let kept = match self.config.durability {
            Durability::Queue => Outcome::LeftInQueue,
            Durability::Memory => stopped.clone(),
        };
        while let Some(slot) = self.window.pop() {
            if slot.token.is_some() {
                let calls = u64::from(slot.body.call_count());
                let records = slot.body.record_count();
                self.complete(
                    slot.token,
                    slot.first_record,
                    records,
                    calls,
                    slot.held_bytes,
                    kept.clone(),
                );
            }
        }
        while let Some(entry) = self.backlog.pop() {
            self.complete(
                Some(entry.token),
                0,
                entry.records,
                entry.calls,
                entry.bytes,
                kept.clone(),
            );
        }
        if let Some(frame) = self.open.cut(true) {
            self.push_cut(frame);
        }
        let mut unqueued = std::mem::take(&mut self.appending);
        unqueued.extend(self.cut.drain(..));
        self.cut_bytes = 0;
        for frame in unqueued {
            let held_bytes = u64::try_from(frame.bytes).unwrap_or(u64::MAX);
            let (first, records, calls) = (frame.first_record, frame.records, frame.calls);
            self.complete(
                Some(frame.token),
                first,
                records,
                calls,
                held_bytes,
                stopped.clone(),
            );
        }
    }
}
