//! The Metadata response as far as a client needs it: no replicas.
//!
//! The codec's `MetadataResponse` keeps three lists of brokers for each partition, which are most
//! of its memory: with a large cluster's response that is four times the response's bytes.

use std::ops::RangeInclusive;

use wolff_codec::messages::{MetadataRequest, MetadataResponse, MetadataResponseBroker};
use wolff_codec::wire::{Decoder, Encoder, Field, TaggedFields};
use wolff_codec::{
    ApiKey, BrokerId, BrokerIds, DecodeError, EncodeError, ErrorCode, LeaderEpoch, Message,
    PartitionId, Request, Str, TopicId,
};

/// A Metadata request whose response is read as a [`LeadersResponse`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LeadersRequest(pub(crate) MetadataRequest);

impl Message for LeadersRequest {
    const API_KEY: ApiKey = ApiKey::METADATA;
    const VERSIONS: RangeInclusive<i16> = MetadataRequest::VERSIONS;
    const FIRST_FLEXIBLE: Option<i16> = MetadataRequest::FIRST_FLEXIBLE;
}

impl Request for LeadersRequest {
    type Response = LeadersResponse;

    fn newest_version(&self) -> i16 {
        self.0.newest_version()
    }
}

impl Field for LeadersRequest {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        self.0.put(out)
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        MetadataRequest::take(from).map(Self)
    }
}

/// The cluster as the broker that responds knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LeadersResponse {
    /// As in the codec, in milliseconds.
    pub(crate) throttle_time_ms: i32,
    pub(crate) brokers: Vec<MetadataResponseBroker>,
    pub(crate) cluster_id: Option<Str>,
    pub(crate) controller_id: BrokerId,
    pub(crate) topics: Vec<TopicLeaders>,
    /// An error of the whole response.
    pub(crate) error_code: ErrorCode,
}

/// A topic of a [`LeadersResponse`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TopicLeaders {
    pub(crate) error_code: ErrorCode,
    pub(crate) name: Option<Str>,
    pub(crate) topic_id: TopicId,
    pub(crate) is_internal: bool,
    pub(crate) partitions: Vec<PartitionLeader>,
}

/// A partition of a [`TopicLeaders`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PartitionLeader {
    pub(crate) error_code: ErrorCode,
    pub(crate) partition_index: PartitionId,
    pub(crate) leader_id: BrokerId,
    pub(crate) leader_epoch: LeaderEpoch,
}

impl Message for LeadersResponse {
    const API_KEY: ApiKey = ApiKey::METADATA;
    const VERSIONS: RangeInclusive<i16> = MetadataResponse::VERSIONS;
    const FIRST_FLEXIBLE: Option<i16> = MetadataResponse::FIRST_FLEXIBLE;
}

impl Field for LeadersResponse {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("throttle_time_ms", &self.throttle_time_ms)?;
        out.field("brokers", &self.brokers)?;
        out.field("cluster_id", &self.cluster_id)?;
        out.field("controller_id", &self.controller_id)?;
        out.field("topics", &self.topics)?;
        out.field_in(8..=10, "cluster_authorized_operations", &i32::MIN)?;
        out.field_in(13.., "error_code", &self.error_code)?;
        out.unknown_tags(&TaggedFields::new())
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let response = Self {
            throttle_time_ms: from.field("throttle_time_ms")?,
            brokers: from.field("brokers")?,
            cluster_id: from.field("cluster_id")?,
            controller_id: from.field("controller_id")?,
            topics: from.field("topics")?,
            error_code: {
                from.field_in::<i32>(8..=10, "cluster_authorized_operations")?;
                from.field_in(13.., "error_code")?
            },
        };
        from.unknown_tags()?;
        Ok(response)
    }
}

impl Field for TopicLeaders {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.nullable_in(12.., "name", &self.name)?;
        out.field_in(10.., "topic_id", &self.topic_id)?;
        out.field("is_internal", &self.is_internal)?;
        out.field("partitions", &self.partitions)?;
        out.field_in(8.., "topic_authorized_operations", &i32::MIN)?;
        out.unknown_tags(&TaggedFields::new())
    }

    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let topic = Self {
            error_code: from.field("error_code")?,
            name: from.nullable_in(12.., "name")?,
            topic_id: from.field_in(10.., "topic_id")?,
            is_internal: from.field("is_internal")?,
            partitions: from.field("partitions")?,
        };
        from.field_in::<i32>(8.., "topic_authorized_operations")?;
        from.unknown_tags()?;
        Ok(topic)
    }
}

impl Field for PartitionLeader {
    fn put(&self, out: &mut Encoder<'_>) -> Result<(), EncodeError> {
        out.field("error_code", &self.error_code)?;
        out.field("partition_index", &self.partition_index)?;
        out.field("leader_id", &self.leader_id)?;
        out.field_in(7.., "leader_epoch", &self.leader_epoch)?;
        out.field("replica_nodes", &BrokerIds::new())?;
        out.field("isr_nodes", &BrokerIds::new())?;
        out.field_in(5.., "offline_replicas", &BrokerIds::new())?;
        out.unknown_tags(&TaggedFields::new())
    }

