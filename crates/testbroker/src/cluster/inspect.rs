//! Inspection of a cluster by its owner.

use bytes::Bytes;
use wolff_codec::Str;
use wolff_codec::ids::{BrokerId, LeaderEpoch, Offset, PartitionId, TopicId};
use wolff_codec::records::Record;

use super::lifecycle::Cluster;
use crate::error::ClusterError;
use crate::model::Partition;
use crate::stats::Stats;

impl Cluster {
    /// Returns the counts of what the brokers have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats().borrow().clone()
    }

    /// Waits until what the brokers have done fulfils a condition; at once if it does already.
    ///
    /// There is no time limit: wrap it in `tokio::time::timeout`.
    pub async fn wait_for(&self, condition: impl FnMut(&Stats) -> bool) -> Stats {
        let mut stats = self.shared.stats().subscribe();
        match stats.wait_for(condition).await {
            Ok(stats) => stats.clone(),
            // The sender lives as long as `self`.
            Err(_) => self.stats(),
        }
    }

    /// Waits until a partition has a record at every offset below this one; at once if it does
    /// already.
    ///
    /// # Errors
    /// When there is no such partition, now or while waiting.
    pub async fn wait_for_offset(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
        offset: impl Into<Offset>,
    ) -> Result<(), ClusterError> {
        let (partition, offset) = (partition.into(), offset.into());
        let mut changes = self.shared.changes();
        loop {
            changes.mark_unchanged();
            if self.high_watermark(topic, partition)? >= offset {
                return Ok(());
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// The topics, by name, with the number of their partitions.
    #[must_use]
    pub fn topics(&self) -> Vec<(Str, i32)> {
        let model = self.shared.model();
        model
            .topics()
            .map(|(name, topic)| (name.clone(), topic.partition_count()))
            .collect()
    }

    /// The id of a topic.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn topic_id(&self, topic: &str) -> Result<TopicId, ClusterError> {
        let model = self.shared.model();
        let found = model.topic(topic).map(|topic| topic.id);
        found.ok_or_else(|| ClusterError::UnknownTopic {
            topic: Str::from(topic),
        })
    }

    /// Returns the leader of a partition ([`BrokerId::NONE`] if nobody can), and its epoch.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn leader(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
    ) -> Result<(BrokerId, LeaderEpoch), ClusterError> {
        self.look(topic, partition, |partition| {
            (partition.leader(), partition.leader_epoch())
        })
    }

    /// The offset that the next record of a partition gets.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn high_watermark(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
    ) -> Result<Offset, ClusterError> {
        self.look(topic, partition, |partition| partition.log().end_offset())
    }

    /// The offset of the first record that a partition still has.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn log_start_offset(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
    ) -> Result<Offset, ClusterError> {
        self.look(topic, partition, |partition| partition.log().start_offset())
    }

    /// Every record of a partition, in order, decompressed. Records that this build cannot
    /// decompress are left out.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn records(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
    ) -> Result<Vec<Record>, ClusterError> {
        self.look(topic, partition, |partition| {
            partition.log().records().collect()
        })
    }

    /// Every batch of a partition, in order, as it is stored.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn batches(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
    ) -> Result<Vec<Bytes>, ClusterError> {
        self.look(topic, partition, |partition| {
            partition
                .log()
                .payloads()
                .map(|stored| stored.bytes().clone())
                .collect()
        })
    }

    fn look<T>(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
        look: impl FnOnce(&Partition) -> T,
    ) -> Result<T, ClusterError> {
        let mut model = self.shared.model();
        let partition = model.expect_partition(&Str::from(topic), partition.into())?;
        Ok(look(partition))
    }
}
