//! Every API in every version that both sides know, asked by this crate.

mod groups;

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use wolff_codec::messages::*;
use wolff_codec::records::{BatchHeader, Compression, Record, encode_batch};
use wolff_codec::wire::Chunks;
use wolff_codec::{
    ApiKey, BrokerId, ClientInstanceId, LeaderEpoch, Offset, PartitionId, ProducerEpoch,
    ProducerId, Str, TopicId, VersionRanges,
};
use wolff_codec_conformance::golden::{Direction, Message};
use wolff_codec_conformance::samples;

use crate::connection::{Connection, Exchange, Failure, name};
use crate::proxy::Record as Recorded;

/// Longest time that the broker may take, in milliseconds.
const TIMEOUT_MS: i32 = 10_000;

/// Number of further requests for the coordinator, and the pause between them.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A topic of its own is described, filled and read.
const TOPIC: Str = Str::from_static("wolff-golden");

/// A client that asks for everything.
pub(crate) struct Conversation {
    connection: Connection,
    broker_name: String,
    record: Recorded,
    ranges: VersionRanges,
    topic_id: TopicId,
}

impl Conversation {
    /// Connects, and asks what the broker knows.
    pub(crate) fn begin(
        address: &str,
        broker_name: &str,
        record: Recorded,
    ) -> Result<Self, Failure> {
        let mut this = Self::connect(address, broker_name, record)?;
        for version in <ApiVersionsRequest as wolff_codec::Message>::VERSIONS {
            let request = ApiVersionsRequest {
                client_software_name: Str::from_static("wolff"),
                client_software_version: Str::from_static("0.1.0"),
                ..ApiVersionsRequest::default()
            };
            if let AnyResponse::ApiVersions(versions) = this.ask(request, version)? {
                this.ranges = VersionRanges::from(&versions);
            }
        }
        Ok(this)
    }

    fn connect(address: &str, broker_name: &str, record: Recorded) -> Result<Self, Failure> {
        Ok(Self {
            connection: Connection::open(address)?,
            broker_name: broker_name.to_owned(),
            record,
            ranges: VersionRanges::default(),
            topic_id: TopicId::ZERO,
        })
    }

    /// Creates a topic of one partition.
    pub(crate) fn create_topic(&mut self, topic: &Str) -> Result<(), Failure> {
        self.ask(create_topic(topic.clone()), 5)?;
        Ok(())
    }

    /// Asks for all there is.
    pub(crate) fn hold(&mut self) -> Result<(), Failure> {
        self.create_topic(&TOPIC)?;
        for version in self.common(ApiKey::CREATE_TOPICS) {
            self.ask(
                create_topic(Str::from(format!("wolff-golden-{version}"))),
                version,
            )?;
        }
        for version in self.common(ApiKey::METADATA) {
            if let AnyResponse::Metadata(metadata) = self.ask(metadata(), version)?
                && version >= 10
                && let Some(topic) = metadata.topics.first()
            {
                self.topic_id = topic.topic_id;
            }
        }
        self.configure()?;
        self.produce_and_read()?;
        self.transact()?;
        self.form_groups()?;
        self.observe()?;
        for version in self.common(ApiKey::DELETE_TOPICS) {
            self.ask(
                delete_topic(Str::from(format!("wolff-golden-{version}")), version),
                version,
            )?;
        }
        Ok(())
    }

    fn configure(&mut self) -> Result<(), Failure> {
        for version in self.common(ApiKey::INCREMENTAL_ALTER_CONFIGS) {
            self.ask(alter_config(), version)?;
        }
        for version in self.common(ApiKey::DESCRIBE_CONFIGS) {
            self.ask(describe_config(version), version)?;
        }
        for version in self.common(ApiKey::CREATE_PARTITIONS) {
            self.ask(create_partitions(2 + i32::from(version)), version)?;
        }
        Ok(())
    }

    fn produce_and_read(&mut self) -> Result<(), Failure> {
        for version in self.common(ApiKey::PRODUCE) {
            let batch = batch(Compression::None)?;
            self.write(&produce(TOPIC, self.topic_id, batch), version)?;
        }
        for version in self.common(ApiKey::LIST_OFFSETS) {
            self.ask(list_offsets(), version)?;
        }
        for version in self.common(ApiKey::FETCH) {
            self.ask(fetch(self.topic_id), version)?;
        }
        for version in self.common(ApiKey::OFFSET_FOR_LEADER_EPOCH) {
            self.ask(offset_for_leader_epoch(), version)?;
        }
        for version in self.common(ApiKey::DELETE_RECORDS) {
            self.ask(delete_records(), version)?;
        }
        Ok(())
    }