    #[inline]
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let partition = Self {
            error_code: from.field("error_code")?,
            partition_index: from.field("partition_index")?,
            leader_id: from.field("leader_id")?,
            leader_epoch: from.field_in(7.., "leader_epoch")?,
        };
        from.field::<BrokerIds>("replica_nodes")?;
        from.field::<BrokerIds>("isr_nodes")?;
        from.field_in::<BrokerIds>(5.., "offline_replicas")?;
        from.unknown_tags()?;
        Ok(partition)
    }
}

#[cfg(test)]
mod tests {
    use wolff_codec::messages::{MetadataResponsePartition, MetadataResponseTopic};
    use wolff_codec::wire::Writer;

    use super::*;

    fn encoded<M: Message>(message: &M, version: i16) -> bytes::Bytes {
        let mut writer = Writer::with_capacity(512);
        message.encode(version, &mut writer).unwrap();
        writer.finish().to_bytes()
    }

    /// A response in which each field has a value of its own, with as many replicas as do not fit
    /// into a short list.
    fn whole() -> MetadataResponse {
        let partition = |index| MetadataResponsePartition {
            error_code: ErrorCode::LEADER_NOT_AVAILABLE,
            partition_index: PartitionId(index),
            leader_id: BrokerId(7),
            leader_epoch: LeaderEpoch(8),
            replica_nodes: (0..5).map(BrokerId).collect(),
            isr_nodes: (0..2).map(BrokerId).collect(),
            offline_replicas: (3..5).map(BrokerId).collect(),
            ..Default::default()
        };
        MetadataResponse {
            throttle_time_ms: 1,
            brokers: vec![MetadataResponseBroker {
                node_id: BrokerId(7),
                host: "kafka".into(),
                port: 9092,
                rack: Some("left".into()),
                ..Default::default()
            }],
            cluster_id: Some("cluster".into()),
            controller_id: BrokerId(2),
            topics: vec![MetadataResponseTopic {
                error_code: ErrorCode::INVALID_TOPIC_EXCEPTION,
                name: Some("t".into()),
                topic_id: TopicId([3; 16]),
                is_internal: true,
                partitions: vec![partition(0), partition(1)],
                ..Default::default()
            }],
            error_code: ErrorCode::REBOOTSTRAP_REQUIRED,
            ..Default::default()
        }
    }

    #[test]
    fn every_version_is_read_as_the_codec_reads_it() {
        for version in MetadataResponse::VERSIONS {
            let body = encoded(&whole(), version);
            let expected = MetadataResponse::decode(&body, version).unwrap();
            let read = LeadersResponse::decode(&body, version).unwrap();
            assert_eq!(read.throttle_time_ms, expected.throttle_time_ms);
            assert_eq!(read.brokers, expected.brokers);
            assert_eq!(read.cluster_id, expected.cluster_id);
            assert_eq!(read.controller_id, expected.controller_id);
            assert_eq!(read.error_code, expected.error_code);
            for (topic, expected) in read.topics.iter().zip(&expected.topics) {
                assert_eq!(topic.error_code, expected.error_code);
                assert_eq!(topic.name, expected.name);
                assert_eq!(topic.topic_id, expected.topic_id);
                assert_eq!(topic.is_internal, expected.is_internal);
                for (partition, expected) in topic.partitions.iter().zip(&expected.partitions) {
                    assert_eq!(partition.error_code, expected.error_code);
                    assert_eq!(partition.partition_index, expected.partition_index);
                    assert_eq!(partition.leader_id, expected.leader_id);
                    assert_eq!(partition.leader_epoch, expected.leader_epoch);
                }
                assert_eq!(topic.partitions.len(), 2);
            }
            assert_eq!(read.topics.len(), 1);
        }
    }

    #[test]
    fn what_is_written_is_read_again_by_both() {
        for version in MetadataResponse::VERSIONS {
            let read = LeadersResponse::decode(&encoded(&whole(), version), version).unwrap();
            let body = encoded(&read, version);
            assert_eq!(LeadersResponse::decode(&body, version).unwrap(), read);
            let whole = MetadataResponse::decode(&body, version).unwrap();
            assert_eq!(whole.topics[0].partitions.len(), 2);
            let request = LeadersRequest(MetadataRequest {
                topics: Some(Vec::new()),
                ..MetadataRequest::default()
            });
            let body = encoded(&request, version);
            assert_eq!(LeadersRequest::decode(&body, version).unwrap(), request);
            assert_eq!(MetadataRequest::decode(&body, version).unwrap(), request.0);
        }
    }

    #[test]
    fn a_partition_takes_sixteen_bytes() {
        assert_eq!(size_of::<PartitionLeader>(), 16);
    }
}
