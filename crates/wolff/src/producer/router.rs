//! Moving what was accepted before the topic's partitions were known to where it belongs.
//!
//! Records that cannot be routed yet go to a queue of their own, on disk as well. When the partition count comes, they are
//! moved in order, call by call, each to the partition that its key has; a batch is acknowledged there only when its calls are
//! queued at their new place. Only then do new calls go to the partitions directly, so that the order per key is kept. A crash
//! in between moves the batch again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wolff_codec::records::{Record, RecordRef};
use wolff_codec::{ErrorCode, Offset};
use wolff_core::{Action, Outcome, Partition, Transmit};

use super::routes::{RouteError, Routes};
use super::topic::Topic;
use crate::completion::{BatchCompletion, Callback, Delivery};
use crate::error::DeliveryError;
use crate::queue::{PartitionQueue, Taken};

/// How often the partition count is asked for while no broker answers.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Finds out the partition count, moves what is not routed, and then lets calls go to the partitions directly.
pub(super) async fn run(topic: Arc<Topic>, unrouted: Arc<PartitionQueue>) {
    let mut stop = topic.stop_signal();
    let work = async {
        learn_partitions(&topic).await;
        move_all(&topic, &unrouted).await;
    };
    tokio::select! {
        biased;
        _ = async { stop.wait_for(|stop| *stop).await.map(drop) } => return,
        () = work => {}
    }
    unrouted.close_and_purge().await;
}

async fn learn_partitions(topic: &Arc<Topic>) {
    while topic.partition_count().is_none() {
        match topic.client().topic(topic.name()).await {
            Ok(metadata) => {
                let count = u32::try_from(metadata.partitions.len()).unwrap_or(u32::MAX);
                if count > 0
                    && let Err(error) = topic.open_partitions(count).await
                {
                    tracing::error!(%error, "cannot open the queues of the topic's partitions; trying again");
                }
            }
            Err(error) => tracing::debug!(%error, "the topic's partitions are still unknown"),
        }
        if topic.partition_count().is_none() {
            topic.client().mark_stale(topic.name());
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}

/// Plays the leader for the queue: what it sends is accepted by the partitions.
async fn move_all(topic: &Arc<Topic>, unrouted: &Arc<PartitionQueue>) {
    loop {
        let action = unrouted.poll_action(Instant::now());
        match action {
            Some(Action::Connect { .. }) => unrouted.change(Partition::handle_connected),
            Some(Action::Send(transmit)) => {
                move_batch(topic, unrouted, &transmit).await;
                unrouted.change(|machine| {
                    machine.handle_answer(
                        transmit.batch,
                        ErrorCode::NONE,
                        None::<Offset>,
                        Instant::now(),
                    );
                });
            }
            Some(_) => {}
            None => {
                let closed = unrouted.change(|machine| {
                    let drained = machine.is_drained();
                    if drained {
                        machine.stop_accepting();
                    }
                    drained
                });
                if closed {
                    let accepted = unrouted.snapshot().accepted_records;
                    topic
                        .moved
                        .accepted_before
                        .fetch_add(accepted, Ordering::AcqRel);
                    topic.change_routes(|routes| Routes {
                        unrouted: None,
                        ..routes
                    });
                    return;
                }
                unrouted.woken().await;
            }
        }
    }
}

async fn move_batch(topic: &Arc<Topic>, unrouted: &Arc<PartitionQueue>, transmit: &Transmit) {
    let (token, mut first_record) = unrouted
        .change(|machine| machine.batch_token(transmit.batch))
        .unwrap_or((None, 0));
    let mut queued = Vec::new();
    for call in transmit.body.calls() {
        let count = u32::try_from(call.len()).unwrap_or(u32::MAX);
        let source = Source {
            topic: topic.clone(),
            token: token.clone(),
            first_record,
            count,
        };
        if let Some(taken) = move_call(topic, &call, source).await {
            queued.push(taken);
        }
        first_record = first_record.saturating_add(count);
    }
    for (queue, taken) in queued {
        queue.wait_queued(taken.call_no).await;
    }
}

async fn move_call(
    topic: &Arc<Topic>,
    call: &[Record],
    source: Source,
) -> Option<(Arc<PartitionQueue>, Taken)> {
    let records: Vec<RecordRef<'_>> = call.iter().map(Record::as_record_ref).collect();
    let key = records.first().and_then(|record| record.key);
    let queue = match topic.route_by_key(key) {
        Ok(queue) => queue,
        Err(RouteError::NotOpen(partition)) => topic.open_partition(partition).await.ok()?,
        Err(RouteError::Refused(error)) => {
            // Only a partitioner of the user's that names a partition which does not exist comes here.
            tracing::error!(%error, "records cannot be routed");
            source.end(Err(DeliveryError::Failed(
                wolff_core::FailReason::QueueUnavailable(error.to_string()),
            )));
            return None;
        }
    };
    source.count_as_moved();
    let mut callback: Option<Callback> = Some(Box::new(move |delivery| source.end(delivery)));
    match queue
        .accept_waiting(records.as_slice(), &mut callback)
        .await
    {
        Ok(taken) => Some((queue, taken)),
        Err(error) => {
            tracing::debug!(%error, "the producer stops while records are being routed");
            None
        }
    }
}

/// Where a moved call came from: its end is told there.
struct Source {
    topic: Arc<Topic>,
    /// None: an earlier life's.
    token: Option<Arc<BatchCompletion>>,
    first_record: u32,
    count: u32,
}

impl Source {
    fn count_as_moved(&self) {
        let moved = &self.topic.moved;
        let counter = if self.token.is_some() {
            &moved.live
        } else {
            &moved.recovered
        };
        counter.fetch_add(u64::from(self.count), Ordering::AcqRel);
    }

    fn end(self, delivery: Delivery) {
        let (partition, outcome) = match delivery {
            Ok(ack) => (
                Some(ack.partition),
                Outcome::Acked {
                    base_offset: ack.offset,
                },
            ),
            Err(DeliveryError::LeftInQueue) => (None, Outcome::LeftInQueue),
            Err(DeliveryError::Failed(reason)) => (None, Outcome::Failed(reason)),
        };
        match &self.token {
            Some(token) => token.complete_in(partition, self.first_record, self.count, &outcome),
            None => {
                let moved = &self.topic.moved;
                let records = u64::from(self.count);
                match outcome {
                    Outcome::Acked { .. } => {
                        moved.recovered_acked.fetch_add(records, Ordering::AcqRel)
                    }
                    Outcome::Failed(_) => {
                        moved.recovered_failed.fetch_add(records, Ordering::AcqRel)
                    }
                    _ => 0,
                };
            }
        }
    }
}