    /// A transaction for every version of each of its requests.
    fn transact(&mut self) -> Result<(), Failure> {
        for version in self.common(ApiKey::FIND_COORDINATOR) {
            self.ask(find_coordinator(version), version)?;
        }
        for version in self.common(ApiKey::INIT_PRODUCER_ID) {
            self.begin_transaction("init", version)?;
        }
        for version in self.common(ApiKey::ADD_PARTITIONS_TO_TXN) {
            let transaction = self.begin_transaction("partitions", 4)?;
            self.ask(transaction.add_partitions(version), version)?;
            self.ask(transaction.end(), 3)?;
        }
        for version in self.common(ApiKey::ADD_OFFSETS_TO_TXN) {
            let transaction = self.begin_transaction("offsets", 4)?;
            self.ask(transaction.add_offsets(), version)?;
            self.ask(transaction.end(), 3)?;
        }
        for version in self.common(ApiKey::TXN_OFFSET_COMMIT) {
            let transaction = self.begin_transaction("commit", 4)?;
            self.ask(transaction.add_offsets(), 3)?;
            self.ask(transaction.commit_offset(), version)?;
            self.ask(transaction.end(), 3)?;
        }
        for version in self.common(ApiKey::END_TXN) {
            let transaction = self.begin_transaction("end", 4)?;
            self.ask(transaction.add_partitions(3), 3)?;
            self.ask(transaction.end(), version)?;
        }
        Ok(())
    }

    /// The coordinator may have to load first, or to finish the transaction before.
    fn begin_transaction(&mut self, what: &str, version: i16) -> Result<Transaction, Failure> {
        let id = Str::from(format!("wolff-golden-{what}"));
        let request = InitProducerIdRequest {
            transactional_id: Some(id.clone()),
            transaction_timeout_ms: TIMEOUT_MS,
            ..InitProducerIdRequest::default()
        };
        for _ in 0..ATTEMPTS {
            match self.ask(request.clone(), version)? {
                AnyResponse::InitProducerId(response) if response.error_code.is_ok() => {
                    return Ok(Transaction {
                        id,
                        producer_id: response.producer_id,
                        producer_epoch: response.producer_epoch,
                    });
                }
                AnyResponse::InitProducerId(response) if response.error_code.is_retriable() => {
                    thread::sleep(PAUSE);
                }
                other => return Err(format!("no producer id: {other:?}").into()),
            }
        }
        Err(format!("no producer id for {what} after {ATTEMPTS} attempts").into())
    }

    fn observe(&mut self) -> Result<(), Failure> {
        for version in self.common(ApiKey::DESCRIBE_CLUSTER) {
            self.ask(
                DescribeClusterRequest {
                    endpoint_type: 1,
                    ..Default::default()
                },
                version,
            )?;
        }
        for version in self.common(ApiKey::DESCRIBE_PRODUCERS) {
            self.ask(describe_producers(), version)?;
        }
        for version in self.common(ApiKey::DESCRIBE_TRANSACTIONS) {
            let request = DescribeTransactionsRequest {
                transactional_ids: vec![Str::from_static("wolff-golden-end")],
                ..Default::default()
            };
            self.ask(request, version)?;
        }
        for version in self.common(ApiKey::LIST_TRANSACTIONS) {
            self.ask(ListTransactionsRequest::default(), version)?;
        }
        for version in self.common(ApiKey::DESCRIBE_TOPIC_PARTITIONS) {
            self.ask(describe_topic_partitions(), version)?;
        }
        // Brokers without a receiver of telemetry do not say that they know it, but answer.
        let subscriptions = GetTelemetrySubscriptionsRequest {
            client_instance_id: ClientInstanceId::default(),
            ..Default::default()
        };
        let AnyResponse::GetTelemetrySubscriptions(subscriptions) = self.ask(subscriptions, 0)?
        else {
            return Err("an answer of another kind".into());
        };
        let push = PushTelemetryRequest {
            client_instance_id: subscriptions.client_instance_id,
            subscription_id: subscriptions.subscription_id,
            terminating: true,
            metrics: Bytes::from_static(b"no OTLP"),
            ..Default::default()
        };
        self.ask(push, 0)?;
        Ok(())
    }

    /// Writes the samples to a topic of its own for each compression; the topics.
    pub(crate) fn write_samples(&mut self) -> Result<Vec<String>, Failure> {
        let mut topics = Vec::new();
        for compression in Compression::ALL {
            let topic = Str::from(format!("wolff-{compression}"));
            self.create_topic(&topic)?;
            let batch = batch(compression)?;
            self.write(&produce(topic.clone(), TopicId::ZERO, batch), 11)?;
            topics.push(topic.to_string());
        }
        Ok(topics)
    }

