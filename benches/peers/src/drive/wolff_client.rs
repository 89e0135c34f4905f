//! This workspace's connection manager alone: requests with a batch of one record, through one
//! connection, so many of them in flight. What a producer does beside that, it does not do.

use std::collections::VecDeque;

use wolff::client::codec::messages::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use wolff::client::codec::records::{BatchHeader, RecordRef, RecordsBuilder};
use wolff::client::codec::{ErrorCode, PartitionId};
use wolff::client::{Client, LeaderConnection, Pending};

use super::{Clock, runtime};
use crate::Failure;
use crate::job::{Job, Measurement, TOPIC};
use crate::payload::{Payload, payloads};

/// When all records were made: the broker does not look at it.
const TIMESTAMP_MS: i64 = 1_700_000_000_000;

pub(super) fn run(job: &Job) -> Result<Measurement, Failure> {
    runtime(job)?.block_on(async {
        let client = Client::builder([job.broker.clone()]).build()?;
        let leader = client.leader_connection(TOPIC, PartitionId(0)).await?;
        let payloads = payloads(job.value_bytes);
        produce(job, &leader, &payloads, job.warm_up_records).await?;
        let clock = Clock::start(job)?;
        produce(job, &leader, &payloads, job.records).await?;
        clock.stop(job.records)
    })
}

async fn produce(
    job: &Job,
    leader: &LeaderConnection,
    payloads: &[Payload],
    records: usize,
) -> Result<(), Failure> {
    let mut in_flight = VecDeque::with_capacity(job.in_flight);
    for payload in payloads.iter().cycle().take(records) {
        if in_flight.len() >= job.in_flight
            && let Some(oldest) = in_flight.pop_front()
        {
            check(oldest).await?;
        }
        in_flight.push_back(leader.connection.start(&request(leader, payload)?)?);
    }
    for pending in in_flight {
        check(pending).await?;
    }
    Ok(())
}

async fn check(pending: Pending<ProduceResponse>) -> Result<(), Failure> {
    let answer = pending.await?;
    let topic = answer.responses.first();
    let partition = topic.and_then(|topic| topic.partition_responses.first());
    match partition.map(|partition| partition.error_code) {
        Some(ErrorCode::NONE) => Ok(()),
        other => Err(format!("not acknowledged: {other:?}").into()),
    }
}

fn request(leader: &LeaderConnection, payload: &Payload) -> Result<ProduceRequest, Failure> {
    let mut builder = RecordsBuilder::new(TIMESTAMP_MS);
    builder.append(&RecordRef {
        timestamp_ms: TIMESTAMP_MS,
        key: Some(&payload.key),
        value: Some(&payload.value),
        headers: &[],
    })?;
    let frame = builder.cut().ok_or("a record makes a frame")?;
    let header = BatchHeader {
        base_timestamp_ms: TIMESTAMP_MS,
        max_timestamp_ms: TIMESTAMP_MS,
        record_count: 1,
        ..BatchHeader::default()
    };
    let header = header.encode(frame.records.len(), frame.crc32c)?;
    Ok(ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: TOPIC.into(),
            topic_id: leader.topic_id,
            partition_data: vec![PartitionProduceData {
                index: PartitionId(0),
                records: Some(vec![header.to_vec().into(), frame.records].into()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    })
}
