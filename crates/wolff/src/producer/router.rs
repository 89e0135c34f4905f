//! Sending what was accepted before the topic's partitions were known.
//!
//! Records that cannot be routed yet go to a queue of their own, on disk as well. When the partition count is known they are
//! sent from there, in order, call by call, each to the partition that its key has, by way of queues in memory. A batch is
//! acknowledged in the queue of the unrouted only when Kafka has all of it: so nothing depends on room for a second copy, and a
//! full disk can be emptied. Only then do new calls go to the partitions' own queues, so that the order per key is kept. After
//! a crash in between the batch is sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use wolff_codec::records::{Record, RecordRef};
use wolff_codec::{ErrorCode, Offset, PartitionId};
use wolff_core::{Action, FailReason, Outcome, Partition, StorageError, Transmit};

use super::moved::Moved;
use super::pending::Pending;
use super::routes::Routes;
use super::topic::Topic;
use crate::completion::{BatchCompletion, CallbackLane, Delivery, Observer};
use crate::error::{DeliveryError, with_causes};
use crate::queue::PartitionQueue;

/// How often what cannot be done now is tried again: asking for the partition count while no broker answers, opening queues on
/// a full disk.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Finds out the partition count, sends what is not routed, and then lets calls go to the partitions directly.
pub(super) async fn run(topic: Arc<Topic>, unrouted: Arc<PartitionQueue>) {
    let mut stop = topic.stop_signal();
    let work = async {
        let count = learn_partition_count(&topic).await;
        topic.change_routes(|routes| Routes {
            count: Some(count),
            ..routes
        });
        // What an earlier life had routed is older.
        topic.flush_recovered(count).await;
        let mut router = Router {
            topic: topic.clone(),
            unrouted: unrouted.clone(),
            count,
            transits: HashMap::new(),
            stop: watch::Sender::new(false),
        };
        router.send_all().await;
    };
    tokio::select! {
        biased;
        _ = async { stop.wait_for(|stop| *stop).await.map(drop) } => return,
        () = work => {}
    }
    unrouted.close_and_purge().await;
}

