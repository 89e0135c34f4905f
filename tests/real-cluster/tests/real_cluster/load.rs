//! Load that shows every lost, doubled or exchanged request: numbered records for one partition,
//! many requests in flight on one connection, without idempotence. So the offset of each is its
//! number, or something went wrong.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use wolff_client::codec::messages::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use wolff_client::codec::records::{BatchHeader, RecordRef, RecordsBuilder};
use wolff_client::codec::{ErrorCode, PartitionId};
use wolff_client::{Client, LeaderConnection, Pending, RequestError};
use wolff_end_to_end::consumer;

use crate::nodes::{Listener, Nodes, in_time};

pub(crate) const P0: PartitionId = PartitionId(0);

/// Requests in flight.
const IN_FLIGHT: usize = 20;

/// Nobody kills the leader meanwhile: what is tested is the connection, and it should be busy.
const LEADER_ONLY: i16 = 1;

/// Consumers see what all replicas have; the last record waits for that.
const ALL_REPLICAS: i16 = -1;

/// One topic's load.
pub(crate) struct Load {
    topic: String,
    leader: LeaderConnection,
    in_flight: VecDeque<Pending<ProduceResponse>>,
    started: i64,
    answered: i64,
}

impl Load {
    /// To a topic with one partition that nobody else writes to.
    pub(crate) async fn new(client: &Client, topic: &str) -> Self {
        let mut load = Self {
            topic: topic.to_owned(),
            leader: leader(client, topic, P0).await,
            in_flight: VecDeque::new(),
            started: 0,
            answered: 0,
        };
        load.begin().await;
        load
    }

    /// Has the first record taken, alone: another node may have named the leader of a new topic
    /// before that one knows of it.
    async fn begin(&mut self) {
        const NOT_YET: [ErrorCode; 3] = [
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ErrorCode::UNKNOWN_TOPIC_ID,
        ];
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let request = self.request(0, ALL_REPLICAS);
            let pending = self.leader.connection.start(&request).unwrap();
            let answer = in_time(pending).await.unwrap();
            let code = answer.responses[0].partition_responses[0].error_code;
            if !NOT_YET.contains(&code) {
                assert_eq!(code, ErrorCode::NONE);
                break;
            }
            assert!(
                Instant::now() < until,
                "the leader does not know the topic: {code}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (self.started, self.answered) = (1, 1);
    }

    /// Goes on for that long, on the connection that it has begun with.
    pub(crate) async fn run_for(&mut self, time: Duration) -> Result<(), RequestError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            while self.in_flight.len() < IN_FLIGHT {
                self.start(LEADER_ONLY)?;
            }
            self.take_answer().await?;
        }
        Ok(())
    }

    fn start(&mut self, acks: i16) -> Result<(), RequestError> {
        let request = self.request(self.started, acks);
        let pending = self.leader.connection.start(&request)?;
        self.in_flight.push_back(pending);
        self.started += 1;
        Ok(())
    }

    /// Waits for what is in flight; then nothing was lost, doubled or exchanged, as an independent
    /// consumer sees it.
    pub(crate) async fn finish(mut self, nodes: &Nodes) -> i64 {
        self.start(ALL_REPLICAS).unwrap();
        while !self.in_flight.is_empty() {
            self.take_answer().await.unwrap();
        }
        assert!(!self.leader.connection.is_closed());
        assert_eq!(self.answered, self.started);
        let brokers = nodes.addresses(Listener::Plaintext).join(",");
        let topic = self.topic.clone();
        let read = tokio::task::spawn_blocking(move || {
            use rdkafka::message::Message as _;
            let mut next = 0_i64;
            consumer::read_all(&brokers, &topic, |message| {
                let text = std::str::from_utf8(message.payload().unwrap_or_default())?;
                assert_eq!((message.offset(), text), (next, next.to_string().as_str()));
                next += 1;
                Ok(())
            })
            .map(|_| next)
        });
        let read = in_time(read).await.unwrap().unwrap();
        assert_eq!(read, self.answered);
        read
    }

    async fn take_answer(&mut self) -> Result<(), RequestError> {
        let pending = self.in_flight.pop_front().unwrap();
        let answer = in_time(pending).await?;
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, ErrorCode::NONE);
        assert_eq!(partition.base_offset.0, self.answered);
        self.answered += 1;
        Ok(())
    }

    fn request(&self, number: i64, acks: i16) -> ProduceRequest {
        let value = number.to_string();
        let mut builder = RecordsBuilder::new(1_000);
        let record = RecordRef {
            timestamp_ms: 1_000,
            key: None,
            value: Some(value.as_bytes()),
            headers: &[],
        };
        builder.append(&record).unwrap();
        let frame = builder.cut().unwrap();
        let header = BatchHeader {
            base_timestamp_ms: 1_000,
            max_timestamp_ms: 1_000,
            record_count: 1,
            ..BatchHeader::default()
        };
        let header = header.encode(frame.records.len(), frame.crc32c).unwrap();
        let records = vec![header.to_vec().into(), frame.records];
        ProduceRequest {
            acks,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: self.topic.as_str().into(),
                topic_id: self.leader.topic_id,
                partition_data: vec![PartitionProduceData {
                    index: P0,
                    records: Some(records.into()),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }
}

/// Looks for a leader as a producer does: again until there is one.
pub(crate) async fn leader(
    client: &Client,
    topic: &str,
    partition: PartitionId,
) -> LeaderConnection {
    let look = async {
        loop {
            match client.leader_connection(topic, partition).await {
                Ok(leader) => return leader,
                Err(_not_yet) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    in_time(look).await
}
