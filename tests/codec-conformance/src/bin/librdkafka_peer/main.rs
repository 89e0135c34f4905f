//! librdkafka, made to speak.
//!
//! ```text
//! version                    librdkafka's version
//! drive BOOTSTRAP…           every call once at each address, whatever comes of it
//! write BOOTSTRAP PREFIX     the records of standard input, a batch per compression, to PREFIX-…
//! read BOOTSTRAP TOPIC…      each topic's records to standard output, behind a line with its name
//! ```

use std::fmt::Display;
use std::io::{BufRead as _, stdin};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use wolff_codec::Str;
use wolff_codec::records::{self, Compression, Record};
use wolff_codec_conformance::samples;

type Failure = Box<dyn std::error::Error>;

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["version"] => println!("{}", rdkafka::util::get_rdkafka_version().1),
        ["drive", brokers @ ..] => brokers.iter().for_each(|broker| drive(broker)),
        ["write", broker, prefix] => write(broker, prefix)?,
        ["read", broker, topics @ ..] => read(broker, topics)?,
        _ => return Err("drive, write or read what?".into()),
    }
    Ok(())
}

fn config(broker: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker)
        .set("client.id", "librdkafka-peer");
    config
}

fn producer(broker: &str, compression: Compression) -> Result<BaseProducer, Failure> {
    let mut config = config(broker);
    config
        .set("linger.ms", "1000")
        .set("compression.codec", compression.name())
        .set("enable.idempotence", "true");
    Ok(config.create()?)
}

/// Sees that one call that the other side does not know stops no other.
fn attempt<T, E: Display>(name: &str, outcome: Result<T, E>) {
    if let Err(failure) = outcome {
        eprintln!("librdkafka-peer: {name}: {failure}");
    }
}

fn drive(broker: &str) {
    const TOPIC: &str = "wolff-golden";
    attempt("metadata and offsets", offsets(broker, TOPIC));
    attempt("produce", produce(broker, TOPIC));
    attempt("transaction", transaction(broker, TOPIC));
}

fn offsets(broker: &str, topic: &str) -> Result<(), Failure> {
    let consumer: BaseConsumer = config(broker).set("group.id", "librdkafka-peer").create()?;
    consumer.fetch_metadata(Some(topic), PATIENCE)?;
    consumer.fetch_watermarks(topic, 0, PATIENCE)?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    consumer.poll(PATIENCE).ok_or("nothing to read")??;
    Ok(())
}

fn produce(broker: &str, topic: &str) -> Result<(), Failure> {
    let producer = producer(broker, Compression::None)?;
    let record = BaseRecord::to(topic)
        .partition(0)
        .key("key")
        .payload("value");
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(producer.flush(PATIENCE)?)
}

fn transaction(broker: &str, topic: &str) -> Result<(), Failure> {
    let mut config = config(broker);
    config.set("transactional.id", "librdkafka-peer");
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(PATIENCE)?;
    producer.begin_transaction()?;
    let record = BaseRecord::to(topic)
        .partition(0)
        .key("key")
        .payload("in a transaction");
    producer.send(record).map_err(|(error, _)| error)?;
    let consumer: BaseConsumer = self::config(broker)
        .set("group.id", "librdkafka-peer")
        .create()?;
    let group: Option<ConsumerGroupMetadata> = consumer.group_metadata();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, 0, Offset::Offset(1))?;
    producer.send_offsets_to_transaction(&offsets, &group.ok_or("no group")?, PATIENCE)?;
    Ok(producer.commit_transaction(PATIENCE)?)
}

fn write(broker: &str, prefix: &str) -> Result<(), Failure> {
    let lines = stdin().lock().lines().collect::<Result<Vec<String>, _>>()?;
    let records: Option<Vec<Record>> = lines.iter().map(|line| samples::record_of(line)).collect();
    let records = records.ok_or("a line is no record")?;
    for compression in Compression::ALL {
        let topic = format!("{prefix}-{compression}");
        let producer = producer(broker, compression)?;
        for record in &records {
            let mut headers = OwnedHeaders::new();
            for records::Header { key, value } in &record.headers {
                headers = headers.insert(Header {
                    key,
                    value: value.as_deref(),
                });
            }
            let mut message = BaseRecord::<[u8], [u8]>::to(&topic)
                .partition(0)
                .timestamp(record.timestamp_ms)
                .headers(headers);
            message.key = record.key.as_deref();
            message.payload = record.value.as_deref();
            producer.send(message).map_err(|(error, _)| error)?;
        }
        producer.flush(PATIENCE)?;
    }
    Ok(())
}

fn read(broker: &str, topics: &[&str]) -> Result<(), Failure> {
    for topic in topics {
        println!("topic {topic}");
        let consumer: BaseConsumer = config(broker).set("group.id", "librdkafka-peer").create()?;
        let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&partitions)?;
        let mut next = 0;
        while next < end {
            let message = consumer
                .poll(PATIENCE)
                .ok_or("the topic ends too early")??;
            next = message.offset() + 1;
            let owned = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
            let headers = message.headers().map_or_else(Vec::new, |headers| {
                let header = |header: Header<'_, &[u8]>| records::Header {
                    key: Str::from(header.key),
                    value: owned(header.value),
                };
                headers.iter().map(header).collect()
            });
            let record = Record {
                offset: wolff_codec::Offset(message.offset()),
                timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
                key: owned(message.key()),
                value: owned(message.payload()),
                headers,
            };
            println!("{}", samples::line_of(&record));
        }
    }
    Ok(())
}
