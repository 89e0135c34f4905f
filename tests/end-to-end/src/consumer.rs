//! Reads topics with librdkafka, which shares no code with the producer under test.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::Failure;

/// Longest time that the cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time that one look for a message waits; silence is looked into after that.
const LOOK: Duration = Duration::from_millis(500);

/// Amount that was read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Partitions of the topic.
    pub partitions: i32,
    /// Messages read.
    pub messages: u64,
}

/// Partitions of a topic, as the cluster says.
///
/// # Errors
/// There is no such topic, or nobody answers.
pub fn partition_count(brokers: &str, topic: &str) -> Result<i32, Failure> {
    count_partitions(&consumer(brokers)?, topic)
}

/// Shows every message of a topic to `take`, each partition in order, from its first message to the
/// last one that is there when this begins.
///
/// # Errors
/// There is no such topic, nobody answers, messages stay away, or `take` fails.
pub fn read_all(
    brokers: &str,
    topic: &str,
    take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), Failure>,
) -> Result<Totals, Failure> {
    read_on(brokers, topic, &mut HashMap::new(), take)
}

/// As [`read_all`], but begins each partition at its offset in `positions`, where it has one, and
/// leaves there the offsets to go on from.
///
/// # Errors
/// As [`read_all`].
pub fn read_on(
    brokers: &str,
    topic: &str,
    positions: &mut HashMap<i32, i64>,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), Failure>,
) -> Result<Totals, Failure> {
    let consumer = consumer(brokers)?;
    let partitions = count_partitions(&consumer, topic)?;
    let mut ends = Vec::new();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        ends.push(high);
        let start = positions.insert(partition, high).unwrap_or(low).max(low);
        if start < high {
            assignment.add_partition_offset(topic, partition, Offset::Offset(start))?;
        }
    }
    let mut totals = Totals {
        partitions,
        messages: 0,
    };
    let mut unread = assignment.count();
    consumer.assign(&assignment)?;
    let mut heard = Instant::now();
    while unread > 0 {
        let message =
            match consumer.poll(LOOK) {
                Some(Ok(message)) => message,
                // librdkafka looks for the broker again by itself.
                Some(Err(error)) if heard.elapsed() < PATIENCE && is_passing(&error) => continue,
                Some(Err(error)) => return Err(error.into()),
                None if heard.elapsed() < PATIENCE => continue,
                None => return Err(format!(
                    "topic {topic}: no more messages for {PATIENCE:?}, {unread} partitions unread"
                )
                .into()),
            };
        heard = Instant::now();
        let end = usize::try_from(message.partition())
            .ok()
            .and_then(|index| ends.get(index).copied());
        let end = end.ok_or("a message of a partition that was not asked for")?;
        if message.offset() < end {
            take(&message)?;
            totals.messages = totals.messages.saturating_add(1);
        }
        if message.offset() == end.saturating_sub(1) {
            unread = unread.saturating_sub(1);
        }
    }
    Ok(totals)
}

fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{
        AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve)
    )
}

fn consumer(brokers: &str) -> Result<BaseConsumer, Failure> {
    // Partitions are assigned by hand and nothing is committed; librdkafka wants a group's name all
    // the same.
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "wolff-end-to-end")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .create()?;
    Ok(consumer)
}

fn count_partitions(consumer: &BaseConsumer, topic: &str) -> Result<i32, Failure> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.ok_or_else(|| format!("no topic {topic}"))?;
    if let Some(error) = found.error() {
        return Err(format!("topic {topic}: {error:?}").into());
    }
    Ok(i32::try_from(found.partitions().len())?)
}
