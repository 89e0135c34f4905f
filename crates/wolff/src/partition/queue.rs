//! A queue of calls: of one partition, or of a topic whose partitions are not known yet.
//!
//! The machine's lock is held for the encoding of one call or for one event; file I/O, compression and
//! callbacks run outside of it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use replayq::Job;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use wolff_codec::PartitionId;
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{
    DoubtReason, Driver, DriverHost, Ended, EndedLease, Event, FailReason, LeaseNo, Notice,
    Opening, Origin, Outcome, Partition, QueueWork, Refused, Snapshot, StorageError, Ticket,
    Unrouted,
};

use super::Token;
use super::ending::{ReportedLease, Reports};
use super::foreign::{ForeignBatch, ForeignBatches, ForeignSource};
use super::lane::{Handover, Lane};
use super::local::Local;
use super::machines::CallMachine;
use crate::buffers::Buffers;
use crate::clock::{self, WallClock};
use crate::completion::{CallbackLane, Observer, OpenBatches, Panics, Receipt};
use crate::config::Overflow;
use crate::error::with_causes;
use crate::failures::Failures;
use crate::io::Lanes;
use crate::record::Call;

/// The queue of one partition.
pub(crate) type PartitionQueue = Queue<Partition<Token>>;

/// The queue of calls that were accepted before the topic's partitions were known.
pub(crate) type UnroutedQueue = Queue<Unrouted<Token>>;

/// A queue with the machine `M`.
pub(crate) struct Queue<M: CallMachine> {
    partition: Option<PartitionId>,
    is_on_disk: bool,
    driver: Driver<M, Local>,
    lanes: QueueLanes,
    open: Mutex<OpenBatches>,
    callbacks: Arc<CallbackLane>,
    reporting: Mutex<Reporting>,
    /// Wakes the task that serves the machine's network side.
    wake: Notify,
    /// Notified whenever something changed that a caller may wait for.
    progress: Notify,
    failures: Arc<Failures>,
    /// For records that bring no time.
    wall_clock: WallClock,
}

/// The work of a queue on the I/O threads.
struct QueueLanes {
    appends: Lane,
    leases: Lane,
    /// `false`: everything is done where it is requested, since it is no more than moving pointers.
    uses_threads: bool,
    threads: Lanes,
}

/// Ends are reported by one thread at a time, in order.
#[derive(Default)]
struct Reporting {
    reports: Reports,
    foreign: ForeignBatches,
}

/// A call that was accepted.
pub(crate) struct Taken {
    pub(crate) receipt: Receipt,
    pub(crate) call_no: u64,
}

/// The parts of a queue.
pub(crate) struct QueueParts<M> {
    pub(crate) partition: Option<PartitionId>,
    pub(crate) machine: M,
    pub(crate) local: Local,
    pub(crate) recovered_leases: Vec<replayq::LeaseId>,
    pub(crate) is_on_disk: bool,
    pub(crate) compression: (Compression, CompressionLevel),
    pub(crate) failures: Arc<Failures>,
    pub(crate) runtime: Handle,
    pub(crate) panics: Panics,
    pub(crate) threads: Lanes,
    pub(crate) wall_clock: WallClock,
}

