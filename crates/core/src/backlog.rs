//! Items of the local queue that are not leased: of previous runs, of other queues, of this run, in
//! this order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::action::{LeaseNo, LeaseOperation, Origin, Ticket};
use crate::assemble::{LeasedBatches, LeasedRange};
use crate::batch::BatchBody;
use crate::ends::EndedRun;
use crate::queue_item::RunPosition;
use crate::reencode::Piece;

/// A batch of this run whose fragments are, at least in part, in the local queue.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) token: T,
    /// Id of the queue item that holds its first fragment.
    pub(crate) first_item: u64,
    /// Items in the queue.
    pub(crate) items: u64,
    /// 0, unless the beginning of the batch was given up before the rest of it was stored.
    pub(crate) first_record: u32,
    pub(crate) records: u32,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    /// No fragment will follow.
    pub(crate) is_closed: bool,
    /// Number of its first call.
    pub(crate) first_call: u64,
}

impl<T> Entry<T> {
    /// Id of the item after its last one.
    fn end_item(&self) -> u64 {
        self.first_item.saturating_add(self.items)
    }

    /// All of it.
    pub(crate) fn into_run(self) -> EndedRun<T> {
        EndedRun {
            origin: Origin::ThisRun(self.token),
            first_record: self.first_record,
            records: self.records,
            calls: self.calls,
            held_bytes: self.bytes,
        }
    }
}

impl<T: Clone> Entry<T> {
    /// The records that no piece covers. The calls that lie in the gaps are all counted with the
    /// first, since nobody can say how they lie there.
    pub(crate) fn missing(&self, pieces: &[Piece]) -> Vec<EndedRun<T>> {
        let covered_calls = pieces
            .iter()
            .map(|piece| u64::from(piece.body().call_count()))
            .sum();
        let mut calls = self.calls.saturating_sub(covered_calls);
        let covered = pieces.iter().map(|piece| {
            let first = piece.first_record();
            (first, first.saturating_add(piece.body().record_count()))
        });
        let mut runs = Vec::new();
        let mut next = 0u32;
        for (first, end) in covered.chain([(self.records, self.records)]) {
            let missing = first.saturating_sub(next);
            if missing > 0 {
                let share = u64::from(missing).saturating_mul(self.bytes);
                runs.push(EndedRun {
                    origin: Origin::ThisRun(self.token.clone()),
                    first_record: next,
                    records: missing,
                    calls: std::mem::take(&mut calls),
                    held_bytes: share / u64::from(self.records.max(1)),
                });
            }
            next = end;
        }
        runs
    }
}

/// The owner of the items of a lease.
#[derive(Debug)]
pub(crate) enum Held<T> {
    /// Previous runs. `was_tagged`: they were perhaps sent.
    Previous { was_tagged: bool },
    /// A batch of this run.
    Own(Entry<T>),
    /// Nobody who still waits: the lease is done.
    Nobody,
    /// Items that were not asked for: the lease is given back.
    Unexpected,
}

/// The contents of a lease, and what the local queue turned out to have lost before it.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) held: Held<T>,
    /// Batches of this run.
    pub(crate) lost: Vec<Entry<T>>,
    /// Items of previous runs that no position accounts for.
    pub(crate) lost_items: u64,
}

/// A lease that a previous run left open, with a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredLease {
    /// The lease.
    pub lease: LeaseNo,
    /// Id of its last item.
    pub last_item: u64,
}

/// Items that previous runs left in the local queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Leases with tags, the oldest items first. They were perhaps sent.
    pub leases: Vec<RecoveredLease>,
    /// Id of the last item of previous runs; `None`: there is none.
    pub through: Option<u64>,
    /// How many items there are.
    pub items: u64,
    /// Items that are known to be lost to damage and that no position counts: a record each, at least.
    pub lost_items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The tag of the newest commit record.
    pub commit_tag: bytes::Bytes,
}

/// The backlog. Only the last entry of this run may be open.
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    recovered_leases: VecDeque<RecoveredLease>,
    recovered_through: Option<u64>,
    recovered_items: u64,
    recovered_bytes: u64,
    /// Position behind the last records of a previous run that were leased.
    position: Option<RunPosition>,
    foreign: VecDeque<(Ticket, Arc<BatchBody>)>,
    entries: VecDeque<Entry<T>>,
    /// The next item is of another version: nothing behind it is leased.
    is_blocked: bool,
}

impl<T> Backlog<T> {
    pub(crate) fn new(recovered: Recovered) -> Self {
        Self {
            recovered_leases: recovered.leases.into(),
            recovered_through: recovered.through,
            recovered_items: recovered.items,
            recovered_bytes: recovered.bytes,
            position: None,
            foreign: VecDeque::new(),
            entries: VecDeque::new(),
            is_blocked: false,
        }
    }

    #[inline]
    pub(crate) fn recovered_items(&self) -> u64 {
        self.recovered_items
    }

    #[inline]
    pub(crate) fn recovered_bytes(&self) -> u64 {
        self.recovered_bytes
    }

    pub(crate) fn has_recovered(&self) -> bool {
        self.recovered_items > 0 || !self.recovered_leases.is_empty()
    }

    /// Whether the item is of a previous run.
    fn is_recovered(&self, item: u64) -> bool {
        self.recovered_through
            .is_some_and(|through| item <= through)
    }

