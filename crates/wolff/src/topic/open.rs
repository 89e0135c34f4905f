//! From a place to an open queue: directory, local queue, machine, task.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wolff_codec::PartitionId;
use wolff_core::{
    Config, LeaseNo, Partition, QueueItem, QueueItemError, Recovered, RecoveredLease, Storage,
    StorageError, Unrouted,
};

use super::Topic;
use crate::clock;
use crate::config::RequiredAcks;
use crate::error::{SendError, StartError, with_causes};
use crate::link::{Worker, WorkerConfig};
use crate::partition::{CallMachine, Local, PartitionQueue, Queue, QueueParts, UnroutedQueue};

/// Bytes that a queue on disk may keep in memory as well, for records that are sent soon, at most;
/// and the part of the memory budget that all queues of a topic have for it.
const RESIDENT_BYTES: u64 = 2 * 1024 * 1024;
const RESIDENT_PART: u64 = 16;

/// Bounds of the bytes that callers may be ahead of the disk, per partition: two batches within
/// them.
const UNQUEUED_BYTES: Range<usize> = 1024 * 1024..4 * 1024 * 1024;

/// Longest time that a queue may take to close that a producer of this process had and that was
/// dropped without a stop.
const CLOSING: Duration = Duration::from_millis(500);

/// Leases of a queue that can have a tag without taking space: five in flight, the pieces of a
/// split, and two to move.
const LEASE_SLOTS: u32 = 12;

/// A local queue that was opened.
struct Opened {
    local: Local,
    recovered: Recovered,
    leases: Vec<replayq::LeaseId>,
    /// Where previous runs have left something.
    left_behind: Option<PathBuf>,
}

impl Topic {
    /// Opens the queue of one partition, if it is not open, and starts its worker.
    pub(crate) async fn open_partition(
        self: &Arc<Self>,
        partition: PartitionId,
    ) -> Result<Arc<PartitionQueue>, SendError> {
        let _one_at_a_time = self.opening.lock().await;
        if let Some(queue) = self.routes.load().partition(partition) {
            return Ok(queue.clone());
        }
        if self.is_stopped() {
            return Err(SendError::Stopped);
        }
        let queue = self
            .open_partition_queue(partition, self.routes.load().count())
            .await
            .map_err(|error| SendError::QueueUnavailable(StorageError::new(error)))?;
        self.change_routes(|routes| routes.with([(partition, queue.clone())], None));
        Ok(queue)
    }

    /// Opens the queue of a partition without waiting: in memory now, on disk in the background.
    ///
    /// # Errors
    /// It is not open yet.
    pub(crate) fn open_at_once(
        self: &Arc<Self>,
        partition: PartitionId,
    ) -> Result<Arc<PartitionQueue>, SendError> {
        if self.is_stopped() {
            return Err(SendError::Stopped);
        }
        if self.directory.is_none()
            && let Ok(_one_at_a_time) = self.opening.try_lock()
        {
            if let Some(queue) = self.routes.load().partition(partition) {
                return Ok(queue.clone());
            }
            let queue = self
                .open_in_memory(partition)
                .map_err(|error| SendError::QueueUnavailable(StorageError::new(error)))?;
            self.change_routes(|routes| routes.with([(partition, queue.clone())], None));
            return Ok(queue);
        }
        self.open_soon(partition);
        Err(SendError::Opening(partition))
    }

    /// Has the queue of a partition opened in the background.
    fn open_soon(self: &Arc<Self>, partition: PartitionId) {
        let topic = Arc::downgrade(self);
        self.spawn(async move {
            if let Some(topic) = topic.upgrade()
                && let Err(error) = topic.open_partition(partition).await
            {
                tracing::warn!(partition = partition.0, error = %with_causes(&error), "a queue cannot be opened");
            }
        });
    }

    /// Opens the queues of these partitions and lets calls be routed to them. A queue that cannot
    /// be opened closes its partition only; its error is returned with the partition.
    pub(super) async fn open_partitions(
        self: &Arc<Self>,
        partitions: impl IntoIterator<Item = PartitionId>,
        count: Option<u32>,
    ) -> Vec<(PartitionId, StartError)> {
        let _one_at_a_time = self.opening.lock().await;
        let mut opened = Vec::new();
        let mut errors = Vec::new();
        for partition in partitions {
            if self.is_stopped() {
                break;
            }
            if self.routes.load().partition(partition).is_some() {
                continue;
            }
            match self.open_partition_queue(partition, count).await {
                Ok(queue) => opened.push((partition, queue)),
                Err(error) => errors.push((partition, error)),
            }
        }
        self.change_routes(|routes| routes.with(opened.iter().cloned(), count));
        errors
    }