impl<M: CallMachine> Queue<M> {
    pub(crate) fn new(parts: QueueParts<M>) -> Arc<Self> {
        Arc::new_cyclic(|queue: &Weak<Self>| {
            let reported = queue.clone();
            let callbacks = CallbackLane::new(parts.runtime, parts.panics, move || {
                if let Some(queue) = reported.upgrade() {
                    queue.callbacks_returned();
                }
            });
            Self {
                partition: parts.partition,
                is_on_disk: parts.is_on_disk,
                driver: Driver::new(
                    parts.machine,
                    parts.local,
                    parts.compression,
                    parts.recovered_leases,
                ),
                lanes: QueueLanes {
                    appends: Lane::new(),
                    leases: Lane::new(),
                    uses_threads: parts.is_on_disk || parts.compression.0 != Compression::None,
                    threads: parts.threads,
                },
                open: Mutex::new(OpenBatches::new(callbacks.clone())),
                callbacks,
                reporting: Mutex::default(),
                wake: Notify::new(),
                progress: Notify::new(),
                failures: parts.failures,
                wall_clock: parts.wall_clock,
            }
        })
    }

    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// Accepts one call: encoded in place, in the caller's thread. The observer is taken only with it.
    /// `is_awaited`: the caller waits until it is queued.
    #[inline]
    pub(crate) fn accept<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
    ) -> Result<Taken, Refused> {
        let now_ms = self.wall_clock.now_ms();
        let is_awaited = is_awaited && self.is_on_disk;
        let mut machine = self.driver.machine();
        let accepted = machine.accept(
            call.records(now_ms),
            is_awaited,
            || Opening {
                token: self.open.lock().open(self.partition),
                now: clock::now(),
                now_ms,
            },
            |bytes| Buffers::shared().take(bytes),
        )?;
        if let Some(observer) = observer.take() {
            let observer = if is_awaited {
                observer.sender_waits()
            } else {
                observer
            };
            accepted.token.observe(accepted.first_record, observer);
        }
        drop(machine);
        if accepted.work != QueueWork::None && self.lanes.uses_threads {
            self.request_append(accepted.work == QueueWork::Now);
        }
        if accepted.wakes {
            self.wake.notify_one();
        }
        Ok(Taken {
            receipt: Receipt::new(accepted.token, accepted.first_record),
            call_no: accepted.call_no,
        })
    }

    /// The same, waiting while the disk is behind, and with [`Overflow::Block`] while there is no room.
    pub(crate) async fn accept_waiting<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
        is_awaited: bool,
        overflow: Overflow,
    ) -> Result<Taken, Refused> {
        loop {
            // Listen before trying, or the room that is made between the two would be missed.
            let mut moved = std::pin::pin!(self.progress.notified());
            moved.as_mut().enable();
            match self.accept(call, observer, is_awaited) {
                Err(Refused::Behind) => moved.await,
                Err(Refused::Full) if overflow == Overflow::Block => moved.await,
                done => return done,
            }
        }
    }

    /// Whether a call is queued as soon as it is accepted.
    pub(crate) fn queues_at_once(&self) -> bool {
        !self.is_on_disk
    }

    /// The lane in which callbacks of this queue run.
    pub(crate) fn callbacks(&self) -> &Arc<CallbackLane> {
        &self.callbacks
    }

    pub(crate) fn is_on_disk(&self) -> bool {
        self.is_on_disk
    }

    /// Counts of this queue.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.driver.machine().snapshot()
    }

    /// The machine, locked. Whoever changes it calls [`settle`](Self::settle) afterwards.
    pub(crate) fn machine(&self) -> MutexGuard<'_, M> {
        self.driver.machine()
    }

    /// Runs `look` until it returns a value, again after each move of the queue.
    pub(crate) async fn wait_for<R>(
        self: &Arc<Self>,
        mut look: impl FnMut(&mut M) -> Option<R>,
    ) -> R {
        loop {
            let mut moved = std::pin::pin!(self.progress.notified());
            // Listen before looking, or a move between the two would be missed.
            moved.as_mut().enable();
            if let Some(found) = look(&mut self.driver.machine()) {
                return found;
            }
            moved.await;
        }
    }

    /// Waits until the call is queued at the durability level, or failed to be.
    pub(crate) async fn wait_queued(self: &Arc<Self>, call_no: u64) {
        self.wait_for(|machine| (machine.queued_calls() > call_no).then_some(()))
            .await;
    }

    /// Something happened to the machine.
    pub(crate) fn handle(self: &Arc<Self>, event: Event) {
        self.driver.machine().handle(event, clock::now());
        self.settle();
    }

    /// Changes the machine and has the consequences carried out.
    pub(crate) fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut M) -> R) -> R {
        let result = change(&mut self.driver.machine());
        self.settle();
        self.progress.notify_waiters();
        self.wake.notify_one();
        result
    }

    /// Carries out the consequences of an event: ends are reported, work on the local queue is done or
    /// handed to the I/O threads.
    pub(crate) fn settle(self: &Arc<Self>) {
        self.report_ends();
        self.request_work();
    }

    fn request_work(self: &Arc<Self>) {
        let now = clock::now();
        let (appends, leases) = {
            let machine = self.driver.machine();
            (machine.wants_append(now), machine.wants_lease(now))
        };
        if appends {
            self.request_append(true);
        }
        if leases {
            self.request_lease();
        }
    }

    #[inline]
    fn request_append(self: &Arc<Self>, at_once: bool) {
        match self.lanes.appends.request(at_once) {
            Handover::None => {}
            Handover::Now if !self.lanes.uses_threads => self.run_appends(),
            Handover::Now => self.lanes.threads.append(self.clone()),
            Handover::Later => self.lanes.threads.append_later(self.clone()),
        }
    }

    fn request_lease(self: &Arc<Self>) {
        match self.lanes.leases.request(true) {
            Handover::None => {}
            _ if !self.lanes.uses_threads => self.run_leases(),
            _ => self.lanes.threads.lease(Arc::new(LeaseJob(self.clone()))),
        }
    }

    /// Does the appends and acknowledgements there are, in one thread at a time.
    fn run_appends(self: &Arc<Self>) {
        let Some(is_due) = self.lanes.appends.begin() else {
            return;
        };
        if is_due {
            self.driver.machine().request_commit();
        }
        loop {
            self.driver.run_appends(&Host(self));
            self.report_ends();
            if !self.lanes.appends.finish() {
                break;
            }
        }
        // A small fragment that nobody waits for is stored a moment later, with others.
        if self.driver.machine().has_uncommitted() {
            self.request_append(false);
        }
        self.after_work();
    }

    /// Does the leases, stamps and splits there are, in one thread at a time.
    fn run_leases(self: &Arc<Self>) {
        if self.lanes.leases.begin().is_none() {
            return;
        }
        loop {
            self.driver.run_leases(&Host(self));
            if !self.lanes.leases.finish() {
                break;
            }
        }
        self.after_work();
    }

    fn after_work(self: &Arc<Self>) {
        self.report_ends();
        self.progress.notify_waiters();
        self.wake.notify_one();
        self.request_work();
    }

    /// Reports the ends of calls: receipts at once, callbacks in their lane; leases whose ends were
    /// reported are acknowledged.
    fn report_ends(&self) {
        let mut has_reported = false;
        {
            let mut reporting = self.reporting.lock();
            loop {
                let Some(ended) = self.driver.machine().poll_end() else {
                    break;
                };
                self.report(ended, &mut reporting);
                has_reported = true;
            }
        }
        self.callbacks_returned();
        if has_reported {
            self.progress.notify_waiters();
        }
    }

    fn report(&self, ended: Ended<Token>, reporting: &mut Reporting) {
        let mut sources = Vec::new();
        let mut number = self.callbacks.reported_through();
        if let Some(completion) = ended.completion {
            let range = (completion.first_record, completion.record_count);
            let called = match completion.origin {
                Origin::ThisRun(token) => token.complete(
                    completion.first_record,
                    completion.record_count,
                    &completion.outcome,
                ),
                Origin::PreviousRun => Vec::new(),
                Origin::Foreign(ticket) => {
                    let (called, leases) =
                        reporting
                            .foreign
                            .end(ticket, self.partition, range, &completion.outcome);
                    sources = leases;
                    called
                }
            };
            number = self.callbacks.call(called);
            self.count(&completion.outcome, completion.record_count);
        }
        let own = ended.lease.map(ReportedLease::Own);
        for lease in own
            .into_iter()
            .chain(sources.into_iter().map(ReportedLease::Source))
        {
            reporting.reports.push(number, lease);
        }
    }

    fn count(&self, outcome: &Outcome, records: u32) {
        if let Outcome::InDoubt(reason) = outcome {
            self.failures.record_doubt(*reason, records);
        }
        let Outcome::Failed(reason) = outcome else {
            return;
        };
        self.failures.record(reason, records);
        if *reason != FailReason::Stopped {
            tracing::error!(
                partition = ?self.partition, records, reason = %with_causes(reason), "records failed"
            );
        }
    }

    /// Acknowledges the leases whose ends have reached their callbacks.
    fn callbacks_returned(&self) {
        let mut seen = None;
        let mut leases = Vec::new();
        // Callbacks can return while ends are being reported, even in the thread that reports them:
        // whoever holds the lock looks again afterwards.
        while seen != Some(self.callbacks.reported_through())
            && let Some(mut reporting) = self.reporting.try_lock()
        {
            let through = self.callbacks.reported_through();
            leases.extend(reporting.reports.reported(through));
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
        self.wake.notify_one();
    }

    /// Waits until something may have to be done on the machine's network side.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Waits until no work on the local queue is left or under way, and every callback has returned.
    async fn until_idle(self: &Arc<Self>) {
        loop {
            let mut moved = std::pin::pin!(self.progress.notified());
            moved.as_mut().enable();
            self.settle();
            let is_idle = {
                let now = clock::now();
                let machine = self.driver.machine();
                !machine.wants_append(now) && !machine.wants_lease(now)
            };
            if is_idle && self.lanes.appends.is_idle() && self.lanes.leases.is_idle() {
                break;
            }
            moved.await;
        }
        self.callbacks.idle().await;
    }

    /// Stores what was accepted, reports the rest as left behind, and closes the local queue. Nothing
    /// may be sent any more.
    pub(crate) async fn close(self: &Arc<Self>, sent: DoubtReason) -> Result<(), StorageError> {
        self.change(CallMachine::stop_accepting);
        self.wait_for(|machine| {
            let accepted = machine.snapshot().calls.accepted;
            (machine.queued_calls() >= accepted).then_some(())
        })
        .await;
        self.change(|machine| machine.abandon(&FailReason::Stopped, sent));
        // The last acknowledgements go to the local queue before it is closed.
        self.until_idle().await;
        self.until_idle().await;
        self.close_local(|queue| queue.close()).await
    }

    /// Closes the local queue and removes its files.
    pub(crate) async fn close_and_purge(self: &Arc<Self>) -> Result<(), StorageError> {
        self.until_idle().await;
        self.until_idle().await;
        self.close_local(|queue| queue.close_and_purge()).await
    }

    async fn close_local(
        &self,
        close: impl FnOnce(&replayq::Queue) -> Result<(), replayq::FlushError> + Send + 'static,
    ) -> Result<(), StorageError> {
        let Some(queue) = self.driver.local().take() else {
            return Ok(());
        };
        if !self.is_on_disk {
            return close(&queue).map_err(StorageError::new);
        }
        let closed = self.lanes.threads.compute(move || close(&queue)).await;
        closed.map_or_else(
            || {
                Err(StorageError::new(std::io::Error::other(
                    "closing was interrupted by a panic",
                )))
            },
            |closed| closed.map_err(StorageError::new),
        )
    }

    /// Ends everything at once: the task that served the queue is gone, its runtime has ended, or code
    /// panicked in it. What is on disk stays there.
    pub(crate) fn give_up(&self, unsent: &FailReason, sent: DoubtReason) {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.driver.machine().abandon(unsent, sent);
            self.report_ends();
        }));
        if ended.is_err() {
            tracing::error!(partition = ?self.partition, "a queue is inconsistent after a panic");
        }
        self.open.lock().give_up(&Outcome::InDoubt(sent));
        // Its directory is free for whoever comes next.
        drop(self.driver.local().take());
        self.progress.notify_waiters();
    }

    /// Runs a job of the queue; a panic in it ends the queue and not the thread.
    fn contain(self: &Arc<Self>, job: impl FnOnce(&Arc<Self>)) {
        if catch_unwind(AssertUnwindSafe(|| job(self))).is_err() {
            tracing::error!(partition = ?self.partition, "an I/O job panicked: the queue accepts no more calls");
            // Whatever it was appending has no other end: nobody says any more whether it was stored.
            let error =
                StorageError::new(std::io::Error::other("the thread that appended panicked"));
            let failed = catch_unwind(AssertUnwindSafe(|| {
                let now = clock::now();
                self.driver
                    .machine()
                    .handle(Event::AppendFailed(error), now);
            }));
            drop(failed);
            self.give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
        }
    }
}

