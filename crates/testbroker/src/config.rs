//! Configuration of a cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;
use wolff_codec::{ApiKey, Str};

use crate::network::MemoryNetwork;
use crate::partition::{Rules, UnknownProducers};
use crate::sasl::Sasl;
#[cfg(feature = "tls")]
use crate::tls::TlsListener;

/// A topic to be there from the start.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: Str,
    pub(crate) partitions: i32,
}

/// The settings of a cluster, as its builder collects them.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The number of brokers; they are numbered from 1.
    pub(crate) brokers: i32,
    /// Where the first broker listens. The others follow on the next ports, or on any port if this
    /// one's is 0.
    pub(crate) listen: SocketAddr,
    /// The network in memory that the brokers listen on; none for TCP.
    pub(crate) network: Option<MemoryNetwork>,
    /// The wall-clock time at the start, in milliseconds since the Unix epoch; none for the
    /// system's.
    pub(crate) start_time_ms: Option<i64>,
    /// The host that clients are told; by default the address that the broker listens on.
    pub(crate) advertised_host: Option<Str>,
    pub(crate) cluster_id: Option<Str>,
    pub(crate) topics: Vec<NewTopic>,
    pub(crate) auto_create_topics: bool,
    /// Of topics whose creator names no number.
    pub(crate) default_partitions: i32,
    /// Of topics whose creator names no number. More than there are brokers means all.
    pub(crate) replication_factor: i16,
    pub(crate) topic_defaults: TopicConfig,
    /// The longest request that is read, in bytes.
    pub(crate) max_request_bytes: usize,
    pub(crate) unknown_producers: UnknownProducers,
    /// `producer.id.expiration.ms`.
    pub(crate) producer_expiration: Duration,
    /// The versions to serve, where they are not all that can be served; none to hide an API.
    pub(crate) versions: BTreeMap<ApiKey, Option<RangeInclusive<i16>>>,
    /// None if clients need not say who they are.
    pub(crate) sasl: Option<Sasl>,
    /// After how long without a request a connection is closed; none for never.
    pub(crate) max_idle: Option<Duration>,
    /// None for plain TCP.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsListener>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: 1,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            network: None,
            start_time_ms: None,
            advertised_host: None,
            cluster_id: None,
            topics: Vec::new(),
            auto_create_topics: false,
            default_partitions: 1,
            replication_factor: 3,
            topic_defaults: TopicConfig::default(),
            // Kafka's socket.request.max.bytes.
            max_request_bytes: 100 * 1024 * 1024,
            unknown_producers: UnknownProducers::default(),
            producer_expiration: Rules::default().producer_expiration,
            versions: BTreeMap::new(),
            sasl: None,
            max_idle: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// The settings of a topic that this broker acts upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TopicConfig {
    /// `max.message.bytes`: the largest batch, in bytes.
    pub(crate) max_message_bytes: usize,
    /// `retention.bytes`: how much a partition's log may hold before its oldest batches go; none
    /// for no limit.
    pub(crate) retention_bytes: Option<u64>,
    /// `message.timestamp.type=LogAppendTime`: the broker replaces the timestamps by its own.
    pub(crate) has_log_append_time: bool,
    /// `cleanup.policy` includes `compact`: records without key are refused. Nothing is compacted.
    pub(crate) is_compacted: bool,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: Rules::default().max_batch_bytes,
            retention_bytes: None,
            has_log_append_time: false,
            is_compacted: false,
        }
    }
}

impl Config {
    /// The rules of the partitions of a topic.
    pub(crate) fn rules(&self, topic: &TopicConfig) -> Rules {
        Rules {
            unknown_producers: self.unknown_producers,
            producer_expiration: self.producer_expiration,
            max_batch_bytes: topic.max_message_bytes,
            has_log_append_time: topic.has_log_append_time,
            is_compacted: topic.is_compacted,
            retention_bytes: topic.retention_bytes,
            ..Rules::default()
        }
    }
}

/// A topic setting that cannot be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{name} cannot be {value:?}")]
pub(crate) struct InvalidTopicConfig {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl TopicConfig {
    pub(crate) const MAX_MESSAGE_BYTES: &'static str = "max.message.bytes";
    pub(crate) const RETENTION_BYTES: &'static str = "retention.bytes";
    pub(crate) const TIMESTAMP_TYPE: &'static str = "message.timestamp.type";
    pub(crate) const CLEANUP_POLICY: &'static str = "cleanup.policy";

