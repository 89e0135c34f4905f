//! The queue driver: a machine, the local queue behind it and its leases. It carries out what the
//! machine requests of the local queue, and decides nothing.
//!
//! The machine's lock is held for one call or one event; file I/O, compression and encoding happen
//! outside of it. Appending and leasing are separate, so that reading a backlog or compressing a
//! batch never delays an append.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use wolff_codec::records::{CompressError, Compression, CompressionLevel};

use crate::action::{AppendOperation, EndedLease, LeaseNo, LeaseOperation};
use crate::assemble::LeasedBatches;
use crate::batch::BatchBody;
use crate::event::Event;
use crate::local_queue::{AppendedLease, LocalLease, LocalQueue};
use crate::outcome::StorageError;
use crate::queue_item::{QueueItemError, RunPosition, batch_start};
use crate::split::{StoredBatch, split};

/// A machine that a driver drives.
pub trait Machine {
    /// The next append or acknowledgement.
    fn poll_append(&mut self, now: Instant) -> Option<AppendOperation>;
    /// The next lease, stamp or split.
    fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation>;
    /// Something happened.
    fn handle(&mut self, event: Event, now: Instant);
}

impl<T: Clone> Machine for crate::Partition<T> {
    fn poll_append(&mut self, now: Instant) -> Option<AppendOperation> {
        crate::Partition::poll_append(self, now)
    }

    fn poll_lease(&mut self, now: Instant) -> Option<LeaseOperation> {
        crate::Partition::poll_lease(self, now)
    }

    fn handle(&mut self, event: Event, now: Instant) {
        crate::Partition::handle(self, event, now);
    }
}