impl PartitionQueue {
    /// Takes a batch of the unrouted queue's records.
    pub(crate) fn push_foreign(self: &Arc<Self>, batch: ForeignBatch, body: wolff_core::BatchBody) {
        let ticket: Ticket = self.reporting.lock().foreign.add(batch);
        self.change(|machine| machine.handle(Event::Foreign(ticket, body), clock::now()));
    }
}

impl UnroutedQueue {
    /// Records of a lease that cannot be routed fail.
    pub(crate) fn fail_routing(
        self: &Arc<Self>,
        (lease, origin): (LeaseNo, &Origin<Token>),
        (first_record, records): (u32, u32),
        calls: u64,
        reason: FailReason,
    ) {
        let outcome = Outcome::Failed(reason);
        if let Origin::ThisRun(token) = origin {
            let called = token.complete_in(None, first_record, records, &outcome);
            self.callbacks.call(called);
        }
        self.count(&outcome, records);
        if let Some(ended) = ForeignSource::ended(&**self, lease, records, calls, &outcome) {
            self.handle(Event::Reported(ended));
        }
    }
}

impl ForeignSource for UnroutedQueue {
    fn ended(
        &self,
        lease: LeaseNo,
        records: u32,
        calls: u64,
        outcome: &Outcome,
    ) -> Option<EndedLease> {
        let ended = self.driver.machine().ended(lease, records, calls, outcome);
        self.progress.notify_waiters();
        self.wake.notify_one();
        ended
    }

