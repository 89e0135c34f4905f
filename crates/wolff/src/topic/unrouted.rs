//! Delivering calls that were accepted before the topic's partitions were known.
//!
//! They go to a queue of their own, on disk as well. When the partition count is known, leased batches
//! are separated by partition and sent by the partitions' own machines; a lease is acknowledged when
//! Kafka has all of it. So nothing depends on room for a second copy, and a full disk can be emptied.
//! New calls follow into the unrouted queue until it is empty, which keeps the order per key.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use wolff_client::MetadataError;
use wolff_codec::PartitionId;
use wolff_core::{BatchBody, BatchEncoder, DoubtReason, FailReason, Origin, Routable};

use super::Topic;
use super::count::{partition_count, partitions_below};
use crate::clock;
use crate::error::{SendError, with_causes};
use crate::partition::{
    ForeignBatch, ForeignPart, PartitionQueue, SourceRun, Token, UnroutedQueue,
};

/// How often what cannot be done now is tried again: asking for the partition count while no broker
/// answers, opening queues on a full disk.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Bytes of records that may be on their way to partitions at once.
const MAX_OUTSTANDING_BYTES: u64 = 32 * 1024 * 1024;

/// Finds out the partition count, delivers what is not routed, and then lets calls go to the partitions
/// directly.
pub(super) async fn run(
    topic: Weak<Topic>,
    unrouted: Arc<UnroutedQueue>,
    stop: watch::Receiver<bool>,
) {
    let guard = GiveUp(Some(unrouted.clone()));
    let mut stopped = stop.clone();
    let routed = tokio::select! {
        biased;
        // An error means that the producer is gone altogether.
        _ = stopped.wait_for(|stop| *stop) => None,
        routed = route_all(&topic, &unrouted) => Some(routed),
    };
    if routed == Some(false) {
        // The producer is gone, or its client is closed: the guard ends every call.
        return;
    }
    guard.disarm();
    if routed.is_some()
        && let Err(error) = unrouted.close_and_purge().await
    {
        tracing::warn!(error = %with_causes(&error), "the queue of unrouted records could not be removed");
    }
}

/// Leaves nobody waiting when the task ends with its runtime or in a panic.
struct GiveUp(Option<Arc<UnroutedQueue>>);

impl GiveUp {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else {
            return;
        };
        if std::thread::panicking() {
            queue.give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
        } else {
            queue.give_up(&FailReason::Stopped, DoubtReason::Dropped);
        }
    }
}

