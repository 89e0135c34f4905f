//! Every API in every version that both sides know, asked by this crate.

mod groups;

mod requests;

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use wolff_codec::messages::*;
use wolff_codec::records::Compression;
use wolff_codec::{ApiKey, ClientInstanceId, Str, TopicId, VersionRanges};
use wolff_codec_conformance::golden::{Direction, Message};

use self::requests::{
    TIMEOUT_MS, TOPIC, Transaction, alter_config, batch, create_partitions, create_topic,
    delete_records, delete_topic, describe_config, describe_producers, describe_topic_partitions,
    fetch, find_coordinator, list_offsets, metadata, offset_for_leader_epoch, produce,
};
use crate::connection::{Connection, Exchange, Failure, name};
use crate::proxy::Record as Recorded;

/// Number of further requests for the coordinator, and the pause between them.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

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