    async fn open_partition_queue(
        self: &Arc<Self>,
        partition: PartitionId,
        count: Option<u32>,
    ) -> Result<Arc<PartitionQueue>, StartError> {
        let path = self
            .directory
            .as_ref()
            .map(|directory| directory.partition(partition));
        let mut config = self.machine_config(path.is_some(), true);
        config.resident_bytes = self.resident_bytes(count);
        let opened = self.open_local(path, config.resident_bytes).await?;
        let machine = Partition::new(&config, opened.recovered);
        let queue = self.queue(
            Some(partition),
            machine,
            opened.local,
            opened.leases,
            &config,
        );
        self.serve(partition, queue.clone());
        if let Some(path) = opened.left_behind {
            self.survey(&queue, path);
        }
        Ok(queue)
    }

    /// Opens the queue of calls that have no partition yet.
    pub(super) async fn open_unrouted(self: &Arc<Self>) -> Result<Arc<UnroutedQueue>, StartError> {
        let path = self
            .directory
            .as_ref()
            .map(|directory| directory.unrouted());
        let config = self.machine_config(path.is_some(), false);
        let opened = self.open_local(path, config.resident_bytes).await?;
        let machine = Unrouted::new(&config, opened.recovered);
        let queue = self.queue(None, machine, opened.local, opened.leases, &config);
        if let Some(path) = opened.left_behind {
            self.survey(&queue, path);
        }
        Ok(queue)
    }

    /// Opens a queue in memory: a partition's own, or one that delivers for a partition whose own
    /// cannot be opened now.
    pub(super) fn open_in_memory(
        &self,
        partition: PartitionId,
    ) -> Result<Arc<PartitionQueue>, StartError> {
        let config = self.machine_config(false, true);
        let opened = replayq::Queue::open(replayq::Config::memory());
        let (queue, recovery) = opened.map_err(|source| StartError::Queue {
            path: PathBuf::new(),
            source,
        })?;
        let machine = Partition::new(&config, Recovered::default());
        let local = Local::new(queue, &recovery);
        let queue = self.queue(Some(partition), machine, local, Vec::new(), &config);
        self.serve(partition, queue.clone());
        Ok(queue)
    }

    fn serve(&self, partition: PartitionId, queue: Arc<PartitionQueue>) {
        let config = WorkerConfig {
            topic: self.name.clone(),
            acks: self.config.required_acks,
            ack_timeout: self.config.ack_timeout,
            troubles: self.incidents.troubles.clone(),
        };
        let client = self.client.clone();
        let worker = Worker::new(queue, partition, client, config, self.stop_signal());
        self.spawn(worker.run());
    }

    fn queue<M: CallMachine>(
        &self,
        partition: Option<PartitionId>,
        machine: M,
        local: Local,
        recovered_leases: Vec<replayq::LeaseId>,
        config: &Config,
    ) -> Arc<Queue<M>> {
        Queue::new(QueueParts {
            partition,
            machine,
            local,
            recovered_leases,
            is_on_disk: config.storage == Storage::Disk,
            compression: (config.compression, config.compression_level),
            failures: self.incidents.failures.clone(),
            runtime: self.tasks.runtime.clone(),
            panics: self.incidents.panics.clone(),
            threads: self.environment.lanes(),
            wall_clock: self.environment.clock(),
            memory_budget: self.config.memory_budget.clone(),
            descriptors: self.incidents.descriptors.clone(),
        })
    }

    async fn open_local(
        &self,
        path: Option<PathBuf>,
        resident_bytes: u64,
    ) -> Result<Opened, StartError> {
        let config = match &path {
            Some(path) => self.environment.on_disk(
                replayq::Config::disk(path.clone())
                    .segment_bytes(self.config.replayq_seg_bytes)
                    .durability(self.config.durability)
                    .resident_bytes(resident_bytes)
                    .lease_slots(LEASE_SLOTS),
            ),
            None => replayq::Config::memory(),
        };
        let shown = path.clone().unwrap_or_default();
        let opened = match &path {
            // Nothing blocks.
            None => replayq::Queue::open(config),
            Some(_) => self.open_on_disk(config).await?,
        };
        let (queue, recovery) = opened.map_err(|source| {
            let error = StartError::Queue {
                path: shown.clone(),
                source,
            };
            self.incidents.descriptors.handle_failure(&error);
            error
        })?;
        if let Some(source) = unknown_items(&queue) {
            return Err(StartError::UnknownItems {
                path: shown,
                source,
            });
        }
        for damage in &recovery.damage {
            tracing::error!(path = %shown.display(), %damage, "a queue on disk is damaged");
        }
        if recovery.items > 0 {
            tracing::info!(
                path = %shown.display(), items = recovery.items, bytes = recovery.bytes,
                "a queue on disk holds records of previous runs"
            );
        }
        let leases: Vec<replayq::LeaseId> = recovery.leases.iter().map(|lease| lease.id).collect();
        let named = (0..).map(LeaseNo).zip(&recovery.leases);
        let recovered = Recovered {
            leases: named
                .map(|(number, lease)| RecoveredLease {
                    lease: number,
                    last_item: lease.items.last.0,
                    tag: lease.tag.clone(),
                })
                .collect(),
            through: recovery.ids.map(|ids| ids.last.0),
            items: recovery.items,
            lost_items: lost_items(&recovery),
            bytes: recovery.bytes,
            commit_tag: recovery.commit_tag.clone(),
        };
        Ok(Opened {
            local: Local::new(queue, &recovery),
            recovered,
            leases,
            left_behind: path.filter(|_| recovery.items > 0),
        })
    }