async fn learn_partition_count(topic: &Topic) -> u32 {
    loop {
        match topic.client().topic(topic.name()).await {
            Ok(metadata) if !metadata.partitions.is_empty() => {
                return u32::try_from(metadata.partitions.len()).unwrap_or(u32::MAX);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the topic's partitions are still unknown"),
        }
        topic.client().mark_stale(topic.name());
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Plays the leader for the queue of the unrouted: what that sends goes on to the partitions' leaders.
struct Router {
    topic: Arc<Topic>,
    unrouted: Arc<PartitionQueue>,
    count: u32,
    transits: HashMap<PartitionId, Arc<PartitionQueue>>,
    /// Dropped with the router, which ends the workers of the transits.
    stop: watch::Sender<bool>,
}

impl Router {
    async fn send_all(&mut self) {
        let mut failures = 0_u32;
        loop {
            let action = self.unrouted.poll_action(Instant::now());
            match action {
                Some(Action::Connect { .. }) => self.unrouted.change(Partition::handle_connected),
                Some(Action::Send(transmit)) => {
                    self.send_batch(&transmit).await;
                    self.unrouted.change(|machine| {
                        machine.handle_answer(
                            transmit.batch,
                            ErrorCode::NONE,
                            None::<Offset>,
                            Instant::now(),
                        );
                    });
                }
                Some(_) => {}
                None if !self.unrouted.change(|machine| machine.is_drained()) => {
                    self.unrouted.woken().await;
                }
                None => {
                    if let Err(error) = self.topic.open_partitions(self.count).await {
                        failures = failures.saturating_add(1);
                        if failures.is_power_of_two() {
                            tracing::error!(
                                error = %with_causes(&error), failures,
                                "cannot open the queues of the topic's partitions; trying again"
                            );
                        }
                        tokio::time::sleep(RETRY_EVERY).await;
                    } else if self.close() {
                        return;
                    }
                }
            }
        }
    }

    /// Lets calls go to the partitions directly, if nothing has come in meanwhile.
    fn close(&self) -> bool {
        let is_closed = self.unrouted.change(|machine| {
            let is_drained = machine.is_drained();
            if is_drained {
                machine.stop_accepting();
            }
            is_drained
        });
        if is_closed {
            let accepted = self.unrouted.snapshot().accepted_records;
            let moved = &self.topic.moved;
            moved.accepted_before.fetch_add(accepted, Ordering::AcqRel);
            self.topic.change_routes(|routes| Routes {
                unrouted: None,
                ..routes
            });
        }
        is_closed
    }

    /// Sends a batch's calls, and waits until each has come to its end.
    async fn send_batch(&mut self, transmit: &Transmit) {
        let (token, mut first_record) = self
            .unrouted
            .change(|machine| machine.batch_token(transmit.batch))
            .unwrap_or((None, 0));
        let pending = Pending::new();
        for call in transmit.body.calls() {
            let count = u32::try_from(call.len()).unwrap_or(u32::MAX);
            let source = Source {
                moved: self.topic.moved.clone(),
                lane: self.unrouted.lane().clone(),
                token: token.clone(),
                first_record,
                count,
            };
            self.send_call(&call, source, &pending).await;
            first_record = first_record.saturating_add(count);
        }
        pending.ended().await;
    }

    async fn send_call(&mut self, call: &[Record], source: Source, pending: &Arc<Pending>) {
        let records: Vec<RecordRef<'_>> = call.iter().map(Record::as_record_ref).collect();
        let key = records.first().and_then(|record| record.key);
        let partition = match self.topic.partition_by_key(key, self.count) {
            Ok(partition) => partition,
            Err(error) => {
                // Only a partitioner of the user's that names a partition which does not exist comes here.
                tracing::error!(%error, "records cannot be routed");
                let reason = FailReason::QueueUnavailable(StorageError::new(error));
                source.end(Err(DeliveryError::Failed(reason)));
                return;
            }
        };
        let queue = self.transit(partition).await;
        source.count_as_moved();
        pending.begin();
        let ended = pending.clone();
        let mut observer = Some(Observer::new(Box::new(move |delivery| {
            // Stopped is no end: the call is still in the queue that it came from.
            if !matches!(delivery, Err(DeliveryError::Failed(FailReason::Stopped))) {
                source.end(delivery);
                ended.end();
            }
        })));
        let accepted = queue
            .accept_waiting(records.as_slice(), &mut observer)
            .await;
        if let Err(error) = accepted {
            // It was accepted once before, so what it is refused for is the end of the producer.
            tracing::debug!(%error, "the producer stops while records are being routed");
            std::future::pending::<()>().await;
        }
    }

    /// The queue in memory by which records go to a partition.
    async fn transit(&mut self, partition: PartitionId) -> Arc<PartitionQueue> {
        if let Some(queue) = self.transits.get(&partition) {
            return queue.clone();
        }
        loop {
            match self
                .topic
                .open_transit(partition, self.stop.subscribe())
                .await
            {
                Ok(queue) => {
                    self.transits.insert(partition, queue.clone());
                    return queue;
                }
                Err(error) => tracing::error!(%error, %partition, "records cannot be routed yet"),
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}

/// Where a call came from: its end is told there.
struct Source {
    moved: Arc<Moved>,
    lane: Arc<CallbackLane>,
    /// None: an earlier life's.
    token: Option<Arc<BatchCompletion>>,
    first_record: u32,
    count: u32,
}

impl Source {
    fn count_as_moved(&self) {
        let counter = if self.token.is_some() {
            &self.moved.live
        } else {
            &self.moved.recovered
        };
        counter.fetch_add(u64::from(self.count), Ordering::AcqRel);
    }

    fn end(self, delivery: Delivery) {
        let (partition, outcome) = match delivery {
            Ok(ack) => {
                let outcome = Outcome::Acked {
                    base_offset: ack.offset,
                    possibly_duplicated: ack.possibly_duplicated,
                };
                (Some(ack.partition), outcome)
            }
            Err(DeliveryError::LeftInQueue) => (None, Outcome::LeftInQueue),
            Err(DeliveryError::Failed(reason)) => (None, Outcome::Failed(reason)),
            Err(DeliveryError::InDoubt(reason)) => (None, Outcome::InDoubt(reason)),
        };
        match &self.token {
            Some(token) => {
                let called = token.complete_in(partition, self.first_record, self.count, &outcome);
                self.lane.call(called);
            }
            None => {
                let counter = match outcome {
                    Outcome::Acked { .. } => &self.moved.recovered_acked,
                    Outcome::Failed(_) => &self.moved.recovered_failed,
                    _ => return,
                };
                counter.fetch_add(u64::from(self.count), Ordering::AcqRel);
            }
        }
    }
}
