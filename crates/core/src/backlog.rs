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
use crate::resume::{LeasePlan, ResumePlan};

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
    /// The newest timestamp among the records.
    pub(crate) max_timestamp_ms: i64,
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

/// A batch of another queue's records.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) ticket: Ticket,
    pub(crate) body: Arc<BatchBody>,
    /// Perhaps a previous run sent them.
    pub(crate) was_sent: bool,
}

/// Batches of other queues that wait, and the bytes of their records.
#[derive(Debug, Default)]
struct ForeignBatches {
    waiting: VecDeque<Foreign>,
    bytes: u64,
}

/// The owner of the items of a lease.
#[derive(Debug)]
pub(crate) enum Held<T> {
    /// Previous runs. Those of a lease with a tag were perhaps sent. `plan`: what that tag says.
    Previous {
        tag: Option<bytes::Bytes>,
        plan: Option<LeasePlan>,
    },
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecoveredLease {
    /// The lease.
    pub lease: LeaseNo,
    /// Id of its last item.
    pub last_item: u64,
    /// Its tag.
    pub tag: bytes::Bytes,
}

/// Items that previous runs left in the local queue.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// Leases with tags, the oldest items first. They were perhaps sent.
    pub leases: Vec<RecoveredLease>,
    /// Id of the last item of previous runs; `None`: there is none.
    pub through: Option<u64>,
    /// Number of items.
    pub items: u64,
    /// Items that are known to be lost to damage and that no position counts: a record each, at
    /// least.
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
    plan: ResumePlan,
    recovered_through: Option<u64>,
    recovered_items: u64,
    recovered_bytes: u64,
    /// Position behind the last records of a previous run that were leased.
    position: Option<RunPosition>,
    foreign: ForeignBatches,
    /// More batches of other queues will come, and go before this run's.
    awaits_foreign: bool,
    entries: VecDeque<Entry<T>>,
    /// The next item is of another version: nothing behind it is leased.
    is_blocked: bool,
}

