//! The partition: its log, its replicas, and the leader that decides on each batch.

use std::collections::BTreeMap;

use wolff_codec::ErrorCode;
use wolff_codec::ids::{BrokerId, LeaderEpoch, Offset};

use super::batch::{
    ACKS_ALL, ACKS_LEADER, ACKS_NONE, Appended, BatchFacts, Placement, RecordError, Refusal, Stamp,
};
use super::log::Log;
use super::producers::{ProducerSummary, Verdict};
use super::replica::Replica;
use super::rules::{Expiry, Rules};

/// A partition. See the [module's page](super).
#[derive(Clone, Debug)]
pub struct PartitionModel<P> {
    rules: Rules,
    /// [`BrokerId::NONE`] if nobody leads.
    leader: BrokerId,
    /// Grows with every election.
    leader_epoch: LeaderEpoch,
    /// The log's end when the leader's epoch began.
    epoch_start: Offset,
    /// The leader's log; each replica has a prefix of it.
    log: Log<P>,
    /// At most the end of each in-sync replica's log.
    high_watermark: Offset,
    replicas: BTreeMap<BrokerId, Replica>,
    /// True if followers have everything at once.
    is_replicating: bool,
}

impl<P> PartitionModel<P> {
    /// An empty partition with these replicas, led by the first of them in epoch 0.
    pub fn new(rules: Rules, replicas: impl IntoIterator<Item = BrokerId>) -> Self {
        let mut leader = BrokerId::NONE;
        let replicas = replicas.into_iter().inspect(|broker| {
            if leader == BrokerId::NONE {
                leader = *broker;
            }
        });
        Self {
            replicas: replicas
                .map(|broker| (broker, Replica::default()))
                .collect(),
            rules,
            leader,
            leader_epoch: LeaderEpoch(0),
            epoch_start: Offset(0),
            log: Log::default(),
            high_watermark: Offset(0),
            is_replicating: true,
        }
    }

    /// The same partition with another leader from the start, still in epoch 0.
    #[must_use]
    pub fn led_by(mut self, leader: BrokerId) -> Self {
        self.leader = leader;
        self
    }

    /// The settings.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Changes the settings, from the next batch on.
    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// The broker that leads; [`BrokerId::NONE`] if nobody does.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// The number of elections so far.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The leader's log.
    pub fn log(&self) -> &Log<P> {
        &self.log
    }

    /// The offset below which everything is committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The producers that a replica knows, by id: the answer to DescribeProducers, which every
    /// replica gives from its own state. Empty for a broker without a replica.
    pub fn producers(&self, broker: BrokerId) -> impl Iterator<Item = ProducerSummary> {
        let replica = self.replicas.get(&broker);
        replica
            .into_iter()
            .flat_map(|replica| replica.producers().summaries())
    }

    /// The latest offset, as ListOffsets shows it.
    ///
    /// # Errors
    /// `OFFSET_NOT_AVAILABLE` while the high watermark is below the start of the leader's epoch:
    /// what earlier leaders appended may not be visible yet.
    pub fn latest_offset(&self) -> Result<Offset, ErrorCode> {
        if self.high_watermark < self.epoch_start {
            return Err(ErrorCode::OFFSET_NOT_AVAILABLE);
        }
        Ok(self.high_watermark)
    }

    /// Decides on a batch at the leader, appends it with a payload where the rules allow it, and
    /// lets the followers have it.
    ///
    /// # Errors
    /// The refusal; then nothing has changed.
    pub fn produce(
        &mut self,
        batch: &BatchFacts,
        acks: i16,
        now_ms: i64,
        payload: P,
    ) -> Result<Appended, Refusal> {
        self.produce_with(batch, acks, now_ms, |_| Ok(payload))
    }

    /// As [`Self::produce`], but the answer is an error although the batch was applied, as when a
    /// leader loses its leadership or disk while it waits for its followers. See
    /// [`follows_append`](super::follows_append) for the codes that a broker answers so.
    ///
    /// # Errors
    /// The refusal, if the batch was not applied; then nothing has changed.
    pub fn produce_then_fail(
        &mut self,
        batch: &BatchFacts,
        acks: i16,
        now_ms: i64,
        payload: P,
        code: ErrorCode,
    ) -> Result<Refusal, Refusal> {
        debug_assert!(super::follows_append(code, acks), "{code} after an append");
        self.produce(batch, acks, now_ms, payload)
            .map(|_| Refusal::from(code))
    }