    fn is_durable(&self) -> bool {
        self.is_on_disk
    }

    fn reported(self: Arc<Self>, lease: EndedLease) {
        self.handle(Event::Reported(lease));
    }
}

impl<M: CallMachine> Job for Queue<M> {
    fn run(self: Arc<Self>) {
        self.contain(|queue| queue.run_appends());
    }
}

/// The queue's leases, as a job.
struct LeaseJob<M: CallMachine>(Arc<Queue<M>>);

impl<M: CallMachine> Job for LeaseJob<M> {
    fn run(self: Arc<Self>) {
        self.0.contain(|queue| queue.run_leases());
    }
}

/// The surroundings of the driver.
struct Host<'a, M: CallMachine>(&'a Queue<M>);

impl<M: CallMachine> DriverHost for Host<'_, M> {
    fn now(&self) -> Instant {
        clock::now()
    }

    fn notice(&self, notice: Notice<'_>) {
        let partition = self.0.partition;
        match notice {
            Notice::Appended => self.0.progress.notify_waiters(),
            Notice::AppendFailed(error) => {
                tracing::error!(?partition, error = %with_causes(error), "the local queue refused records");
                self.0.report_ends();
            }
            Notice::Leased => {
                for damage in self.0.driver.local().new_damages() {
                    tracing::error!(?partition, %damage, "the local queue is damaged");
                }
                self.0.wake.notify_one();
            }
            Notice::LeaseFailed(error) => {
                tracing::error!(?partition, error = %with_causes(error), "the local queue cannot be read; trying again");
            }
            Notice::Unreadable(error, items) => {
                tracing::error!(?partition, %error, items, "the local queue holds unreadable items");
            }
            Notice::StampFailed(error) => {
                tracing::warn!(?partition, error = %with_causes(error), "a stamp could not be stored; trying again");
            }
            Notice::AckFailed(error) => {
                // Kafka has them; they are sent again only if the process dies before a later
                // acknowledgement covers this one.
                tracing::warn!(?partition, error = %with_causes(error), "an acknowledgement could not be stored");
            }
            Notice::NotCompressed(error) => {
                tracing::warn!(?partition, %error, "a batch could not be compressed and is sent as it is");
            }
            _ => {}
        }
    }

    fn reuse(&self, fragments: Vec<Bytes>) {
        Buffers::shared().give(fragments);
    }
}

impl<M: CallMachine> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