    /// Writes until the broker accepts it: a topic takes a moment until it has a leader that knows
    /// of it.
    fn write(&mut self, request: &ProduceRequest, version: i16) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            match self.ask(request.clone(), version)? {
                AnyResponse::Produce(response) if is_accepted(&response) => return Ok(()),
                _ => thread::sleep(PAUSE),
            }
        }
        Err(format!("not accepted after {ATTEMPTS} attempts: {request:?}").into())
    }

    /// The versions that both sides know.
    fn common(&self, api_key: ApiKey) -> Vec<i16> {
        let (Some(ours), Some(theirs)) =
            (AnyRequest::versions(api_key), self.ranges.range(api_key))
        else {
            return Vec::new();
        };
        ours.filter(|version| theirs.contains(version)).collect()
    }

    fn ask(
        &mut self,
        request: impl Into<AnyRequest>,
        version: i16,
    ) -> Result<AnyResponse, Failure> {
        let request = request.into();
        let api_key = request.api_key();
        let exchange = self.exchange(request, version)?;
        for (direction, writer, frame) in [
            (Direction::Request, "wolff", exchange.request),
            (
                Direction::Response,
                self.broker_name.as_str(),
                exchange.response,
            ),
        ] {
            self.record.add(Message {
                api_key,
                version,
                direction,
                writer: writer.to_owned(),
                frame,
            });
        }
        Ok(exchange.decoded)
    }

    fn exchange(
        &mut self,
        request: impl Into<AnyRequest>,
        version: i16,
    ) -> Result<Exchange, Failure> {
        let request = request.into();
        let what = name(request.api_key(), version);
        self.connection
            .call(&request, version)
            .map_err(|failure| format!("{what}: {failure}").into())
    }
}

/// Logs in with every version of both messages, each on a connection of its own.
pub(crate) fn log_in(
    address: &str,
    broker_name: &str,
    user: &str,
    password: &str,
    record: &Recorded,
) -> Result<(), Failure> {
    for version in 0..=2 {
        let mut conversation = Conversation::connect(address, broker_name, record.clone())?;
        let mechanism = Str::from_static("PLAIN");
        for handshake in 0..=1 {
            conversation.ask(
                SaslHandshakeRequest {
                    mechanism: mechanism.clone(),
                },
                handshake,
            )?;
            if handshake == 0 {
                // After version 0 the broker expects bare tokens.
                conversation.connection = Connection::open(address)?;
            }
        }
        let auth_bytes = Bytes::from(format!("\0{user}\0{password}"));
        let request = SaslAuthenticateRequest {
            auth_bytes,
            ..Default::default()
        };
        match conversation.ask(request, version)? {
            AnyResponse::SaslAuthenticate(response) if response.error_code.is_ok() => {}
            other => return Err(format!("not logged in: {other:?}").into()),
        }
    }
    Ok(())
}

/// A transaction that has begun.
struct Transaction {
    id: Str,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
}

impl Transaction {
    /// Since version 4 of them, brokers only ask each other; they answer anyone who may.
    fn add_partitions(&self, version: i16) -> AddPartitionsToTxnRequest {
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

    fn add_offsets(&self) -> AddOffsetsToTxnRequest {
        AddOffsetsToTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            group_id: Str::from_static("wolff-golden-group"),
            ..Default::default()
        }
    }

    fn commit_offset(&self) -> TxnOffsetCommitRequest {
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

    fn end(&self) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            committed: true,
            ..Default::default()
        }
    }
}

fn create_topic(name: Str) -> CreateTopicsRequest {
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

fn delete_topic(name: Str, version: i16) -> DeleteTopicsRequest {
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

fn metadata() -> MetadataRequest {
    let topic = MetadataRequestTopic {
        name: Some(TOPIC),
        ..Default::default()
    };
    MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    }
}

fn alter_config() -> IncrementalAlterConfigsRequest {
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

fn describe_config(version: i16) -> DescribeConfigsRequest {
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

fn create_partitions(count: i32) -> CreatePartitionsRequest {
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

fn find_coordinator(version: i16) -> FindCoordinatorRequest {
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

fn list_offsets() -> ListOffsetsRequest {
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

fn fetch(topic_id: TopicId) -> FetchRequest {
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

fn offset_for_leader_epoch() -> OffsetForLeaderEpochRequest {
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

fn delete_records() -> DeleteRecordsRequest {
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

fn describe_topic_partitions() -> DescribeTopicPartitionsRequest {
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

fn describe_producers() -> DescribeProducersRequest {
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

fn produce(name: Str, topic_id: TopicId, records: Chunks) -> ProduceRequest {
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

fn is_accepted(response: &ProduceResponse) -> bool {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    partitions.clone().count() == 1
        && partitions
            .clone()
            .all(|partition| partition.error_code.is_ok())
}

/// The samples in one batch.
fn batch(compression: Compression) -> Result<Chunks, Failure> {
    let records: Vec<Record> = samples::records();
    let template = BatchHeader {
        compression,
        ..BatchHeader::default()
    };
    let batch = encode_batch(&template, records.iter().map(Record::as_record_ref))?;
    Ok(Chunks::from(batch))
}