    /// As [`Self::produce`], with a payload that depends on the batch's place in the log. `store`
    /// is called only if the batch is appended.
    ///
    /// # Errors
    /// The refusal, of the rules or of `store`; then nothing has changed.
    pub fn produce_with(
        &mut self,
        batch: &BatchFacts,
        acks: i16,
        now_ms: i64,
        store: impl FnOnce(&Placement) -> Result<P, Refusal>,
    ) -> Result<Appended, Refusal> {
        self.check(batch, acks)?;
        let append_time_ms = self.rules.has_log_append_time.then_some(now_ms);
        if let Some(stamp) = batch.stamp
            && let Some(duplicate) = self.find_duplicate(stamp, batch.record_count)?
        {
            return Ok(duplicate);
        }
        let placement = Placement {
            base_offset: self.log.end_offset(),
            leader_epoch: self.leader_epoch,
            append_time_ms,
        };
        let payload = store(&placement)?;
        self.log.append(batch, placement, payload);
        let remembered = self.rules.remembered_batches;
        if let Some(leader) = self.replicas.get_mut(&self.leader) {
            leader.catch_up(&self.log, remembered);
        }
        if self.is_replicating {
            self.replicate_all();
        }
        self.commit();
        if let Some(retention_bytes) = self.rules.retention_bytes {
            self.log.retain(retention_bytes);
        }
        Ok(Appended {
            base_offset: placement.base_offset,
            is_duplicate: false,
            append_time_ms: append_time_ms.unwrap_or(-1),
            log_start_offset: self.log.start_offset(),
            required_high_watermark: self.log.end_offset(),
        })
    }

    /// The checks before the one for duplicates: a batch that was appended before can fail them
    /// too.
    fn check(&self, batch: &BatchFacts, acks: i16) -> Result<(), Refusal> {
        if !matches!(acks, ACKS_ALL | ACKS_NONE | ACKS_LEADER) {
            return Err(ErrorCode::INVALID_REQUIRED_ACKS.into());
        }
        if self.leader == BrokerId::NONE {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER.into());
        }
        let in_sync = self
            .replicas
            .values()
            .filter(|replica| replica.is_in_sync());
        if acks == ACKS_ALL && in_sync.count() < self.rules.min_insync_replicas {
            return Err(ErrorCode::NOT_ENOUGH_REPLICAS.into());
        }
        let (bytes, limit) = (batch.size_bytes, self.rules.max_batch_bytes);
        if bytes > limit {
            let message = format!("a batch of {bytes} bytes exceeds the limit of {limit}");
            return Err(Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, message));
        }
        if batch.record_count < 1 {
            return Err(Refusal::invalid("the batch has no records"));
        }
        if let Some(stamp) = batch.stamp
            && (stamp.base_sequence < 0 || stamp.epoch.0 < 0 || stamp.producer_id.0 < 0)
        {
            return Err(Refusal::invalid(format!(
                "producer {} sends epoch {} and sequence {}",
                stamp.producer_id, stamp.epoch, stamp.base_sequence
            )));
        }
        if self.rules.is_compacted && !batch.keyless_records.is_empty() {
            return Err(keyless(&batch.keyless_records));
        }
        Ok(())
    }

    fn find_duplicate(&self, stamp: Stamp, record_count: i32) -> Result<Option<Appended>, Refusal> {
        let Some(leader) = self.replicas.get(&self.leader) else {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER.into());
        };
        let log_was_used = self.log.end_offset() > Offset(0);
        let unknown = self.rules.unknown_producers;
        match (leader.producers()).judge(stamp, record_count, unknown, log_was_used) {
            Verdict::Append => Ok(None),
            Verdict::Refuse(code) => Err(code.into()),
            Verdict::Duplicate {
                base_offset,
                next_offset,
                max_timestamp_ms,
            } => Ok(Some(Appended {
                base_offset,
                is_duplicate: true,
                append_time_ms: max_timestamp_ms,
                log_start_offset: self.log.start_offset(),
                required_high_watermark: next_offset,
            })),
        }
    }
}

/// Replicas, elections and restarts.
impl<P> PartitionModel<P> {
    /// Lets followers have everything at once (the default), or only what [`Self::replicate`]
    /// brings them.
    pub fn set_replicating(&mut self, is_replicating: bool) {
        self.is_replicating = is_replicating;
        if is_replicating {
            self.replicate_all();
            self.commit();
        }
    }

    /// Lets one follower have the whole log.
    pub fn replicate(&mut self, broker: BrokerId) {
        let remembered = self.rules.remembered_batches;
        if let Some(replica) = self.replicas.get_mut(&broker) {
            replica.catch_up(&self.log, remembered);
        }
        self.commit();
    }

