//! One partition's queue: the state machine, the local queue behind it, and those who wait for them.
//!
//! The lock is held for the encoding of one call or for one event; file I/O, compression and callbacks run outside of it.

mod worker;

mod encode;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wolff_codec::PartitionId;
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{
    Action, Completion, FailReason, LeasedBatches, Outcome, Partition, QueueOperation, Refused,
    Snapshot, starts_batch,
};

use crate::clock::coarse_now_ms;
use crate::completion::{BatchCompletion, Callback, Receipt};
use crate::error::with_causes;
use crate::failures::Failures;
use crate::io::{IoPool, Job};
use crate::record::Call;

pub(crate) use worker::{Worker, WorkerConfig};

/// A queue of one partition, or of a topic whose partitions are not known yet.
pub(crate) struct PartitionQueue {
    /// None: not routed yet.
    pub(crate) partition: Option<PartitionId>,
    state: Mutex<State>,
    local: replayq::Queue,
    leases: Mutex<Leases>,
    compression: Compression,
    level: CompressionLevel,
    on_disk: bool,
    /// Whether queue work goes to the I/O threads: with files, and where batches are compressed.
    uses_io_threads: bool,
    /// A batch may linger, which the worker has to time.
    lingers: bool,
    /// Wakes the worker.
    wake: Notify,
    /// Something moved: for callers that wait for room, for queueing, or for the end.
    progress: Notify,
    /// Outcomes are told by one thread at a time, in order.
    telling: Mutex<()>,
    failures: Arc<Failures>,
}

struct State {
    machine: Partition<Arc<BatchCompletion>>,
    /// The queue's job is scheduled or running.
    job_is_scheduled: bool,
}

/// The local queue's leases by the numbers that the state machine knows them by, oldest first.
#[derive(Default)]
struct Leases {
    next: u64,
    open: VecDeque<(u64, replayq::LeaseId)>,
}

/// A call that was accepted.
pub(crate) struct Taken {
    pub(crate) receipt: Receipt,
    pub(crate) call_no: u64,
}

/// What a queue is made of.
pub(crate) struct QueueParts {
    pub(crate) partition: Option<PartitionId>,
    pub(crate) machine: Partition<Arc<BatchCompletion>>,
    pub(crate) local: replayq::Queue,
    pub(crate) on_disk: bool,
    pub(crate) lingers: bool,
    pub(crate) compression: Compression,
    pub(crate) level: CompressionLevel,
    pub(crate) failures: Arc<Failures>,
}

impl PartitionQueue {
    pub(crate) fn new(parts: QueueParts) -> Arc<Self> {
        Arc::new(Self {
            partition: parts.partition,
            state: Mutex::new(State {
                machine: parts.machine,
                job_is_scheduled: false,
            }),
            local: parts.local,
            leases: Mutex::default(),
            compression: parts.compression,
            level: parts.level,
            on_disk: parts.on_disk,
            uses_io_threads: parts.on_disk || parts.compression != Compression::None,
            lingers: parts.lingers,
            wake: Notify::new(),
            progress: Notify::new(),
            telling: Mutex::new(()),
            failures: parts.failures,
        })
    }