    /// The lease that was requested, with what it holds. Everything older that was expected is lost.
    pub(crate) fn leased(&mut self, lease: LeaseNo, batches: &LeasedBatches) -> Found<T> {
        let mut found = Found {
            held: Held::Nobody,
            lost: Vec::new(),
            lost_items: 0,
        };
        let reloaded = pop_if(&mut self.recovered_leases, |front| front.lease == lease);
        let Some(range) = batches.range() else {
            match reloaded {
                Some(reloaded) => found.lost_items = self.pass(reloaded.last_item),
                None if self.has_recovered() => found.lost_items = self.lose_recovered(),
                None => found
                    .lost
                    .extend(pop_if(&mut self.entries, |front| front.is_closed)),
            }
            return found;
        };
        if reloaded.is_some() || self.is_recovered(range.first_item()) {
            self.recovered_items = self.recovered_items.saturating_sub(batches.item_count());
            self.recovered_bytes = self.recovered_bytes.saturating_sub(batches.payload_bytes());
            // What is missing before the last item that was read shows in the positions.
            self.pass(range.last_item());
            if let Some(reloaded) = &reloaded {
                found.lost_items = self.pass(reloaded.last_item);
            }
            found.held = Held::Previous {
                was_tagged: reloaded.is_some(),
            };
            return found;
        }
        if self.has_recovered() {
            found.lost_items = self.lose_recovered();
        }
        self.find_entry(range, &mut found);
        found
    }

    /// Finds the batch of this run that was leased.
    fn find_entry(&mut self, range: LeasedRange, found: &mut Found<T>) {
        let is_older = |front: &Entry<T>| front.is_closed && front.end_item() <= range.first_item();
        while let Some(older) = pop_if(&mut self.entries, is_older) {
            found.lost.push(older);
        }
        let is_whole = |front: &Entry<T>| {
            // The lease was limited to the items of the batch that was expected.
            let has_all =
                found.lost.is_empty() || range.last_item().saturating_add(1) >= front.end_item();
            front.is_closed && has_all
        };
        found.held = match self.entries.front() {
            // The rest of a batch whose end was reported.
            Some(front) if range.last_item() < front.first_item => Held::Nobody,
            Some(front) if is_whole(front) => {
                self.entries.pop_front().map_or(Held::Unexpected, Held::Own)
            }
            _ => Held::Unexpected,
        };
    }

    /// Items of previous runs up to this one are leased or lost. Returns how many are missing at the
    /// end of them.
    fn pass(&mut self, item: u64) -> u64 {
        let is_last = self.recovered_through.is_none_or(|through| item >= through);
        if is_last { self.lose_recovered() } else { 0 }
    }

    /// What is left of previous runs cannot be read: it was lost to damage.
    fn lose_recovered(&mut self) -> u64 {
        self.recovered_bytes = 0;
        std::mem::take(&mut self.recovered_items)
    }

    pub(crate) fn position(&self) -> Option<RunPosition> {
        self.position
    }

    pub(crate) fn move_to(&mut self, position: Option<RunPosition>) {
        self.position = position;
    }

    /// Adds a batch of another queue's records.
    pub(crate) fn push_foreign(&mut self, ticket: Ticket, body: BatchBody) {
        self.foreign.push_back((ticket, Arc::new(body)));
    }

    /// The next item cannot be read by this version and has to stay: nothing is leased any more.
    pub(crate) fn block(&mut self) {
        self.is_blocked = true;
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// The next batch of another queue, once previous runs' items are leased.
    pub(crate) fn pop_foreign(&mut self) -> Option<(Ticket, Arc<BatchBody>)> {
        self.can_send_foreign()
            .then(|| self.foreign.pop_front())
            .flatten()
    }

    pub(crate) fn drain_foreign(&mut self) -> impl Iterator<Item = (Ticket, Arc<BatchBody>)> + '_ {
        self.foreign.drain(..)
    }

    /// Whether it is the turn of a batch of another queue.
    pub(crate) fn can_send_foreign(&self) -> bool {
        !self.foreign.is_empty() && !self.has_recovered() && !self.is_blocked
    }

    /// The lease to request next, if a whole batch is there.
    pub(crate) fn next_lease(&self) -> Option<LeaseOperation> {
        if self.is_blocked {
            return None;
        }
        if let Some(lease) = self.recovered_leases.front() {
            return Some(LeaseOperation::Reload(lease.lease));
        }
        if self.has_recovered() {
            return Some(LeaseOperation::Lease { items: None });
        }
        if !self.foreign.is_empty() {
            return None;
        }
        let front = self.entries.front().filter(|entry| entry.is_closed)?;
        Some(LeaseOperation::Lease {
            items: usize::try_from(front.items).ok(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_recovered() && self.foreign.is_empty() && self.entries.is_empty()
    }

    /// Whether the batch that still grows is all there is.
    pub(crate) fn holds_only_the_open_batch(&self) -> bool {
        !self.has_recovered()
            && !self.is_blocked
            && self.foreign.is_empty()
            && self.entries.front().is_none_or(|entry| !entry.is_closed)
    }

    /// Adds a batch of this run.
    pub(crate) fn push(&mut self, entry: Entry<T>) {
        if let Some(last) = self.entries.back_mut() {
            last.is_closed = true;
        }
        self.entries.push_back(entry);
    }

    /// The batch that still grows, if it has an item here.
    pub(crate) fn open_entry(&mut self) -> Option<&mut Entry<T>> {
        self.entries.back_mut().filter(|entry| !entry.is_closed)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry<T>> {
        self.entries.pop_front()
    }
}

/// Takes the front out if the condition holds for it.
fn pop_if<E>(queue: &mut VecDeque<E>, condition: impl Fn(&E) -> bool) -> Option<E> {
    queue
        .front()
        .is_some_and(condition)
        .then(|| queue.pop_front())
        .flatten()
}
