//! The work on the local queue: in one thread at a time, on the I/O threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use replayq::Job;
use wolff_core::{DoubtReason, DriverHost, Event, FailReason, Notice, StorageError};

use super::super::lane::{Handover, Lane};
use super::super::machines::CallMachine;
use super::Queue;
use crate::buffers::Buffers;
use crate::clock;
use crate::descriptors::Trim;
use crate::error::with_causes;
use crate::io::Lanes;

/// The work of a queue on the I/O threads.
pub(super) struct QueueLanes {
    appends: Lane,
    leases: Lane,
    /// `false`: everything is done where it is requested, since it is no more than moving
    /// pointers.
    uses_threads: bool,
    threads: Lanes,
}

impl QueueLanes {
    pub(super) fn new(threads: Lanes, uses_threads: bool) -> Self {
        Self {
            appends: Lane::new(),
            leases: Lane::new(),
            uses_threads,
            threads,
        }
    }

    #[inline]
    pub(super) fn uses_threads(&self) -> bool {
        self.uses_threads
    }

    pub(super) fn threads(&self) -> &Lanes {
        &self.threads
    }

    /// Returns true where no work is left or under way.
    pub(super) fn are_idle(&self) -> bool {
        self.appends.is_idle() && self.leases.is_idle()
    }
}

impl<M: CallMachine> Queue<M> {
    pub(super) fn request_work(self: &Arc<Self>) {
        let now = clock::now();
        let (appends, leases) = {
            let mut machine = self.driver.machine();
            self.balance(&mut machine);
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
    pub(super) fn request_append(self: &Arc<Self>, at_once: bool) {
        match self.lanes.appends.request(at_once) {
            Handover::None => {}
            Handover::Now if !self.lanes.uses_threads => self.contain(|queue| queue.run_appends()),
            Handover::Now => self.lanes.threads.append(self.clone()),
            Handover::Later => self.lanes.threads.append_later(self.clone()),
        }
    }

    fn request_lease(self: &Arc<Self>) {
        match self.lanes.leases.request(true) {
            Handover::None => {}
            _ if !self.lanes.uses_threads => self.contain(|queue| queue.run_leases()),
            _ => self.lanes.threads.lease(Arc::new(LeaseJob(self.clone()))),
        }
    }

    /// Does the appends and acknowledgements there are, in one thread at a time.
    fn run_appends(self: &Arc<Self>) {
        let Some(is_due) = self.lanes.appends.begin() else {
            return;
        };
        let watch = self.lanes.appends.watch();
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
        drop(watch);
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
        let watch = self.lanes.leases.watch();
        loop {
            self.driver.run_leases(&Host(self));
            if !self.lanes.leases.finish() {
                break;
            }
        }
        drop(watch);
        self.after_work();
    }

    fn after_work(self: &Arc<Self>) {
        self.report_ends();
        self.signals.moved();
        self.signals.wake();
        self.request_work();
    }

    /// Runs a job of the queue; a panic in it ends the queue, and neither the thread nor the caller
    /// who happens to do it.
    pub(super) fn contain(self: &Arc<Self>, job: impl FnOnce(&Arc<Self>)) {
        if catch_unwind(AssertUnwindSafe(|| job(self))).is_err() {
            tracing::error!(
                partition = self.partition.map(|number| number.0),
                "work on a queue panicked: it accepts no more calls"
            );
            // Whatever it was appending has no other end: nobody says any more whether it was
            // stored.
            let panicked = std::io::Error::other("the thread that appended panicked");
            let error = StorageError::in_doubt(panicked);
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

impl<M: CallMachine> Job for Queue<M> {
    fn run(self: Arc<Self>) {
        self.contain(|queue| queue.run_appends());
    }
}

impl<M: CallMachine> Trim for Queue<M> {
    fn trim(&self) {
        self.driver.local().trim();
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
        let partition = self.0.partition.map(|number| number.0);
        match notice {
            Notice::Appended => self.0.signals.moved(),
            Notice::AppendFailed(error) => {
                self.0.descriptors.handle_failure(error);
                tracing::error!(partition, error = %with_causes(error), "the local queue refused records");
                self.0.report_ends();
            }
            Notice::Leased => {
                for damage in self.0.driver.local().new_damages() {
                    tracing::error!(partition, %damage, "the local queue is damaged");
                }
                // Before the next one: what all queues have leased by now may be enough.
                self.0.balance(&mut self.0.driver.machine());
                self.0.signals.wake();
            }
            Notice::LeaseFailed(error) => {
                self.0.descriptors.handle_failure(error);
                tracing::error!(partition, error = %with_causes(error), "the local queue cannot be read; trying again");
            }
            Notice::Unreadable(error, items) => {
                tracing::error!(partition, %error, items, "the local queue holds unreadable items");
            }
            Notice::StampFailed(error) => {
                self.0.descriptors.handle_failure(error);
                tracing::warn!(partition, error = %with_causes(error), "a stamp could not be stored; trying again");
            }
            Notice::AckFailed(error) => {
                self.0.descriptors.handle_failure(error);
                // Kafka has them; they are sent again only if the process dies before a later
                // acknowledgement covers this one.
                tracing::warn!(partition, error = %with_causes(error), "an acknowledgement could not be stored");
            }
            Notice::NotCompressed(error) => {
                tracing::warn!(partition, %error, "a batch could not be compressed and is sent as it is");
            }
            _ => {}
        }
    }

    fn reuse(&self, fragments: Vec<Bytes>) {
        let most_bytes = self.0.memory.lock().spare_bytes();
        Buffers::shared().give(fragments, most_bytes);
    }
}