/// Returns whether everything was routed and the queue is closed to calls; `false`: the producer is
/// gone, or its client is closed.
async fn route_all(topic: &Weak<Topic>, unrouted: &Arc<UnroutedQueue>) -> bool {
    let Some(count) = learn_partition_count(topic).await else {
        return false;
    };
    {
        let Some(topic) = topic.upgrade() else {
            return false;
        };
        topic.open_all(count).await;
        topic.reject_beyond(count).await;
    }
    unrouted.change(|machine| machine.start_routing(MAX_OUTSTANDING_BYTES));
    let mut carriers = Carriers::default();
    loop {
        unrouted.settle();
        let routable: Vec<Routable<Token>> =
            std::iter::from_fn(|| unrouted.machine().poll_routable()).collect();
        if !routable.is_empty() {
            let Some(topic) = topic.upgrade() else {
                return false;
            };
            route(&topic, unrouted, routable, count, &mut carriers).await;
            continue;
        }
        if unrouted.machine().is_drained() {
            let Some(topic) = topic.upgrade() else {
                return false;
            };
            if !topic.open_all(count).await {
                drop(topic);
                tokio::time::sleep(RETRY_EVERY).await;
            } else if close(&topic, unrouted) {
                return true;
            }
            continue;
        }
        let retry_at = unrouted.machine().poll_timeout(clock::now());
        tokio::select! {
            biased;
            () = unrouted.woken() => {}
            () = async {
                match retry_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}

async fn learn_partition_count(topic: &Weak<Topic>) -> Option<u32> {
    let mut failures = 0u32;
    loop {
        let (client, name) = {
            let topic = topic.upgrade()?;
            (topic.client.clone(), topic.name.clone())
        };
        match client.topic(&name).await {
            Ok(metadata) => {
                if let Some(count) = partition_count(&metadata) {
                    return Some(count);
                }
            }
            Err(MetadataError::ClientClosed) => return None,
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() && failures > 2 {
                    tracing::warn!(topic = %name, %error, failures, "the topic's partitions are still unknown");
                }
            }
        }
        client.mark_stale(&name);
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

/// Lets calls go to the partitions directly, if nothing has come in meanwhile.
fn close(topic: &Topic, unrouted: &Arc<UnroutedQueue>) -> bool {
    let is_closed = {
        let mut machine = unrouted.machine();
        let is_drained = machine.is_drained();
        if is_drained {
            machine.stop_accepting();
        }
        is_drained
    };
    if is_closed {
        topic.change_routes(|routes| routes.with_unrouted(None));
        // Whoever waits for room goes on to a partition.
        unrouted.change(|_| ());
    }
    is_closed
}

/// Queues in memory that deliver for partitions whose own queue cannot be opened now.
#[derive(Default)]
struct Carriers(HashMap<PartitionId, Arc<PartitionQueue>>);

/// With the task that routes, nobody serves them any more: what they have not delivered ends.
impl Drop for Carriers {
    fn drop(&mut self) {
        for queue in self.0.values() {
            queue.give_up(&FailReason::Stopped, DoubtReason::Stopped);
        }
    }
}

/// Records for one partition.
struct Collected {
    encoder: BatchEncoder,
    parts: Vec<ForeignPart>,
}

/// A finished batch for a partition.
type Separated = (PartitionId, BatchBody, Vec<ForeignPart>);

/// Hands batches to the partitions.
async fn route(
    topic: &Arc<Topic>,
    unrouted: &Arc<UnroutedQueue>,
    routable: Vec<Routable<Token>>,
    count: u32,
    carriers: &mut Carriers,
) {
    let separating = {
        let (topic, unrouted) = (topic.clone(), unrouted.clone());
        move || separate(&topic, &unrouted, routable, count)
    };
    let Some(separated) = topic.environment.lanes().compute(separating).await else {
        // It panicked with the leases in its hands.
        unrouted.give_up(&FailReason::WorkerCrashed, DoubtReason::WorkerCrashed);
        return;
    };
    for (partition, body, parts) in separated {
        let queue = carrier(topic, partition, carriers).await;
        queue.push_foreign(ForeignBatch::new(unrouted.clone(), parts), body);
    }
}

/// Separates leased batches by partition, in order.
fn separate(
    topic: &Topic,
    unrouted: &Arc<UnroutedQueue>,
    routable: Vec<Routable<Token>>,
    count: u32,
) -> Vec<Separated> {
    let max_bytes = topic.config.max_batch_bytes;
    let mut done: Vec<Separated> = Vec::new();
    let mut open: BTreeMap<PartitionId, Collected> = BTreeMap::new();
    for Routable {
        lease,
        origin,
        pieces,
    } in routable
    {
        for (first_record, body) in pieces {
            let base = body.totals().base_timestamp_ms;
            let mut at = first_record;
            let mut calls_left = u64::from(body.call_count());
            let end = first_record.saturating_add(body.record_count());
            for call in body.calls() {
                let records = u32::try_from(call.len()).unwrap_or(u32::MAX);
                calls_left = calls_left.saturating_sub(1);
                let key = call.first().and_then(|record| record.key.as_deref());
                match chosen(topic, key, count) {
                    Ok(partition) => {
                        let collected = open.entry(partition).or_insert_with(|| Collected {
                            encoder: BatchEncoder::new(base, 0),
                            parts: Vec::new(),
                        });
                        if !collected.encoder.push(&call) {
                            // As large as a batch can be: the next one takes it.
                            if let Some(full) = open.remove(&partition) {
                                done.extend(finished(partition, full));
                            }
                            let mut encoder = BatchEncoder::new(base, 0);
                            // It was in a batch before, so it finds room in an empty one.
                            let _ = encoder.push(&call);
                            let parts = Vec::new();
                            open.insert(partition, Collected { encoder, parts });
                        }
                        if let Some(collected) = open.get_mut(&partition) {
                            note(&mut collected.parts, lease, &origin, (at, records));
                            if collected.encoder.byte_len() >= max_bytes
                                && let Some(full) = open.remove(&partition)
                            {
                                done.extend(finished(partition, full));
                            }
                        }
                    }
                    Err(reason) => {
                        unrouted.fail_routing((lease, &origin), (at, records), 1, reason);
                    }
                }
                at = at.saturating_add(records);
            }
            if at < end {
                let missing = (at, end.saturating_sub(at));
                let reason = FailReason::QueueDamaged;
                unrouted.fail_routing((lease, &origin), missing, calls_left, reason);
            }
        }
    }
    for (partition, collected) in open {
        done.extend(finished(partition, collected));
    }
    done
}

/// The partition that the partitioner chooses; its panics are contained.
fn chosen(topic: &Topic, key: Option<&[u8]>, count: u32) -> Result<PartitionId, FailReason> {
    match catch_unwind(AssertUnwindSafe(|| topic.partition_by_key(key, count))) {
        Ok(Ok(partition)) if u32::try_from(partition.0).is_ok_and(|number| number < count) => {
            Ok(partition)
        }
        Ok(Ok(partition)) => Err(FailReason::InvalidPartition { partition, count }),
        Ok(Err(SendError::InvalidPartition { partition, .. })) => {
            Err(FailReason::InvalidPartition { partition, count })
        }
        Ok(Err(error)) => {
            tracing::error!(error = %with_causes(&error), "the partitioner chose no partition");
            Err(FailReason::InvalidPartition {
                partition: PartitionId(-1),
                count,
            })
        }
        Err(_) => {
            tracing::error!("the partitioner panicked");
            Err(FailReason::WorkerCrashed)
        }
    }
}

fn note(
    parts: &mut Vec<ForeignPart>,
    lease: wolff_core::LeaseNo,
    origin: &Origin<Token>,
    (first_record, records): (u32, u32),
) {
    let run = SourceRun {
        first_record,
        calls: 1,
        call_records: records,
    };
    match parts.last_mut() {
        Some(part) if part.lease == lease => {
            let continues = part
                .runs
                .last_mut()
                .is_some_and(|last| last.extend(first_record, records));
            if !continues {
                part.runs.push(run);
            }
        }
        _ => parts.push(ForeignPart {
            lease,
            origin: origin.clone(),
            runs: vec![run],
        }),
    }
}

fn finished(partition: PartitionId, collected: Collected) -> Option<Separated> {
    Some((partition, collected.encoder.finish()?, collected.parts))
}

/// The queue that delivers for a partition: its own, or one in memory while that cannot be opened, as
/// on a full disk.
async fn carrier(
    topic: &Arc<Topic>,
    partition: PartitionId,
    carriers: &mut Carriers,
) -> Arc<PartitionQueue> {
    if let Some(queue) = carriers.0.get(&partition) {
        return queue.clone();
    }
    if let Some(queue) = topic.routes.load().partition(partition) {
        return queue.clone();
    }
    loop {
        match topic.open_carrier(partition).await {
            Ok(queue) => {
                carriers.0.insert(partition, queue.clone());
                return queue;
            }
            Err(error) => {
                tracing::error!(%partition, error = %with_causes(&error), "records cannot be routed yet");
            }
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

impl Topic {
    /// Opens the queues of all partitions. Returns whether all are open.
    async fn open_all(self: &Arc<Self>, count: u32) -> bool {
        let errors = self
            .open_partitions(partitions_below(count), Some(count))
            .await;
        self.report_closed(&errors);
        errors.is_empty()
    }

    /// Fails calls for partitions that the topic turns out not to have. What previous runs left is kept.
    pub(super) async fn reject_beyond(self: &Arc<Self>, count: u32) {
        let beyond: Vec<(PartitionId, Arc<PartitionQueue>)> = {
            let routes = self.routes.load();
            routes
                .beyond()
                .map(|(partition, queue)| (*partition, queue.clone()))
                .collect()
        };
        for (partition, queue) in beyond {
            if queue.machine().has_recovered() {
                tracing::error!(
                    partition = partition.0,
                    count,
                    "a queue on disk holds records for a partition that the topic does not have"
                );
                continue;
            }
            let reason = FailReason::InvalidPartition { partition, count };
            queue.change(|machine| machine.reject(&reason));
            self.change_routes(|routes| routes.without(partition));
            if let Err(error) = queue.close_and_purge().await {
                tracing::warn!(partition = partition.0, error = %with_causes(&error), "a queue could not be removed");
            }
        }
    }
}
