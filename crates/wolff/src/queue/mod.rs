//! One partition's queue: the state machine, the local queue behind it, and those who wait for them.
//!
//! The lock is held for the encoding of one call or for one event; file I/O, compression and callbacks run outside of it.

mod worker;

mod encode;

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use replayq::Job;
use tokio::sync::Notify;
use wolff_codec::PartitionId;
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{
    Action, Completion, EndedLease, FailReason, LeasedBatches, Outcome, Partition, QueueOperation,
    Refused, Snapshot, StorageError, starts_batch,
};

use crate::buffers::Buffers;
use crate::clock::coarse_now_ms;
use crate::completion::{BatchCompletion, CallbackLane, Observer, OpenBatches, Receipt};
use crate::failures::Failures;
use crate::io;
use crate::record::Call;

pub(crate) use worker::{Worker, WorkerConfig};

/// A frame of this size is written at once: waiting would hardly make the next one cheaper for each of its bytes.
const FULL_FRAME_BYTES: usize = 64 * 1024;

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
    /// How many callers wait for a move: there is none to be put off then.
    waiting: AtomicUsize,
    /// Outcomes are told by one thread at a time, in order.
    telling: Mutex<()>,
    failures: Arc<Failures>,
    /// Where callbacks run.
    lane: Arc<CallbackLane>,
}

struct State {
    machine: Partition<Arc<BatchCompletion>>,
    batches: OpenBatches,
    work: Work,
}

/// Where the queue's work on the I/O threads stands. It is in one hand at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// There is none.
    Idle,
    /// Records were accepted that nobody waits for: a frame is cut in a moment, of all that have come by then.
    Later,
    /// An I/O thread is about to do it.
    Scheduled,
    /// An I/O thread does it.
    Running,
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
    pub(crate) lane: Arc<CallbackLane>,
}

impl PartitionQueue {
    pub(crate) fn new(parts: QueueParts) -> Arc<Self> {
        Arc::new(Self {
            partition: parts.partition,
            state: Mutex::new(State {
                machine: parts.machine,
                batches: OpenBatches::new(parts.lane.clone()),
                work: Work::Idle,
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
            waiting: AtomicUsize::new(0),
            telling: Mutex::new(()),
            failures: parts.failures,
            lane: parts.lane,
        })
    }

    /// Takes in one call: encoded in place, in the caller's thread. The observer is taken only with it.
    #[inline]
    pub(crate) fn accept<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
    ) -> Result<Taken, Refused> {
        let now_ms = coarse_now_ms();
        let mut state = self.state.lock();
        let State {
            machine, batches, ..
        } = &mut *state;
        let accepted = machine.accept(
            call.records(now_ms),
            || (batches.open(self.partition), Instant::now()),
            |bytes| Buffers::shared().take(bytes),
        )?;
        if let Some(observer) = observer.take() {
            accepted.token.observe(accepted.first_record, observer);
        }
        let work = if self.uses_io_threads {
            self.plan_work(&mut state, accepted.wake)
        } else {
            None
        };
        drop(state);
        if let Some(work) = work {
            self.hand_over(work);
        }
        if accepted.wake && (!self.uses_io_threads || self.lingers) {
            self.wake.notify_one();
        }
        Ok(Taken {
            receipt: Receipt::new(accepted.token, accepted.first_record),
            call_no: accepted.call_no,
        })
    }

    /// The same, waiting while there is no room.
    pub(crate) async fn accept_waiting<C: Call + ?Sized>(
        self: &Arc<Self>,
        call: &C,
        observer: &mut Option<Observer>,
    ) -> Result<Taken, Refused> {
        loop {
            // Listen before trying, or the room that is made between the two would be missed.
            let mut moved = std::pin::pin!(self.progress.notified());
            moved.as_mut().enable();
            match self.accept(call, observer) {
                Err(Refused::Full) => moved.await,
                done => return done,
            }
        }
    }

    /// Where callbacks run.
    pub(crate) fn lane(&self) -> &Arc<CallbackLane> {
        &self.lane
    }

    /// Whether a call is queued as soon as it is accepted.
    pub(crate) fn queues_at_once(&self) -> bool {
        !self.on_disk
    }

    /// Counts of this queue.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.lock().machine.snapshot()
    }