/// Something that the owner of a driver should log, count or react to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// Items are in the local queue: calls are queued.
    Appended,
    /// The local queue refused items.
    AppendFailed(&'a StorageError),
    /// A batch was leased or split, or its stamp is durable.
    Leased,
    /// The local queue cannot be read; it is tried again.
    LeaseFailed(&'a StorageError),
    /// Items of the local queue are no fragments of this version: the first reason, and how many.
    Unreadable(QueueItemError, u64),
    /// A tag could not be written; the batch gets other sequence numbers.
    StampFailed(&'a StorageError),
    /// An acknowledgement could not be stored: the items may come back at the next start.
    AckFailed(&'a StorageError),
    /// A batch could not be compressed and is sent as it is.
    NotCompressed(&'a CompressError),
}

/// The surroundings of a driver.
pub trait DriverHost {
    /// The present time.
    fn now(&self) -> Instant;
    /// Something happened; called without a lock.
    fn notice(&self, notice: Notice<'_>);
    /// Takes the memory of records that nobody needs any more.
    fn reuse(&self, fragments: Vec<Bytes>);
}

/// The driver of one machine and its local queue.
#[derive(Debug)]
pub struct Driver<M, Q: LocalQueue> {
    machine: Mutex<M>,
    local: Q,
    leases: Mutex<Leases<Q::Lease>>,
    compression: (Compression, CompressionLevel),
}

/// The local queue's leases by the machine's numbers, oldest first.
#[derive(Debug)]
struct Leases<L> {
    next: u64,
    /// The newest item that was read.
    read_through: u64,
    open: VecDeque<(LeaseNo, L)>,
}

impl<L: Copy> Leases<L> {
    fn add(&mut self, lease: L) -> LeaseNo {
        let number = LeaseNo(self.next);
        self.next += 1;
        self.open.push_back((number, lease));
        number
    }

    fn find(&self, number: LeaseNo) -> Option<L> {
        let found = self.open.iter().find(|(open, _)| *open == number);
        found.map(|(_, lease)| *lease)
    }

    fn remove(&mut self, number: LeaseNo) -> Option<L> {
        let at = self.open.iter().position(|(open, _)| *open == number)?;
        self.open.remove(at).map(|(_, lease)| lease)
    }
}

/// Bytes at which a lease of a previous run's items ends, if it has more than one: that many items
/// are in memory together, whatever they say about their batch. A larger batch is sent as several.
const MAX_LEASED_BYTES: usize = 16 * 1024 * 1024;

/// The extent of a lease: the fragments of one batch, or one item that cannot be read.
#[derive(Debug, Default)]
struct OneBatch {
    is_begun: bool,
    start: Option<RunPosition>,
    bytes: usize,
    max_bytes: Option<usize>,
}

impl OneBatch {
    fn ends_before(&mut self, payload: &[u8]) -> bool {
        let start = batch_start(payload);
        self.bytes = self.bytes.saturating_add(payload.len());
        if std::mem::replace(&mut self.is_begun, true) {
            let is_full = self.max_bytes.is_some_and(|max| self.bytes > max);
            return is_full || start.is_none() || start != self.start;
        }
        self.start = start;
        false
    }
}

impl<M: Machine, Q: LocalQueue> Driver<M, Q> {
    /// A driver. `recovered`: leases that a previous run left open; their numbers count from 0 in
    /// this order.
    pub fn new(
        machine: M,
        local: Q,
        compression: (Compression, CompressionLevel),
        recovered: impl IntoIterator<Item = Q::Lease>,
    ) -> Self {
        let mut leases = Leases {
            next: 0,
            read_through: 0,
            open: VecDeque::new(),
        };
        for lease in recovered {
            leases.add(lease);
        }
        Self {
            machine: Mutex::new(machine),
            local,
            leases: Mutex::new(leases),
            compression,
        }
    }

    /// The machine, locked: for one call, event or look.
    #[inline]
    pub fn machine(&self) -> MutexGuard<'_, M> {
        self.machine.lock()
    }

    /// The local queue.
    pub fn local(&self) -> &Q {
        &self.local
    }

    fn handle(&self, event: Event, host: &impl DriverHost) {
        let now = host.now();
        self.machine.lock().handle(event, now);
    }

    /// Carries out appends and acknowledgements until there is none to do. One thread at a time.
    pub fn run_appends(&self, host: &impl DriverHost) {
        loop {
            let now = host.now();
            let Some(operation) = self.machine.lock().poll_append(now) else {
                return;
            };
            match operation {
                AppendOperation::Append(payloads) => self.append(&payloads, host),
                AppendOperation::AppendLeased {
                    payloads,
                    from,
                    tag,
                } => self.append_leased(&payloads, from, &tag, host),
                AppendOperation::Ack { leases, commit_tag } => self.ack(leases, commit_tag, host),
            }
        }
    }

    /// Carries out leases, stamps and splits until there is none to do. One thread at a time.
    pub fn run_leases(&self, host: &impl DriverHost) {
        loop {
            let now = host.now();
            let Some(operation) = self.machine.lock().poll_lease(now) else {
                return;
            };
            match operation {
                LeaseOperation::Lease { items } => {
                    let mut batch = OneBatch {
                        // A batch of this run is known, and is leased as a whole.
                        max_bytes: items.is_none().then_some(MAX_LEASED_BYTES),
                        ..OneBatch::default()
                    };
                    let mut stop_before = |payload: &[u8]| batch.ends_before(payload);
                    let leased = self
                        .local
                        .lease(items.unwrap_or(usize::MAX), &mut stop_before);
                    self.leased(leased, host);
                }
                LeaseOperation::Reload { lease, stored } => self.reload(lease, &stored, host),
                LeaseOperation::Release(number) => {
                    let lease = self.leases.lock().remove(number);
                    if let Some(Err(error)) = lease.map(|lease| self.local.release(lease)) {
                        host.notice(Notice::AckFailed(&error));
                    }
                }
                LeaseOperation::Stamp { lease, tag } => self.stamp(lease, tag, host),
                LeaseOperation::Split { batch, body, rule } => {
                    let pieces = split(&body, &rule);
                    pieces
                        .iter()
                        .for_each(|piece| compress(piece.body(), self.compression, host));
                    self.handle(Event::Split(batch, pieces), host);
                }
            }
            host.notice(Notice::Leased);
        }
    }

    fn append(&self, payloads: &[Bytes], host: &impl DriverHost) {
        match self.local.append(payloads) {
            Ok(first_item) => {
                self.handle(Event::Appended { first_item }, host);
                host.notice(Notice::Appended);
            }
            Err(error) => self.append_failed(error, host),
        }
    }

    fn append_failed(&self, error: StorageError, host: &impl DriverHost) {
        self.handle(Event::AppendFailed(error.clone()), host);
        host.notice(Notice::AppendFailed(&error));
    }

    fn append_leased(
        &self,
        payloads: &[Bytes],
        from: Option<u64>,
        tag: &Bytes,
        host: &impl DriverHost,
    ) {
        let AppendedLease {
            first_item,
            lease,
            items,
        } = match self.local.append_leased(payloads, from, tag) {
            Ok(Some(done)) => done,
            Ok(None) => return self.append(payloads, host),
            Err(error) => return self.append_failed(error, host),
        };
        let items = match items {
            Ok(items) => items,
            Err(error) => return self.give_back(first_item, lease, &error, host),
        };
        let number = self.leases.lock().add(lease);
        let batches = self.read(&items, &[], host);
        let event = Event::AppendedLeased {
            first_item,
            lease: number,
            batches,
        };
        self.handle(event, host);
        host.notice(Notice::Appended);
        host.notice(Notice::Leased);
    }

    /// Gives a lease back that was made with an append and cannot be read: it is made anew later.
    fn give_back(
        &self,
        first_item: u64,
        lease: Q::Lease,
        error: &StorageError,
        host: &impl DriverHost,
    ) {
        if self.local.release(lease).is_err() {
            // All of it is in the queue, in a lease that only the next run finds.
            return self.append_failed(error.clone().into_in_doubt(), host);
        }
        self.handle(Event::AppendedUnleased { first_item }, host);
        host.notice(Notice::Appended);
        host.notice(Notice::LeaseFailed(error));
    }

    fn ack(&self, ended: Vec<EndedLease>, commit_tag: Option<Bytes>, host: &impl DriverHost) {
        let last = ended.len().saturating_sub(1);
        for (index, ended) in ended.into_iter().enumerate() {
            let lease = self.leases.lock().remove(ended.lease);
            let tag = commit_tag.clone().filter(|_| index == last);
            if let Some(Err(error)) = lease.map(|lease| self.local.ack(lease, tag)) {
                host.notice(Notice::AckFailed(&error));
            }
            let body = ended.body.and_then(std::sync::Arc::into_inner);
            if let Some(body) = body {
                host.reuse(body.into_fragments());
            }
        }
    }

    fn reload(&self, number: LeaseNo, stored: &[StoredBatch], host: &impl DriverHost) {
        let lease = self.leases.lock().find(number);
        match lease.map(|lease| self.local.reload(lease)) {
            Some(Ok(read)) => self.hand_over(number, &read.items, stored, host),
            Some(Err(error)) => {
                self.handle(Event::LeaseFailed, host);
                host.notice(Notice::LeaseFailed(&error));
            }
            None => self.hand_over(number, &[], &[], host),
        }
    }

    fn leased(
        &self,
        leased: Result<Option<LocalLease<Q::Lease>>, StorageError>,
        host: &impl DriverHost,
    ) {
        match leased {
            Ok(Some(lease)) => {
                let number = self.leases.lock().add(lease.id);
                self.hand_over(number, &lease.items, &[], host);
            }
            Ok(None) => {
                let number = {
                    let mut leases = self.leases.lock();
                    let number = LeaseNo(leases.next);
                    leases.next += 1;
                    number
                };
                self.hand_over(number, &[], &[], host);
            }
            Err(error) => {
                self.handle(Event::LeaseFailed, host);
                host.notice(Notice::LeaseFailed(&error));
            }
        }
    }

    fn hand_over(
        &self,
        number: LeaseNo,
        items: &[(u64, Bytes)],
        stored: &[StoredBatch],
        host: &impl DriverHost,
    ) {
        let lost = self.lost_before(items);
        let batches = self.read(items, stored, host).after_lost(lost);
        self.handle(Event::Leased(number, batches), host);
    }

    /// Items that are lost to damage between what was read before and these.
    fn lost_before(&self, items: &[(u64, Bytes)]) -> u64 {
        let (Some((first, _)), Some((last, _))) = (items.first(), items.last()) else {
            return 0;
        };
        let through = {
            let mut leases = self.leases.lock();
            let through = leases.read_through;
            leases.read_through = through.max(*last);
            through
        };
        self.local.lost_between(through, *first)
    }

    /// Makes batches of leased items, and compresses them. `stored`: as which batches a previous
    /// run had them.
    fn read(
        &self,
        items: &[(u64, Bytes)],
        stored: &[StoredBatch],
        host: &impl DriverHost,
    ) -> LeasedBatches {
        let batches = LeasedBatches::read(items).cut(stored);
        for (first_record, body) in batches.bodies() {
            let before = stored
                .iter()
                .find(|batch| batch.first_record == first_record)
                .map(|batch| batch.compression);
            match before {
                // The level is of no account to whoever reads it.
                Some(compression) if compression != self.compression.0 => {
                    compress(body, (compression, CompressionLevel::default()), host);
                }
                _ => compress(body, self.compression, host),
            }
        }
        if let Some((error, items)) = batches.unreadable() {
            host.notice(Notice::Unreadable(error, items));
        }
        batches
    }

    fn stamp(&self, number: LeaseNo, tag: Bytes, host: &impl DriverHost) {
        let lease = self.leases.lock().find(number);
        match lease.map(|lease| self.local.tag(lease, tag)) {
            Some(Err(error)) => {
                self.handle(Event::StampFailed(number), host);
                host.notice(Notice::StampFailed(&error));
            }
            Some(Ok(())) | None => self.handle(Event::Stamped(number), host),
        }
    }
}

fn compress(
    body: &BatchBody,
    (compression, level): (Compression, CompressionLevel),
    host: &impl DriverHost,
) {
    if let Err(error) = body.compress(compression, level) {
        host.notice(Notice::NotCompressed(&error));
    }
}