    /// Opens a local queue. One that this process has just dropped is waited for: an I/O thread may
    /// still be at it.
    async fn open_on_disk(
        &self,
        config: replayq::Config,
    ) -> Result<Result<(replayq::Queue, replayq::Recovery), replayq::OpenError>, StartError> {
        let lanes = self.environment.lanes();
        let deadline = clock::now() + CLOSING;
        loop {
            let config = config.clone();
            let opened = lanes.compute(move || replayq::Queue::open(config)).await;
            match opened.ok_or(StartError::RuntimeShutDown)? {
                // Without a holder: it was closed between the two looks.
                Err(replayq::OpenError::Locked { holder, .. })
                    if holder.is_none_or(|holder| holder == std::process::id())
                        && clock::now() < deadline =>
                {
                    tokio::time::sleep(CLOSING / 100).await;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// Bytes that one of so many queues keeps in memory beside the disk.
    fn resident_bytes(&self, count: Option<u32>) -> u64 {
        let budget = self.config.memory_budget.limit_bytes();
        let budget = u64::try_from(budget).unwrap_or(u64::MAX) / RESIDENT_PART;
        let queues = u64::from(count.unwrap_or(1).max(1));
        (budget / queues).min(RESIDENT_BYTES)
    }

    fn machine_config(&self, is_on_disk: bool, is_routed: bool) -> Config {
        let config = &self.config;
        let defaults = Config::default();
        Config {
            max_batch_bytes: config.max_batch_bytes,
            // What is not routed has waited long enough.
            linger: if is_routed {
                config.max_linger
            } else {
                Duration::ZERO
            },
            fragment_bytes: config.fragment_bytes,
            max_in_flight: config.max_in_flight(),
            on_refused: config.on_refused,
            idempotence: config.effective_idempotence(),
            acks: match config.required_acks {
                RequiredAcks::All => wolff_core::Acks::All,
                RequiredAcks::Leader => wolff_core::Acks::Leader,
                RequiredAcks::None => wolff_core::Acks::None,
            },
            storage: if is_on_disk {
                Storage::Disk
            } else {
                Storage::Memory
            },
            max_queue_bytes: config.replayq_max_total_bytes,
            max_unqueued_bytes: config
                .max_batch_bytes
                .saturating_mul(2)
                .clamp(UNQUEUED_BYTES.start, UNQUEUED_BYTES.end),
            // What is not routed is encoded again on its way to a partition.
            compression: if is_routed {
                config.compression
            } else {
                defaults.compression
            },
            resident_bytes: self.resident_bytes(None),
            compression_level: config.compression_level,
            retry_delay: config.retry_delay,
            seed: self.environment.random(),
            run: self.environment.random(),
            ..defaults
        }
    }
}

/// Why the oldest item cannot be read, if another version wrote it. Reading errors show later.
fn unknown_items(queue: &replayq::Queue) -> Option<QueueItemError> {
    let items = queue.peek(replayq::PopLimits::items(1)).ok()?;
    let error = QueueItem::decode(&items.first()?.payload).err()?;
    error.is_foreign().then_some(error)
}

/// Items that opening found lost and that no position counts: those before the first that is left,
/// or behind the last.
fn lost_items(recovery: &replayq::Recovery) -> u64 {
    let lost = recovery.damage.iter().filter_map(replayq::Damage::ids);
    lost.map(|lost| {
        let count = |first: u64, last: u64| last.saturating_add(1).saturating_sub(first);
        let all = count(lost.first.0, lost.last.0);
        let between = recovery
            .ids
            .filter(|_| recovery.items > 0)
            .map_or(0, |left| {
                count(lost.first.max(left.first).0, lost.last.min(left.last).0)
            });
        all.saturating_sub(between)
    })
    .sum()
}
