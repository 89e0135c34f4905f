//! Control of a cluster by its owner.

use wolff_codec::ids::{BrokerId, Offset, PartitionId};
use wolff_codec::{ErrorCode, Str};

use super::lifecycle::Cluster;
use crate::error::{ClusterError, TopicError};
use crate::fault::{Fault, FaultId};
use crate::handle;
use crate::model::TopicSpec;
use crate::sasl::Sasl;
#[cfg(feature = "tls")]
use crate::tls::TlsListener;

impl Cluster {
    /// Puts a fault in place.
    pub fn inject(&self, fault: Fault) -> FaultId {
        self.shared.change_faults(|faults| faults.add(fault))
    }

    /// Takes a fault away; requests that it holds go on. Returns whether it was there.
    pub fn remove_fault(&self, fault: FaultId) -> bool {
        self.shared.change_faults(|faults| faults.remove(fault))
    }

    /// Takes all faults away; requests that they hold go on.
    pub fn clear_faults(&self) {
        self.shared.change_faults(|faults| faults.clear());
    }

    /// Makes a broker the leader of a partition, in a new leader epoch.
    ///
    /// # Errors
    /// When there is no such partition, or the broker is unknown or dead.
    pub fn move_leader(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
        to: impl Into<BrokerId>,
    ) -> Result<(), ClusterError> {
        let (topic, partition, to) = (Str::from(topic), partition.into(), to.into());
        let now_ms = self.shared.now_ms();
        self.shared
            .change(|model| model.move_leader(&topic, partition, to, now_ms))
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// When there is one of that name, or the name or the number of partitions is not allowed.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), ClusterError> {
        let name = Str::from(name);
        let spec = TopicSpec {
            partitions,
            ..TopicSpec::default()
        };
        let created = self.shared.change(|model| model.create_topic(&name, &spec));
        created.map_err(|error| ClusterError::topic(&name, error))
    }

    /// Deletes a topic with its logs. One that is created under its name later has another id.
    ///
    /// # Errors
    /// When there is no such topic.
    pub fn delete_topic(&self, name: &str) -> Result<(), ClusterError> {
        let deleted = self.shared.change(|model| model.delete_topic(name));
        deleted.map_err(|_| ClusterError::UnknownTopic {
            topic: Str::from(name),
        })
    }

    /// Adds partitions to a topic until it has `count`.
    ///
    /// # Errors
    /// When there is no such topic, or it has as many already.
    pub fn add_partitions(&self, topic: &str, count: i32) -> Result<(), ClusterError> {
        let topic = Str::from(topic);
        let added = self
            .shared
            .change(|model| model.add_partitions(&topic, count, &[]));
        added.map_err(|error| ClusterError::topic(&topic, error))
    }

    /// Changes a setting of a topic: `max.message.bytes`, `retention.bytes`,
    /// `message.timestamp.type` or `cleanup.policy`. Others are ignored.
    ///
    /// # Errors
    /// When there is no such topic, or the setting cannot have that value.
    pub fn configure_topic(
        &self,
        topic: &str,
        setting: &str,
        value: &str,
    ) -> Result<(), ClusterError> {
        let name = Str::from(topic);
        let configured = self.shared.change(|model| {
            let defaults = *model.topic_defaults();
            let topic = model.topic_mut(&name).ok_or_else(TopicError::unknown)?;
            let set = topic.config.set(setting, Some(value), &defaults);
            set.map_err(|invalid| TopicError::new(ErrorCode::INVALID_CONFIG, invalid.to_string()))
        });
        configured.map_err(|error| ClusterError::topic(&Str::from(topic), error))
    }

    /// Makes a partition forget its producers, as Kafka does after `producer.id.expiration.ms`.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn expire_producers(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
    ) -> Result<(), ClusterError> {
        let (topic, partition) = (Str::from(topic), partition.into());
        self.shared.change(|model| {
            model
                .expect_partition(&topic, partition)?
                .forget_producers();
            Ok(())
        })
    }

    /// Loses what a partition has from an offset on, acknowledged or not, under a new leader epoch:
    /// what an unclean election does. A batch that holds the offset is lost as a whole.
    ///
    /// # Errors
    /// When there is no such partition.
    pub fn lose_from(
        &self,
        topic: &str,
        partition: impl Into<PartitionId>,
        offset: impl Into<Offset>,
    ) -> Result<(), ClusterError> {
        let (topic, partition) = (Str::from(topic), partition.into());
        let now_ms = self.shared.now_ms();
        self.shared.change(|model| {
            model
                .expect_partition(&topic, partition)?
                .lose_from(offset.into(), now_ms);
            Ok(())
        })
    }

    /// Has a broker go on telling its clients what is true of brokers, topics and leaders now,
    /// whatever changes: its metadata is stale, as that of a broker is which has lost its
    /// controller. What it leads it serves as ever.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn freeze_metadata(&self, broker: impl Into<BrokerId>) -> Result<(), ClusterError> {
        let broker = broker.into();
        let snapshot = {
            let model = self.shared.model();
            model
                .node(broker)
                .ok_or(ClusterError::UnknownBroker { broker })?;
            handle::snapshot(&model)
        };
        self.shared.set_stale_metadata(broker, Some(snapshot));
        Ok(())
    }

    /// Has a broker tell the truth again. Returns whether its metadata was stale.
    pub fn thaw_metadata(&self, broker: impl Into<BrokerId>) -> bool {
        self.shared
            .set_stale_metadata(broker.into(), None)
            .is_some()
    }

    /// Changes passwords, tokens, mechanisms or lifetimes, for every authentication from now on. A
    /// cluster without SASL gets it, with no mechanism enabled at first, for connections that are
    /// made from now on.
    pub fn change_sasl(&self, change: impl FnOnce(Sasl) -> Sasl) {
        self.shared.change_sasl(change);
    }

    /// Has connections that are made from now on speak TLS in this way, with another certificate,
    /// say; or plain TCP. The open ones stay as they are.
    #[cfg(feature = "tls")]
    pub fn set_tls(&self, listener: impl Into<Option<TlsListener>>) {
        self.shared.set_tls(listener.into());
    }

    /// Tells clients that a broker is elsewhere: at a proxy in front of it, say. The broker listens
    /// where it did.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn advertise(
        &self,
        broker: impl Into<BrokerId>,
        host: impl Into<Str>,
        port: u16,
    ) -> Result<(), ClusterError> {
        let broker = broker.into();
        self.shared.change(|model| {
            let node = model
                .node_mut(broker)
                .ok_or(ClusterError::UnknownBroker { broker })?;
            node.host = host.into();
            node.port = port;
            Ok(())
        })
    }
}
