//! The requests of the conversation.

use wolff_codec::messages::*;
use wolff_codec::records::{BatchHeader, Compression, Record, encode_batch};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    BrokerId, LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, Str, TopicId,
};
use wolff_codec_conformance::samples;

use crate::connection::Failure;

/// A topic of its own is described, filled and read.
pub(super) const TOPIC: Str = Str::from_static("wolff-golden");

/// Longest time that the broker may take, in milliseconds.
pub(super) const TIMEOUT_MS: i32 = 10_000;

/// A transaction that has begun.
pub(super) struct Transaction {
    pub(super) id: Str,
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: ProducerEpoch,
}

impl Transaction {
    /// Since version 4 of them, brokers only ask each other; they answer anyone who may.
    pub(super) fn add_partitions(&self, version: i16) -> AddPartitionsToTxnRequest {
        let topics = vec![AddPartitionsToTxnTopic {
            name: TOPIC,
            partitions: vec![PartitionId(0)],
            ..Default::default()
        }];
        if version >= 4 {
            let transaction = AddPartitionsToTxnTransaction {
                transactional_id: self.id.clone(),
                producer_id: self.producer_id,
                producer_epoch: self.producer_epoch,
                topics,
                ..Default::default()
            };
            return AddPartitionsToTxnRequest {
                transactions: vec![transaction],
                ..Default::default()
            };
        }
        AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.producer_epoch,
            v3_and_below_topics: topics,
            ..Default::default()
        }
    }

    pub(super) fn add_offsets(&self) -> AddOffsetsToTxnRequest {
        AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            group_id: Str::from_static("wolff-golden-group"),
            ..Default::default()
        }
    }

    pub(super) fn commit_offset(&self) -> TxnOffsetCommitRequest {
        let partition = TxnOffsetCommitRequestPartition {
            committed_offset: Offset(1),
            committed_metadata: Some(Str::from_static("note")),
            ..Default::default()
        };
        let topic = TxnOffsetCommitRequestTopic {
            name: TOPIC,
            partitions: vec![partition],
            ..Default::default()
        };
        TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: Str::from_static("wolff-golden-group"),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            topics: vec![topic],
            ..Default::default()
        }
    }

    pub(super) fn end(&self) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            committed: true,
            ..Default::default()
        }
    }
}

pub(super) fn create_topic(name: Str) -> CreateTopicsRequest {
    let config = CreatableTopicConfig {
        name: Str::from_static("retention.ms"),
        value: Some(Str::from_static("-1")),
        ..Default::default()
    };
    let topic = CreatableTopic {
        name,
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..Default::default()
    };
    CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    }
}

pub(super) fn delete_topic(name: Str, version: i16) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest {
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    };
    if version >= 6 {
        request.topics.push(DeleteTopicState {
            name: Some(name),
            ..Default::default()
        });
    } else {
        request.topic_names.push(name);
    }
    request
}

pub(super) fn metadata() -> MetadataRequest {
    let topic = MetadataRequestTopic {
        name: Some(TOPIC),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    }
}

pub(super) fn alter_config() -> IncrementalAlterConfigsRequest {
    let config = AlterableConfig {
        name: Str::from_static("max.message.bytes"),
        value: Some(Str::from_static("1000000")),
        ..Default::default()
    };
    let resource = AlterConfigsResource {
        resource_type: 2,
        resource_name: TOPIC,
        configs: vec![config],
        ..Default::default()
    };
    IncrementalAlterConfigsRequest {
        resources: vec![resource],
        ..Default::default()
    }
}

pub(super) fn describe_config(version: i16) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: TOPIC,
        configuration_keys: Some(vec![
            Str::from_static("max.message.bytes"),
            Str::from_static("retention.ms"),
        ]),
        ..Default::default()
    };
    DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: version >= 1,
        include_documentation: version >= 3,
        ..Default::default()
    }
}

pub(super) fn create_partitions(count: i32) -> CreatePartitionsRequest {
    let topic = CreatePartitionsTopic {
        name: TOPIC,
        count,
        ..Default::default()
    };
    CreatePartitionsRequest {
        topics: vec![topic],
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    }
}

pub(super) fn find_coordinator(version: i16) -> FindCoordinatorRequest {
    let key = Str::from_static("wolff-golden-init");
    let (one, several) = if version >= 4 {
        (Str::default(), vec![key])
    } else {
        (key, Vec::new())
    };
    FindCoordinatorRequest {
        key: one,
        key_type: i8::from(version >= 1),
        coordinator_keys: several,
        ..Default::default()
    }
}

pub(super) fn list_offsets() -> ListOffsetsRequest {
    let partition = ListOffsetsPartition {
        timestamp: -1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic {
        name: TOPIC,
        partitions: vec![partition],
        ..Default::default()
    };
    ListOffsetsRequest {
        topics: vec![topic],
        ..Default::default()
    }
}

pub(super) fn fetch(topic_id: TopicId) -> FetchRequest {
    let partition = FetchPartition {
        fetch_offset: Offset(0),
        // Two batches and a part of the third: brokers cut at the limit.
        partition_max_bytes: 5_000,
        current_leader_epoch: LeaderEpoch::UNKNOWN,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: TOPIC,
        topic_id,
        partitions: vec![partition],
        ..Default::default()
    };
    FetchRequest {
        replica_id: BrokerId::NONE,
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 5_000,
        topics: vec![topic],
        ..Default::default()
    }
}

pub(super) fn offset_for_leader_epoch() -> OffsetForLeaderEpochRequest {
    let partition = OffsetForLeaderPartition {
        leader_epoch: LeaderEpoch(0),
        ..Default::default()
    };
    let topic = OffsetForLeaderTopic {
        topic: TOPIC,
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetForLeaderEpochRequest {
        topics: vec![topic],
        ..Default::default()
    }
}

pub(super) fn delete_records() -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition {
        offset: Offset(1),
        ..Default::default()
    };
    let topic = DeleteRecordsTopic {
        name: TOPIC,
        partitions: vec![partition],
        ..Default::default()
    };
    DeleteRecordsRequest {
        topics: vec![topic],
        timeout_ms: TIMEOUT_MS,
        ..Default::default()
    }
}

pub(super) fn describe_topic_partitions() -> DescribeTopicPartitionsRequest {
    DescribeTopicPartitionsRequest {
        topics: vec![DescribeTopicPartitionsRequestTopic {
            name: TOPIC,
            ..Default::default()
        }],
        // One partition of several: the response has a cursor.
        response_partition_limit: 1,
        ..Default::default()
    }
}

pub(super) fn describe_producers() -> DescribeProducersRequest {
    let topic = TopicRequest {
        name: TOPIC,
        partition_indexes: vec![PartitionId(0)],
        ..Default::default()
    };
    DescribeProducersRequest {
        topics: vec![topic],
        ..Default::default()
    }
}

pub(super) fn produce(name: Str, topic_id: TopicId, records: Chunks) -> ProduceRequest {
    let partition = PartitionProduceData {
        records: Some(records),
        ..Default::default()
    };
    let topic = TopicProduceData {
        name,
        topic_id,
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: TIMEOUT_MS,
        topic_data: vec![topic],
        ..Default::default()
    }
}

/// The samples in one batch.
pub(super) fn batch(compression: Compression) -> Result<Chunks, Failure> {
    let records: Vec<Record> = samples::records();
    let template = BatchHeader {
        compression,
        ..BatchHeader::default()
    };
    let batch = encode_batch(&template, records.iter().map(Record::as_record_ref))?;
    Ok(Chunks::from(batch))
}