    /// Takes a replica out of the in-sync set, or back into it with the whole log.
    pub fn set_in_sync(&mut self, broker: BrokerId, is_in_sync: bool) {
        if is_in_sync {
            self.replicate(broker);
        }
        if let Some(replica) = self.replicas.get_mut(&broker) {
            replica.set_in_sync(is_in_sync);
        }
        self.commit();
    }

    /// Elects a leader, in a new epoch even if it leads already; a broker without a replica gets
    /// one first, made of the log. Whatever the new leader does not have is lost, on all replicas:
    /// nothing that is committed, unless it was out of sync.
    pub fn elect(&mut self, leader: BrokerId, now_ms: i64) {
        self.leader = leader;
        self.leader_epoch = LeaderEpoch(self.leader_epoch.0.saturating_add(1));
        if leader != BrokerId::NONE {
            let remembered = self.rules.remembered_batches;
            let elected = self.replicas.entry(leader).or_insert_with(|| {
                let mut replica = Replica::default();
                replica.catch_up(&self.log, remembered);
                replica
            });
            elected.set_in_sync(true);
            let log_end = elected.log_end();
            self.lose_beyond(log_end, now_ms);
        }
        self.epoch_start = self.log.end_offset();
        self.commit();
    }

    /// Loses every batch that reaches beyond an offset, committed or not, on all replicas: what an
    /// unclean election does, without one.
    pub fn lose_beyond(&mut self, offset: Offset, now_ms: i64) {
        self.log.truncate(offset);
        let (expiry, remembered) = (self.expiry(now_ms), self.rules.remembered_batches);
        for replica in self.replicas.values_mut() {
            replica.truncate(&self.log, expiry, remembered);
        }
        self.high_watermark = self.high_watermark.min(self.log.end_offset());
    }

    /// Writes a replica's producers to disk, as happens when a segment is full.
    pub fn take_snapshot(&mut self, broker: BrokerId) {
        if let Some(replica) = self.replicas.get_mut(&broker) {
            replica.take_snapshot();
        }
    }

    /// Stops and starts a broker in good order: it knows the last batch of each producer, if that
    /// is not expired by its timestamp.
    pub fn restart(&mut self, broker: BrokerId, now_ms: i64) {
        self.take_snapshot(broker);
        self.restart_after_kill(broker, now_ms);
    }

    /// Kills and starts a broker: it knows what its newest snapshot has, less what is expired by
    /// its timestamp, and every batch after it.
    pub fn restart_after_kill(&mut self, broker: BrokerId, now_ms: i64) {
        let (expiry, remembered) = (self.expiry(now_ms), self.rules.remembered_batches);
        if let Some(replica) = self.replicas.get_mut(&broker) {
            replica.reload(&self.log, expiry, remembered);
        }
    }

    /// Forgets, on one replica, the producers whose last batch has a timestamp that is too old.
    /// Each broker does it every ten minutes, at its own moment.
    pub fn expire_producers(&mut self, broker: BrokerId, now_ms: i64) {
        let expiry = self.expiry(now_ms);
        if let Some(replica) = self.replicas.get_mut(&broker) {
            replica.expire(expiry);
        }
    }

    /// Forgets all producers on all replicas, with their snapshots.
    pub fn forget_producers(&mut self) {
        for replica in self.replicas.values_mut() {
            replica.forget_producers();
        }
    }

    /// Deletes the records below an offset, at most up to the high watermark, as DeleteRecords and
    /// retention do. Producers stay known until the next restart.
    pub fn delete_records(&mut self, before: Offset) {
        self.log.delete_before(before.min(self.high_watermark));
    }

    fn replicate_all(&mut self) {
        let remembered = self.rules.remembered_batches;
        for replica in self
            .replicas
            .values_mut()
            .filter(|replica| replica.is_in_sync())
        {
            replica.catch_up(&self.log, remembered);
        }
    }

    /// Moves the high watermark up to the slowest in-sync replica.
    fn commit(&mut self) {
        let in_sync = self
            .replicas
            .values()
            .filter(|replica| replica.is_in_sync());
        let slowest = in_sync.map(Replica::log_end).min();
        self.high_watermark = self.high_watermark.max(slowest.unwrap_or_default());
    }

    fn expiry(&self, now_ms: i64) -> Expiry {
        Expiry {
            now_ms,
            after: self.rules.producer_expiration,
        }
    }
}

/// As `LogValidator` refuses records that compaction could not keep.
fn keyless(records: &[i32]) -> Refusal {
    let record_error = |index: &i32| RecordError {
        index: *index,
        message: Some("a compacted topic cannot accept a record without a key".into()),
    };
    Refusal {
        record_errors: records.iter().map(record_error).collect(),
        ..Refusal::invalid(format!("{} records have no key", records.len()))
    }
}