    /// Takes in one call: encoded in place, in the caller's thread. The callback is taken only with it.
    pub(crate) fn accept<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        callback: &mut Option<Callback>,
    ) -> Result<Taken, Refused> {
        let now_ms = coarse_now_ms();
        let mut state = self.state.lock();
        let accepted = state.machine.accept(call.records(now_ms), || {
            (BatchCompletion::new(self.partition), Instant::now())
        })?;
        if let Some(callback) = callback.take() {
            accepted.token.observe(accepted.first_record, callback);
        }
        let schedule = self.uses_io_threads && !state.job_is_scheduled;
        state.job_is_scheduled |= schedule;
        drop(state);
        if schedule {
            IoPool::shared().schedule(self.clone());
        }
        if accepted.wake && (!self.uses_io_threads || self.lingers) {
            self.wake.notify_one();
        }
        let receipt = Receipt {
            batch: accepted.token,
            first_record: accepted.first_record,
        };
        Ok(Taken {
            receipt,
            call_no: accepted.call_no,
        })
    }

    /// The same, waiting while there is no room.
    pub(crate) async fn accept_waiting<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        callback: &mut Option<Callback>,
    ) -> Result<Taken, Refused> {
        loop {
            let mut moved = std::pin::pin!(self.progress.notified());
            // Listen before trying, or the room that is made between the two would be missed.
            moved.as_mut().enable();
            match self.accept(call, callback) {
                Err(Refused::Full) => moved.await,
                done => return done,
            }
        }
    }

    /// Whether a call is queued as soon as it is accepted.
    pub(crate) fn queues_at_once(&self) -> bool {
        !self.on_disk
    }

    /// Counts of this queue.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.lock().machine.snapshot()
    }

    /// Runs `look` until it gives a value, again after each move of the queue.
    pub(crate) async fn wait_for<R>(
        &self,
        mut look: impl FnMut(&mut Partition<Arc<BatchCompletion>>) -> Option<R>,
    ) -> R {
        loop {
            let mut moved = std::pin::pin!(self.progress.notified());
            // Listen before looking, or a move between the two would be missed.
            moved.as_mut().enable();
            if let Some(found) = look(&mut self.state.lock().machine) {
                return found;
            }
            moved.await;
        }
    }

    /// Waits until the call is queued at the durability level, or failed to be.
    pub(crate) async fn wait_queued(&self, call_no: u64) {
        self.wait_for(|machine| (machine.queued_calls() > call_no).then_some(()))
            .await;
    }

    /// Changes the machine from outside and has the consequences carried out.
    pub(crate) fn change<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Partition<Arc<BatchCompletion>>) -> R,
    ) -> R {
        let result = change(&mut self.state.lock().machine);
        self.tell_outcomes();
        self.work_on_queue();
        self.wake.notify_one();
        result
    }

    /// Has the queue's work done: on an I/O thread, or here where it is no more than moving pointers.
    pub(crate) fn work_on_queue(self: &Arc<Self>) {
        if !self.uses_io_threads {
            return self.run_queue_operations();
        }
        let schedule = {
            let mut state = self.state.lock();
            let schedule = !state.job_is_scheduled && state.machine.wants_queue(Instant::now());
            state.job_is_scheduled |= schedule;
            schedule
        };
        if schedule {
            IoPool::shared().schedule(self.clone());
        }
    }

    fn run_queue_operations(&self) {
        loop {
            let operation = {
                let mut state = self.state.lock();
                match state.machine.poll_queue(Instant::now()) {
                    Some(operation) => operation,
                    None => {
                        state.job_is_scheduled = false;
                        return;
                    }
                }
            };
            match operation {
                QueueOperation::Append(frames) => {
                    self.append(frames.into_iter().map(|frame| frame.payload).collect())
                }
                QueueOperation::Lease { items } => self.lease(items),
                QueueOperation::Ack(leases) => self.acknowledge(&leases),
            }
        }
    }

    fn append(&self, payloads: Vec<Bytes>) {
        match self.local.append(&payloads) {
            Ok(ids) => self.state.lock().machine.handle_appended(ids.first.0),
            Err(error) => {
                tracing::error!(partition = ?self.partition, %error, "the local queue refused records");
                self.state
                    .lock()
                    .machine
                    .handle_append_failed(&with_causes(&error));
                self.tell_outcomes();
            }
        }
        self.progress.notify_waiters();
    }

    fn lease(&self, items: Option<usize>) {
        match self.pop_batch(items) {
            Ok((lease, leased)) => {
                leased
                    .bodies()
                    .for_each(|body| encode::compress(body, self.compression, self.level));
                if let Some(error) = leased.unreadable() {
                    tracing::error!(partition = ?self.partition, %error, "records in the local queue are unreadable and lost");
                }
                self.state.lock().machine.handle_leased(lease, leased);
                self.tell_outcomes();
            }
            Err(error) => {
                tracing::error!(partition = ?self.partition, %error, "the local queue cannot be read; trying again");
                self.state
                    .lock()
                    .machine
                    .handle_lease_failed(Instant::now());
            }
        }
        self.wake.notify_one();
    }

    /// Leases the frames of the next batch.
    fn pop_batch(&self, items: Option<usize>) -> Result<(u64, LeasedBatches), replayq::ReadError> {
        let mut is_first = true;
        let mut stop_before = |item: &replayq::ItemRef<'_>| {
            !std::mem::take(&mut is_first) && starts_batch(item.payload)
        };
        let limits =
            replayq::PopLimits::items(items.unwrap_or(usize::MAX)).stop_before(&mut stop_before);
        let lease = self.local.pop(limits)?;
        let mut leases = self.leases.lock();
        let number = leases.next;
        leases.next += 1;
        let Some(lease) = lease else {
            return Ok((number, LeasedBatches::read(&[])));
        };
        leases.open.push_back((number, lease.id));
        drop(leases);
        let items: Vec<(u64, Bytes)> = lease
            .items
            .into_iter()
            .map(|item| (item.id.0, item.payload))
            .collect();
        Ok((number, LeasedBatches::read(&items)))
    }

    fn acknowledge(&self, numbers: &[u64]) {
        for number in numbers {
            let found = {
                let mut leases = self.leases.lock();
                let position = leases.open.iter().position(|(open, _)| open == number);
                position.and_then(|position| leases.open.remove(position))
            };
            if let Some((_, lease)) = found
                && let Err(error) = self.local.ack(lease)
            {
                // Kafka has them; they would be sent again only if the process died before a later ack covers this one.
                tracing::warn!(partition = ?self.partition, %error, "an acknowledgement could not be stored");
            }
        }
    }

    /// Tells those who wait how their calls ended.
    pub(crate) fn tell_outcomes(&self) {
        let _in_order = self.telling.lock();
        let mut told = false;
        loop {
            let Some(completion) = self.state.lock().machine.poll_outcome() else {
                break;
            };
            self.tell(&completion);
            told = true;
        }
        if told {
            self.progress.notify_waiters();
        }
    }

    fn tell(&self, completion: &Completion<Arc<BatchCompletion>>) {
        if let Outcome::Failed(reason) = &completion.outcome {
            self.failures.record(reason, completion.record_count);
            if *reason != FailReason::Stopped {
                tracing::error!(
                    partition = ?self.partition, records = completion.record_count, %reason, "records were given up"
                );
            }
        }
        // What is not routed yet does not end by being moved: its end is told by the partition that it went to.
        let is_moved =
            self.partition.is_none() && matches!(completion.outcome, Outcome::Acked { .. });
        if let Some(token) = &completion.token
            && !is_moved
        {
            token.complete(
                completion.first_record,
                completion.record_count,
                &completion.outcome,
            );
        }
    }

    /// What to do next, for a queue that is not sent from by a worker.
    pub(crate) fn poll_action(self: &Arc<Self>, now: Instant) -> Option<Action> {
        self.state.lock().machine.handle_timeout(now);
        self.work_on_queue();
        let action = self.state.lock().machine.poll_action(now);
        self.tell_outcomes();
        action
    }

    /// Waits until there may be something to do next.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Closes the local queue, which is empty, and removes what it has on disk.
    pub(crate) async fn close_and_purge(self: &Arc<Self>) {
        self.until_idle().await;
        let queue = self.clone();
        let purged = tokio::task::spawn_blocking(move || queue.local.close_and_purge()).await;
        if let Ok(Err(error)) = purged {
            tracing::warn!(%error, "the queue of unrouted records could not be removed");
        }
    }

    /// Stores what was accepted and acknowledged, reports the rest as left behind, and closes the local queue. To be called
    /// when the worker has ended.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.change(Partition::stop_accepting);
        self.wait_for(|machine| {
            (machine.queued_calls() >= machine.snapshot().accepted_calls).then_some(())
        })
        .await;
        self.change(Partition::abandon);
        // The last acknowledgements go to the local queue before it is closed.
        self.until_idle().await;
        if let Err(error) = self.local.close() {
            tracing::warn!(partition = ?self.partition, %error, "the local queue was not closed cleanly");
        }
    }
}

impl PartitionQueue {
    /// Waits until no queue work is left or under way.
    async fn until_idle(&self) {
        loop {
            let mut moved = std::pin::pin!(self.progress.notified());
            moved.as_mut().enable();
            let is_idle = {
                let state = self.state.lock();
                !state.job_is_scheduled && !state.machine.wants_queue(Instant::now())
            };
            if is_idle {
                return;
            }
            moved.await;
        }
    }
}

impl Job for PartitionQueue {
    fn run(self: Arc<Self>) {
        self.run_queue_operations();
        self.progress.notify_waiters();
        if self.state.lock().machine.wants_network(Instant::now()) {
            self.wake.notify_one();
        }
    }
}

impl fmt::Debug for PartitionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionQueue")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