    /// Changes a setting; none for its default. Settings that this broker does not act upon are
    /// taken and ignored.
    pub(crate) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        defaults: &Self,
    ) -> Result<(), InvalidTopicConfig> {
        let invalid = || InvalidTopicConfig {
            name: name.to_owned(),
            value: value.unwrap_or_default().to_owned(),
        };
        match (name, value) {
            (Self::MAX_MESSAGE_BYTES, None) => self.max_message_bytes = defaults.max_message_bytes,
            (Self::MAX_MESSAGE_BYTES, Some(value)) => {
                self.max_message_bytes = value.parse().map_err(|_| invalid())?;
            }
            (Self::RETENTION_BYTES, None) => self.retention_bytes = defaults.retention_bytes,
            (Self::RETENTION_BYTES, Some("-1")) => self.retention_bytes = None,
            (Self::RETENTION_BYTES, Some(value)) => {
                self.retention_bytes = Some(value.parse().map_err(|_| invalid())?);
            }
            (Self::TIMESTAMP_TYPE, None) => self.has_log_append_time = defaults.has_log_append_time,
            (Self::TIMESTAMP_TYPE, Some("CreateTime")) => self.has_log_append_time = false,
            (Self::TIMESTAMP_TYPE, Some("LogAppendTime")) => self.has_log_append_time = true,
            (Self::TIMESTAMP_TYPE, Some(_)) => return Err(invalid()),
            (Self::CLEANUP_POLICY, None) => self.is_compacted = defaults.is_compacted,
            (Self::CLEANUP_POLICY, Some("delete")) => self.is_compacted = false,
            (Self::CLEANUP_POLICY, Some("compact" | "compact,delete" | "delete,compact")) => {
                self.is_compacted = true;
            }
            (Self::CLEANUP_POLICY, Some(_)) => return Err(invalid()),
            _ => {}
        }
        Ok(())
    }

    /// Every setting with its value, as Kafka writes them.
    pub(crate) fn entries(&self) -> [(&'static str, String); 4] {
        let retention = self
            .retention_bytes
            .map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
        let timestamp_type = if self.has_log_append_time {
            "LogAppendTime"
        } else {
            "CreateTime"
        };
        let cleanup_policy = if self.is_compacted {
            "compact"
        } else {
            "delete"
        };
        [
            (Self::MAX_MESSAGE_BYTES, self.max_message_bytes.to_string()),
            (Self::RETENTION_BYTES, retention),
            (Self::TIMESTAMP_TYPE, timestamp_type.to_owned()),
            (Self::CLEANUP_POLICY, cleanup_policy.to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_as_they_were_set() {
        let defaults = TopicConfig::default();
        let mut config = defaults;
        let settings = [
            ("max.message.bytes", "1000"),
            ("retention.bytes", "5000"),
            ("message.timestamp.type", "LogAppendTime"),
            ("cleanup.policy", "compact"),
        ];
        for (name, value) in settings {
            config.set(name, Some(value), &defaults).unwrap();
        }
        assert_eq!(
            config.entries().map(|(name, _)| name),
            settings.map(|(name, _)| name)
        );
        assert_eq!(
            config.entries().map(|(_, value)| value),
            settings.map(|(_, value)| value)
        );
        for (name, _) in settings {
            config.set(name, None, &defaults).unwrap();
        }
        assert_eq!(config, defaults);
    }

    #[test]
    fn a_bad_value_is_refused_and_a_foreign_setting_ignored() {
        let defaults = TopicConfig::default();
        let mut config = defaults;
        for (name, value) in [
            ("max.message.bytes", "-1"),
            ("retention.bytes", "much"),
            ("message.timestamp.type", "Now"),
            ("cleanup.policy", "burn"),
        ] {
            let error = config.set(name, Some(value), &defaults).unwrap_err();
            assert_eq!((error.name.as_str(), error.value.as_str()), (name, value));
        }
        config
            .set("segment.bytes", Some("1000"), &defaults)
            .unwrap();
        assert_eq!(config, defaults);
    }
}
