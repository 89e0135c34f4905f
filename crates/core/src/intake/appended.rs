//! The end of an append: batches in the local queue, or calls that end with it.

use super::{CutFragment, Intake, KEPT_PART};
use crate::action::Origin;
use crate::backlog::{Backlog, Entry};
use crate::counters::Counters;
use crate::ends::{EndedRun, Ends};
use crate::outcome::{Outcome, StorageError};

impl<T: Clone> Intake<T> {
    /// The items of the last append are in the local queue.
    pub(crate) fn appended(
        &mut self,
        first_item: u64,
        backlog: &mut Backlog<T>,
        counters: &mut Counters,
    ) {
        for (item, fragment) in (first_item..).zip(self.commit.finish_append()) {
            counters.store(fragment.calls);
            let bytes = u64::try_from(fragment.bytes).unwrap_or(u64::MAX);
            match backlog.open_entry() {
                Some(entry) if fragment.first_record > 0 => {
                    entry.items += 1;
                    entry.records = entry.records.saturating_add(fragment.records);
                    entry.calls = entry.calls.saturating_add(fragment.calls);
                    entry.bytes = entry.bytes.saturating_add(bytes);
                    entry.max_timestamp_ms = entry.max_timestamp_ms.max(fragment.max_timestamp_ms);
                    entry.is_closed = fragment.closes;
                }
                _ => backlog.push(Entry {
                    token: fragment.token,
                    first_item: item,
                    items: 1,
                    first_record: fragment.first_record,
                    records: fragment.records,
                    calls: fragment.calls,
                    bytes,
                    max_timestamp_ms: fragment.max_timestamp_ms,
                    is_closed: fragment.closes,
                    first_call: fragment.first_call,
                }),
            }
        }
        if self.commit.is_empty() {
            // It may stay open for long with nothing to come, and there may be thousands of them.
            self.open.release_stored(self.fragment_bytes / KEPT_PART);
        }
    }

    /// The local queue took none of the items of the last append. Nothing of them was reported as
    /// queued; they fail, and so does everything accepted behind them: it would have to be stored
    /// after them, and what is queued is a prefix of what was accepted.
    pub(crate) fn append_failed(
        &mut self,
        error: &StorageError,
        backlog: &mut Backlog<T>,
        ends: &mut Ends<T>,
    ) {
        self.close_batch_or_entry(backlog);
        if let Some(entry) = backlog.open_entry() {
            entry.is_closed = true;
        }
        let records = self.end_tail(ends, error.clone().into_outcome());
        self.open.forget_cut(records);
    }

    /// Ends what is cut and not in the queue: the last calls that were accepted, perhaps ahead of
    /// earlier ones. Returns how many records that were.
    fn end_tail(&mut self, ends: &mut Ends<T>, outcome: Outcome) -> u64 {
        let tail = self.commit.drain();
        let calls = tail.iter().map(|fragment| fragment.calls).sum();
        let counters = ends.counters_mut();
        counters.finish_from(counters.accepted_calls().saturating_sub(calls), calls);
        // Not queued, but no longer waiting to be: the calls before them are all that count.
        counters.store(calls);
        let mut records = 0u64;
        for fragment in tail {
            records = records.saturating_add(u64::from(fragment.records));
            ends.end_out_of_order(ended_run(fragment), outcome.clone(), None);
        }
        records
    }

    /// Gives up what is not on its way to the local queue. An append under way has an end of its
    /// own.
    pub(crate) fn abandon(
        &mut self,
        backlog: &mut Backlog<T>,
        outcome: &Outcome,
        ends: &mut Ends<T>,
    ) {
        if self.commit.is_appending() {
            return;
        }
        self.close_batch_or_entry(backlog);
        self.end_tail(ends, outcome.clone());
    }
}

fn ended_run<T>(fragment: CutFragment<T>) -> EndedRun<T> {
    EndedRun {
        origin: Origin::ThisRun(fragment.token),
        first_record: fragment.first_record,
        records: fragment.records,
        calls: fragment.calls,
        held_bytes: u64::try_from(fragment.bytes).unwrap_or(u64::MAX),
    }
}
