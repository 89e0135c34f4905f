//! Flushing, stopping and dropping.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wolff_codec::PartitionId;
use wolff_core::{DoubtReason, FailReason, Snapshot};

use super::Topic;
use crate::error::{CloseError, StopError};
use crate::partition::{CallMachine, PartitionQueue, Queue, UnroutedQueue};
use crate::stopped::Leftover;

/// All queues of a topic at one moment.
struct Queues {
    unrouted: Option<Arc<UnroutedQueue>>,
    partitions: Vec<Arc<PartitionQueue>>,
}

impl Topic {
    fn queues(&self) -> Queues {
        let routes = self.routes.load();
        Queues {
            unrouted: routes.unrouted().cloned(),
            partitions: routes.partitions().cloned().collect(),
        }
    }

    /// Waits until everything accepted so far is queued.
    pub(crate) async fn queued(&self) {
        let queues = self.queues();
        if let Some(queue) = &queues.unrouted {
            queued(queue).await;
        }
        for queue in &queues.partitions {
            queued(queue).await;
        }
    }

    /// Waits until everything accepted so far, and everything that previous runs left, has ended.
    pub(crate) async fn flush(&self) {
        let queues = self.queues();
        let unrouted = queues
            .unrouted
            .map(|queue| (queue.change(CallMachine::flush), queue));
        let mut targets: Vec<(u64, Arc<PartitionQueue>)> = queues
            .partitions
            .into_iter()
            .map(|queue| (queue.change(CallMachine::flush), queue))
            .collect();
        if let Some((calls, queue)) = unrouted {
            queue
                .wait_for(|machine| machine.is_flushed(calls).then_some(()))
                .await;
            // Ends are counted a moment before they are reported, perhaps by another thread.
            queue.report_ends();
        }
        for (calls, queue) in targets.drain(..) {
            queue
                .wait_for(|machine| {
                    // What is for a partition that is not there is kept, for as long as that takes.
                    let is_kept = || {
                        let routes = self.routes.load();
                        queue.partition().is_some_and(|number| routes.lacks(number))
                            && machine.has_recovered()
                    };
                    (machine.is_flushed(calls) || is_kept()).then_some(())
                })
                .await;
            queue.report_ends();
        }
    }

    /// Stops everything; see [`Producer::stop`](crate::Producer::stop).
    pub(crate) async fn stop(&self, deadline: Duration) -> Result<Leftover, StopError> {
        self.tasks.is_stopped.store(true, Ordering::Release);
        let _no_more_opening = self.opening.lock().await;
        let queues = self.queues();
        let ending = async {
            queues.end_routing().await;
            queues.wind_down(false);
            queues.wound_down().await;
        };
        if deadline.is_zero() || tokio::time::timeout(deadline, ending).await.is_err() {
            queues.wind_down(true);
        }
        self.tasks.stop.send_replace(true);
        let mut running = std::mem::take(&mut *self.tasks.running.lock());
        while running.join_next().await.is_some() {}
        queues.close().await
    }
}

/// The last handle is gone without a stop: everything ends now, as with a deadline of zero. What is
/// on disk stays there.
impl Drop for Topic {
    fn drop(&mut self) {
        if self.is_stopped() {
            return;
        }
        self.tasks.is_stopped.store(true, Ordering::Release);
        self.tasks.stop.send_replace(true);
        let queues = self.queues();
        // The partitions first: records of the unrouted queue are on their way there.
        for queue in &queues.partitions {
            queue.give_up(&FailReason::Stopped, DoubtReason::Dropped);
        }
        if let Some(queue) = &queues.unrouted {
            queue.give_up(&FailReason::Stopped, DoubtReason::Dropped);
        }
    }
}

async fn queued<M: CallMachine>(queue: &Arc<Queue<M>>) {
    let accepted = queue.change(|machine| {
        machine.request_commit();
        machine.snapshot().calls.accepted
    });
    queue
        .wait_for(|machine| (machine.queued_calls() >= accepted).then_some(()))
        .await;
}

impl Queues {
    /// No call is accepted any more. With a queue on disk no more unrouted calls are handed to
    /// partitions; in memory all of them are.
    async fn end_routing(&self) {
        for queue in &self.partitions {
            queue.change(CallMachine::stop_accepting);
        }
        if let Some(queue) = &self.unrouted {
            wind_down(queue, queue.is_on_disk());
            if !queue.is_on_disk() {
                wound_down(queue).await;
            }
        }
    }

    /// No call is accepted any more. With a queue on disk nothing new is sent either; in memory
    /// what was accepted is still sent, unless there is no time for that.
    fn wind_down(&self, is_at_once: bool) {
        let sends_nothing = is_at_once
            || self.partitions.iter().any(|queue| queue.is_on_disk())
            || self
                .unrouted
                .as_ref()
                .is_some_and(|queue| queue.is_on_disk());
        if let Some(queue) = &self.unrouted {
            wind_down(queue, sends_nothing);
        }
        for queue in &self.partitions {
            wind_down(queue, sends_nothing);
        }
    }

    async fn wound_down(&self) {
        for queue in &self.partitions {
            wound_down(queue).await;
        }
    }

    /// Gives up what is left and closes the local queues.
    async fn close(&self) -> Result<Leftover, StopError> {
        let mut errors = Vec::new();
        let mut leftover = Leftover::default();
        // The partitions first: records of the unrouted queue are on their way there.
        for queue in &self.partitions {
            close(queue, &mut leftover, &mut errors).await;
        }
        if let Some(queue) = &self.unrouted {
            close(queue, &mut leftover, &mut errors).await;
        }
        if errors.is_empty() {
            Ok(leftover)
        } else {
            Err(StopError::new(leftover, errors))
        }
    }
}

fn wind_down<M: CallMachine>(queue: &Arc<Queue<M>>, sends_nothing: bool) {
    queue.change(|machine| {
        if sends_nothing {
            machine.wind_down();
        } else {
            machine.stop_accepting();
        }
    });
}

/// Waits until nothing is due any more: answers with a queue on disk, everything in memory.
async fn wound_down<M: CallMachine>(queue: &Arc<Queue<M>>) {
    let is_on_disk = queue.is_on_disk();
    queue
        .wait_for(|machine| {
            let is_over = if is_on_disk {
                machine.is_wound_down()
            } else {
                machine.is_drained()
            };
            is_over.then_some(())
        })
        .await;
}

async fn close<M: CallMachine>(
    queue: &Arc<Queue<M>>,
    leftover: &mut Leftover,
    errors: &mut Vec<CloseError>,
) {
    let before = queue.snapshot();
    let partition: Option<PartitionId> = queue.partition();
    if let Err(error) = queue.close(DoubtReason::Stopped).await {
        errors.push(CloseError::new(partition, error));
    }
    let after: Snapshot = queue.snapshot();
    let since = |count: fn(&Snapshot) -> u64| count(&after).saturating_sub(count(&before));
    // Nothing is left before the stop, and of the unrouted records some are as soon as the
    // partition that had them is closed.
    leftover.in_queue += after.records.left;
    leftover.failed += since(|counts| counts.records.failed);
    leftover.in_doubt += since(|counts| counts.records.in_doubt);
    leftover.recovered_items += after.recovered_items;
}