impl<T> Backlog<T> {
    pub(crate) fn new(recovered: Recovered) -> Self {
        let tags = recovered.leases.iter().map(|lease| &lease.tag);
        Self {
            plan: ResumePlan::new(tags),
            recovered_leases: recovered.leases.into(),
            recovered_through: recovered.through,
            recovered_items: recovered.items,
            recovered_bytes: recovered.bytes,
            position: None,
            foreign: ForeignBatches::default(),
            awaits_foreign: false,
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

    /// Returns whether leases are left that a previous run had open.
    pub(crate) fn has_recovered_leases(&self) -> bool {
        !self.recovered_leases.is_empty()
    }

    /// Returns whether a previous run had this lease open, and it was not read yet.
    pub(crate) fn is_recovered_lease(&self, lease: LeaseNo) -> bool {
        self.recovered_leases.iter().any(|open| open.lease == lease)
    }

    /// Plan that previous runs' open leases make together.
    pub(crate) fn plan(&self) -> &ResumePlan {
        &self.plan
    }

    /// Returns whether the item is of a previous run.
    fn is_recovered(&self, item: u64) -> bool {
        self.recovered_through
            .is_some_and(|through| item <= through)
    }

    /// The lease that was requested, with what it holds. Everything older that was expected is
    /// lost.
    pub(crate) fn leased(&mut self, lease: LeaseNo, batches: &LeasedBatches) -> Found<T> {
        let mut found = Found {
            held: Held::Nobody,
            lost: Vec::new(),
            lost_items: 0,
        };
        let reloaded = pop_if(&mut self.recovered_leases, |front| front.lease == lease);
        let plan = reloaded.is_some().then(|| self.plan.next());
        let Some(range) = batches.range() else {
            match reloaded {
                // Older items than the lease's may wait: the next lease tells.
                Some(_) => {}
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
            // What is missing before the last item that was read shows in the positions. Older
            // items than those of a lease with a tag may wait, where another one's tag was lost.
            if reloaded.is_none() {
                self.pass(range.last_item());
            }
            found.held = Held::Previous {
                tag: reloaded.map(|reloaded| reloaded.tag),
                plan,
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

    /// Items of previous runs up to this one are leased or lost. Returns how many are missing at
    /// the end of them.
    fn pass(&mut self, item: u64) -> u64 {
        let is_last = self.recovered_through.is_none_or(|through| item >= through);
        if is_last { self.lose_recovered() } else { 0 }
    }

    /// Ends what is left of previous runs, which cannot be read: it was lost to damage.
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
    pub(crate) fn push_foreign(&mut self, foreign: Foreign) {
        self.foreign.bytes = self
            .foreign
            .bytes
            .saturating_add(size_of_body(&foreign.body));
        self.foreign.waiting.push_back(foreign);
    }

    /// Returns whether a batch of another queue waits.
    pub(crate) fn has_foreign(&self) -> bool {
        !self.foreign.waiting.is_empty()
    }

    /// More batches of another queue will come, or no more.
    pub(crate) fn await_foreign(&mut self, awaits: bool) {
        self.awaits_foreign = awaits;
    }

    /// The next item cannot be read by this version and has to stay: nothing is leased any more.
    pub(crate) fn block(&mut self) {
        self.is_blocked = true;
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// The next batch of another queue, once previous runs' items are leased.
    pub(crate) fn pop_foreign(&mut self) -> Option<Foreign> {
        if !self.can_send_foreign() {
            return None;
        }
        let foreign = self.foreign.waiting.pop_front()?;
        self.foreign.bytes = self
            .foreign
            .bytes
            .saturating_sub(size_of_body(&foreign.body));
        Some(foreign)
    }

    pub(crate) fn drain_foreign(&mut self) -> impl Iterator<Item = Foreign> + '_ {
        self.foreign.bytes = 0;
        self.foreign.waiting.drain(..)
    }

    /// Bytes of the records of other queues.
    pub(crate) fn foreign_bytes(&self) -> u64 {
        self.foreign.bytes
    }

    /// Returns whether it is the turn of a batch of another queue.
    pub(crate) fn can_send_foreign(&self) -> bool {
        !self.foreign.waiting.is_empty() && !self.has_recovered() && !self.is_blocked
    }

    /// The lease of a previous run to read next.
    pub(crate) fn next_reload(&self) -> Option<LeaseOperation> {
        let lease = self.recovered_leases.front().filter(|_| !self.is_blocked)?;
        Some(LeaseOperation::Reload {
            lease: lease.lease,
            stored: self.plan.next_stored(),
        })
    }

    /// The lease to read or to request next, those of previous runs first.
    pub(crate) fn next(&self) -> Option<LeaseOperation> {
        self.next_reload().or_else(|| self.next_lease())
    }

    /// The lease to request next, if a whole batch is there.
    pub(crate) fn next_lease(&self) -> Option<LeaseOperation> {
        if self.is_blocked || self.has_recovered_leases() {
            return None;
        }
        if self.has_recovered() {
            return Some(LeaseOperation::Lease { items: None });
        }
        if !self.foreign.waiting.is_empty() || self.awaits_foreign {
            return None;
        }
        let front = self.entries.front().filter(|entry| entry.is_closed)?;
        Some(LeaseOperation::Lease {
            items: usize::try_from(front.items).ok(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_recovered()
            && self.foreign.waiting.is_empty()
            && !self.awaits_foreign
            && self.entries.is_empty()
    }

    /// Returns whether the batch that still grows is all there is.
    pub(crate) fn holds_only_the_open_batch(&self) -> bool {
        !self.has_recovered()
            && !self.is_blocked
            && self.foreign.waiting.is_empty()
            && !self.awaits_foreign
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
    pub(crate) fn growing(&self) -> Option<&Entry<T>> {
        self.entries.back().filter(|entry| !entry.is_closed)
    }

    /// The same, to be changed.
    pub(crate) fn open_entry(&mut self) -> Option<&mut Entry<T>> {
        self.entries.back_mut().filter(|entry| !entry.is_closed)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry<T>> {
        self.entries.pop_front()
    }
}

fn size_of_body(body: &BatchBody) -> u64 {
    u64::try_from(body.records_bytes()).unwrap_or(u64::MAX)
}

/// Takes the front out if the condition holds for it.
fn pop_if<E>(queue: &mut VecDeque<E>, condition: impl Fn(&E) -> bool) -> Option<E> {
    queue
        .front()
        .is_some_and(condition)
        .then(|| queue.pop_front())
        .flatten()
}
