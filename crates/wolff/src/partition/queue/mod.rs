//! A queue of calls: of one partition, or of a topic whose partitions are not known yet.
//!
//! The machine's lock is held for the encoding of one call or for one event; file I/O,
//! compression and callbacks run outside of it.

#[cfg(test)]
mod tests;

mod closing;

mod unrouted;

mod work;

mod report;

mod accept;

mod signals;

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use wolff_codec::PartitionId;
use wolff_codec::records::{Compression, CompressionLevel};
use wolff_core::{Driver, Event, Partition, Snapshot, Ticket, Unrouted};

use self::report::Reporting;
use self::signals::Signals;
use self::work::QueueLanes;
use super::Token;
use super::foreign::ForeignBatch;
use super::local::Local;
use super::machines::CallMachine;
use crate::clock::{self, WallClock};
use crate::completion::{CallbackLane, OpenBatches, Panics};
use crate::descriptors::{Descriptors, Trim};
use crate::failures::Failures;
use crate::io::Lanes;
use crate::memory::{Allowance, MemoryBudget};

pub(crate) use self::accept::Taken;

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
    reporting: Reporting,
    /// The queue's part of the memory budget. Locked for a moment, with the machine's lock
    /// held.
    memory: Mutex<Allowance>,
    signals: Signals,
    descriptors: Arc<Descriptors>,
    /// For records that bring no time.
    wall_clock: WallClock,
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
    pub(crate) memory_budget: MemoryBudget,
    pub(crate) descriptors: Arc<Descriptors>,
}

impl<M: CallMachine> Queue<M> {
    pub(crate) fn new(parts: QueueParts<M>) -> Arc<Self> {
        let mut machine = parts.machine;
        machine.set_memory_room(0, false);
        let memory = Mutex::new(Allowance::new(parts.memory_budget));
        let descriptors = parts.descriptors.clone();
        let queue = Arc::new_cyclic(|queue: &Weak<Self>| {
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
                    machine,
                    parts.local,
                    parts.compression,
                    parts.recovered_leases,
                ),
                lanes: QueueLanes::new(
                    parts.threads,
                    parts.is_on_disk || parts.compression.0 != Compression::None,
                ),
                open: Mutex::new(OpenBatches::new(callbacks.clone())),
                reporting: Reporting::new(callbacks, parts.failures),
                memory,
                signals: Signals::default(),
                descriptors: parts.descriptors,
                wall_clock: parts.wall_clock,
            }
        });
        if queue.is_on_disk {
            let queue: Arc<dyn Trim> = queue.clone();
            descriptors.add(Arc::downgrade(&queue));
        }
        queue
    }

    pub(crate) fn partition(&self) -> Option<PartitionId> {
        self.partition
    }

    /// Returns true where a call is queued as soon as it is accepted.
    pub(crate) fn queues_at_once(&self) -> bool {
        !self.is_on_disk
    }

    /// The lane in which callbacks of this queue run.
    pub(crate) fn callbacks(&self) -> &Arc<CallbackLane> {
        self.reporting.callbacks()
    }

    /// Returns whether everything in it was ended early, and it accepts nothing for good.
    pub(crate) fn is_given_up(&self) -> bool {
        self.driver.local().is_given_up()
    }

    pub(crate) fn is_on_disk(&self) -> bool {
        self.is_on_disk
    }

    /// The time of day, milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        self.wall_clock.now_ms()
    }

    /// Counts of this queue.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.driver.machine().snapshot()
    }

    /// Damaged places that were found in the files of this queue.
    pub(crate) fn damages(&self) -> u64 {
        u64::try_from(self.driver.local().damages()).unwrap_or(u64::MAX)
    }

    /// The machine, locked. Whoever changes it calls [`settle`](Self::settle) afterwards.
    pub(crate) fn machine(&self) -> MutexGuard<'_, M> {
        self.driver.machine()
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
        self.signals.moved();
        self.signals.wake();
        result
    }

    /// Carries out the consequences of an event: ends are reported, work on the local queue is
    /// done or handed to the I/O threads. A panic in that ends the queue and not whoever caused the
    /// event: a caller would leave the others waiting for what is not done.
    pub(crate) fn settle(self: &Arc<Self>) {
        self.contain(|queue| {
            queue.report_ends();
            queue.request_work();
        });
    }

    /// Waits until something may have to be done on the machine's network side.
    pub(crate) async fn woken(&self) {
        self.signals.woken().await;
    }
}

impl PartitionQueue {
    /// Takes a batch of the unrouted queue's records. `was_sent`: perhaps by a previous run.
    pub(crate) fn push_foreign(
        self: &Arc<Self>,
        batch: ForeignBatch,
        body: wolff_core::BatchBody,
        was_sent: bool,
    ) {
        let ticket: Ticket = self.reporting.add_foreign(batch);
        let event = Event::Foreign {
            ticket,
            body,
            was_sent,
        };
        self.change(|machine| machine.handle(event, clock::now()));
    }
}

impl<M: CallMachine> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
