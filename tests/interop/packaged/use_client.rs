//! Numbered records to a broker and back, and a topic from its creation to its end, by the client.

use std::error::Error;
use std::time::Duration;

use wolff_client::codec::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wolff_client::codec::records::{BatchHeader, RecordRef, encode_batch};
use wolff_client::codec::{Offset, PartitionId};
use wolff_client::{AdminError, Client, ConfigResource, FetchOptions, NewTopic, OffsetSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let [address, topic, count] = [(); 3].map(|()| arguments.next().expect("ADDRESS TOPIC COUNT"));
    let count: usize = count.parse()?;
    let client = Client::builder([address]).client_id("outside").build()?;
    for (host, outcome) in client.probe_hosts().await {
        outcome.map_err(|reason| format!("{host}: {reason}"))?;
    }

    let partition = PartitionId(0);
    let values: Vec<String> = (0..count).map(|number| format!("line {number}")).collect();
    let records = values.iter().map(|value| RecordRef {
        timestamp_ms: 1_700_000_000_000,
        value: Some(value.as_bytes()),
        ..Default::default()
    });
    let batch = encode_batch(&BatchHeader::default(), records)?;
    let leader = client.leader_connection(&topic, partition).await?;
    let data = PartitionProduceData { index: partition, records: Some(batch.into()), ..Default::default() };
    let request = ProduceRequest {
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData {
            name: topic.as_str().into(),
            topic_id: leader.topic_id,
            partition_data: vec![data],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response = leader.connection.request(&request).await?;
    let outcome = &response.responses[0].partition_responses[0];
    assert!(outcome.error_code.is_ok(), "{}", outcome.error_code);
    let mut read = Vec::new();
    let from = [(partition, outcome.base_offset)];
    for (_, fetched) in client.fetch(&topic, &from, &FetchOptions::default()).await {
        for batch in fetched?.batches() {
            let batch = batch?;
            batch.verify()?;
            for record in batch.records(16 << 20)? {
                read.push(String::from_utf8(record?.value.expect("a value").to_vec())?);
            }
        }
    }
    assert_eq!(read, values);

    let patience = Duration::from_secs(10);
    let mut new = NewTopic::new("wolves");
    new.partitions = Some(3);
    client.create_topic(&new, patience).await?;
    match client.create_topic(&new, patience).await.unwrap_err() {
        AdminError::Refused { code, context, .. } => {
            assert_eq!(code.to_string(), "TOPIC_ALREADY_EXISTS");
            assert!(context.broker().is_some(), "{context}");
        }
        other => return Err(other.into()),
    }
    client.create_partitions("wolves", 5, patience).await?;
    assert_eq!(client.topic("wolves").await?.partitions.len(), 5);
    let ends = client.list_offsets(&topic, &[(partition, OffsetSpec::Latest)]).await;
    for (_, end) in ends {
        assert_eq!(end?.offset, Offset(i64::try_from(count)?));
    }
    for (_, settings) in client.describe_configs(&[ConfigResource::topic("wolves")], None).await {
        settings?;
    }
    for (_, start) in client.delete_records(&topic, &[(partition, Offset(1))], patience).await {
        assert_eq!(start?, Offset(1));
    }
    for (_, outcome) in client.delete_topics(&["wolves"], patience).await? {
        outcome?;
    }
    println!("{} records there and back", read.len());
    Ok(())
}