    /// Runs `look` until it gives a value, again after each move of the queue. Nothing is put off meanwhile.
    pub(crate) async fn wait_for<R>(
        self: &Arc<Self>,
        mut look: impl FnMut(&mut Partition<Arc<BatchCompletion>>) -> Option<R>,
    ) -> R {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let mut moved = std::pin::pin!(self.progress.notified());
            // Listen before looking, or a move between the two would be missed.
            moved.as_mut().enable();
            if let Some(found) = look(&mut self.state.lock().machine) {
                return found;
            }
            self.hurry();
            moved.await;
        }
    }

    /// Waits until the call is queued at the durability level, or failed to be.
    pub(crate) async fn wait_queued(self: &Arc<Self>, call_no: u64) {
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

    /// What a call that was accepted changes about the work to do. `wake`: a batch was opened or closed by it.
    #[inline]
    fn plan_work(&self, state: &mut State, wake: bool) -> Option<Work> {
        let is_urgent = wake
            || (self.on_disk
                && (state.machine.uncut_bytes() >= FULL_FRAME_BYTES
                    || self.waiting.load(Ordering::Relaxed) > 0));
        let planned = match state.work {
            Work::Idle | Work::Later if is_urgent => Work::Scheduled,
            Work::Idle if self.on_disk => Work::Later,
            _ => return None,
        };
        state.work = planned;
        Some(planned)
    }

    #[cold]
    fn hand_over(self: &Arc<Self>, work: Work) {
        match work {
            Work::Later => io::schedule_later(self.clone()),
            _ => io::schedule(self.clone()),
        }
    }

    /// What was put off is done now.
    fn hurry(self: &Arc<Self>) {
        let is_put_off = {
            let mut state = self.state.lock();
            let is_put_off = state.work == Work::Later;
            if is_put_off {
                state.work = Work::Scheduled;
            }
            is_put_off
        };
        if is_put_off {
            self.hand_over(Work::Scheduled);
        }
    }

    /// Has the queue's work done: on an I/O thread, or here where it is no more than moving pointers.
    pub(crate) fn work_on_queue(self: &Arc<Self>) {
        if !self.uses_io_threads {
            self.run_queue_operations();
            return;
        }
        let schedule = {
            let mut state = self.state.lock();
            let schedule = state.work == Work::Idle && state.machine.wants_queue(Instant::now());
            if schedule {
                state.work = Work::Scheduled;
            }
            schedule
        };
        if schedule {
            self.hand_over(Work::Scheduled);
        }
    }

    /// Does all there is to do. What is left for later is a small frame that nobody waits for.
    fn run_queue_operations(&self) -> Work {
        let mut cuts = true;
        loop {
            let operation = {
                let mut state = self.state.lock();
                match state.machine.poll_queue(Instant::now(), cuts) {
                    Some(operation) => operation,
                    None => {
                        let is_left = self.on_disk && state.machine.uncut_bytes() > 0;
                        state.work = if is_left { Work::Later } else { Work::Idle };
                        return state.work;
                    }
                }
            };
            match operation {
                QueueOperation::Append(frames) => {
                    self.append(frames.into_iter().map(|frame| frame.payload).collect())
                }
                QueueOperation::Lease { items } => self.lease(items),
                QueueOperation::Ack(ended) => ended.into_iter().for_each(|ended| self.end(ended)),
            }
            cuts = self.waiting.load(Ordering::Acquire) > 0
                || self.state.lock().machine.uncut_bytes() >= FULL_FRAME_BYTES;
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
                    .handle_append_failed(&StorageError::new(error));
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

    /// Takes what is done out of the local queue, and keeps its memory for the next batch.
    fn end(&self, ended: EndedLease) {
        let found = {
            let mut leases = self.leases.lock();
            let position = leases
                .open
                .iter()
                .position(|(open, _)| *open == ended.lease);
            position.and_then(|position| leases.open.remove(position))
        };
        if let Some((_, lease)) = found
            && let Err(error) = self.local.ack(lease)
        {
            // Kafka has them; they would be sent again only if the process died before a later ack covers this one.
            tracing::warn!(partition = ?self.partition, %error, "an acknowledgement could not be stored");
        }
        if let Some(body) = ended.body.and_then(Arc::into_inner) {
            Buffers::shared().give(body.frames);
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
        if let Outcome::InDoubt(reason) = &completion.outcome {
            self.failures.record_doubt(*reason, completion.record_count);
        }
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
            let called = token.complete(
                completion.first_record,
                completion.record_count,
                &completion.outcome,
            );
            self.lane.call(called);
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
    pub(crate) async fn close(self: &Arc<Self>) -> Result<(), StorageError> {
        self.change(Partition::stop_accepting);
        self.wait_for(|machine| {
            (machine.queued_calls() >= machine.snapshot().accepted_calls).then_some(())
        })
        .await;
        self.change(Partition::abandon);
        // The last acknowledgements go to the local queue before it is closed.
        self.until_idle().await;
        self.lane.idle().await;
        self.local.close().map_err(|error| {
            tracing::warn!(partition = ?self.partition, %error, "the local queue was not closed cleanly");
            StorageError::new(error)
        })
    }
}

/// Somebody who waits, for as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
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
                state.work == Work::Idle && !state.machine.wants_queue(Instant::now())
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
        if catch_unwind(AssertUnwindSafe(|| self.do_its_work())).is_err() {
            tracing::error!(partition = ?self.partition, "an I/O job panicked; its queue stands still");
        }
    }
}

impl PartitionQueue {
    /// What its job is, on an I/O thread.
    fn do_its_work(self: &Arc<Self>) {
        {
            let mut state = self.state.lock();
            if matches!(state.work, Work::Idle | Work::Running) {
                // It was hurried, and this is the appointment that it had before.
                return;
            }
            state.work = Work::Running;
        }
        if self.run_queue_operations() == Work::Later {
            self.hand_over(Work::Later);
        }
        self.progress.notify_waiters();
        if self.state.lock().machine.wants_network(Instant::now()) {
            self.wake.notify_one();
        }
    }
}

impl Drop for PartitionQueue {
    /// Ends what has not ended, for a producer that was dropped without a stop.
    fn drop(&mut self) {
        self.state.get_mut().machine.stop_accepting();
        self.state.get_mut().machine.abandon();
        while let Some(completion) = self.state.get_mut().machine.poll_outcome() {
            self.tell(&completion);
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

#[cfg(test)]
mod tests;
