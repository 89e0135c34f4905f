//! Records what real brokers and foreign clients say, for the tests: `cargo xtask golden` starts it
//! with a broker to ask.
//!
//! This crate asks for every API in every version. Then each foreign client that is at hand speaks
//! through a proxy, several times, each time with an older broker as it seems; writes the samples
//! in every compression; and reads the batches that this crate wrote. What a client that is not at
//! hand said before is kept.

mod conversation;
mod peers;

mod proxy;

mod connection;

use std::collections::BTreeMap;
use std::fs;
use std::io;

use wolff_codec::ApiKey;
use wolff_codec::messages::{AnyRequest, ProduceRequest};
use wolff_codec::records::Batches;
use wolff_codec::{Message as _, Str, decode_request_header};
use wolff_codec_conformance::golden::{self, Batch, Direction, Message};
use wolff_codec_conformance::{coverage, samples};

use self::connection::Failure;
use self::conversation::Conversation;
use self::peers::Peer;
use self::proxy::{Proxy, Record};

/// By how many versions the clients are made to step back: the longest range there is.
const STEPS: i16 = 14;

/// Messages that are longer say nothing new.
const MAX_FRAME_BYTES: usize = 8 * 1024;

fn main() -> Result<(), Failure> {
    let broker = variable("WOLFF_KAFKA")?;
    let kafka_version = variable("WOLFF_KAFKA_VERSION")?;
    let broker_name = format!("kafka-{kafka_version}");
    let record = Record::default();

    let mut conversation = Conversation::begin(&broker, &broker_name, record.clone())?;
    conversation.hold()?;
    let sasl = variable("WOLFF_KAFKA_SASL_PLAINTEXT")?;
    let (user, password) = (
        variable("WOLFF_KAFKA_USER")?,
        variable("WOLFF_KAFKA_PASSWORD")?,
    );
    conversation::log_in(&sasl, &broker_name, &user, &password, &record)?;
    let topics = conversation.write_samples()?;
    println!("{broker_name} was asked for everything by wolff");

    let mut batches = Vec::new();
    for peer in Peer::at_hand(&kafka_version) {
        let proxies = (0..STEPS)
            .map(|step_back| {
                let proxy = Proxy {
                    broker: broker.clone(),
                    client_name: peer.name.clone(),
                    broker_name: broker_name.clone(),
                    step_back,
                    record: record.clone(),
                };
                proxy.start()
            })
            .collect::<Result<Vec<String>, Failure>>()?;
        peer.drive(&proxies)?;

        // Before version 13 Produce names topics.
        let written = Record::default();
        let proxy = Proxy {
            broker: broker.clone(),
            client_name: peer.name.clone(),
            broker_name: broker_name.clone(),
            step_back: 1,
            record: written.clone(),
        };
        for compression in wolff_codec::records::Compression::ALL {
            conversation.create_topic(&Str::from(format!("{}-{compression}", peer.prefix())))?;
        }
        peer.write(&proxy.start()?)?;
        batches.extend(batches_of(&peer, &written.take())?);

        if let Some(tables) = peer.tables()? {
            keep_tables(&tables)?;
        }
        peer.read(&broker, &topics)?;
        println!("{} spoke, wrote, and read what wolff wrote", peer.name);
    }
    keep(&record.take(), batches)?;
    Ok(())
}

fn variable(name: &str) -> Result<String, Failure> {
    std::env::var(name)
        .map_err(|_| format!("{name} is not set: start this by `cargo xtask golden`").into())
}

/// The batches with samples in the Produce requests of a client.
fn batches_of(peer: &Peer, messages: &[Message]) -> Result<Vec<Batch>, Failure> {
    let mut batches = BTreeMap::new();
    for message in messages {
        if message.api_key != ApiKey::PRODUCE || message.direction != Direction::Request {
            continue;
        }
        let (header, body) = decode_request_header(&message.frame)?;
        let request = ProduceRequest::decode(&body, header.api_version)?;
        for partition in request
            .topic_data
            .iter()
            .flat_map(|topic| &topic.partition_data)
        {
            let bytes = partition.records.as_ref().ok_or("no records")?.to_bytes();
            let batch = Batches::new(bytes.clone()).next().ok_or("no batch")??;
            let compression = batch.header().compression.name();
            let writer = peer.name.clone();
            batches.insert(
                compression,
                Batch {
                    writer,
                    compression,
                    bytes,
                },
            );
        }
    }
    if batches.len() == wolff_codec::records::Compression::ALL.len() {
        Ok(batches.into_values().collect())
    } else {
        Err(format!("{} wrote only {:?}", peer.name, batches.keys()).into())
    }
}

/// Adds to what was recorded before: per API, version, direction and writer the longest message
/// that is not too long. Older releases count where newer ones of the same program have nothing.
fn keep(said: &[Message], batches: Vec<Batch>) -> io::Result<()> {
    let mut kept = BTreeMap::new();
    let known = |message: &&Message| {
        AnyRequest::versions(message.api_key).is_some_and(|known| known.contains(&message.version))
            && message.frame.len() <= MAX_FRAME_BYTES
    };
    let before = golden::messages().unwrap_or_default();
    for message in before.iter().chain(said).filter(known) {
        let Message {
            api_key,
            version,
            direction,
            writer,
            frame,
        } = message;
        let family = writer.split(['-', '.']).next().unwrap_or_default();
        let slot = kept
            .entry((*api_key, *version, *direction, family))
            .or_insert(message);
        let (new, old) = (
            (number_of(writer), frame.len()),
            (number_of(&slot.writer), slot.frame.len()),
        );
        if new >= old {
            *slot = message;
        }
    }
    let mut kept: Vec<Message> = kept.into_values().cloned().collect();
    kept.sort();
    golden::write_messages(&kept)?;

    let mut all = golden::batches().unwrap_or_default();
    all.retain(|old| !batches.iter().any(|new| new.writer == old.writer));
    all.extend(batches);
    all.sort();
    golden::write_batches(&all)?;
    fs::write(
        golden::folder().join("README.md"),
        coverage::page(&kept, &all),
    )?;
    println!("{} messages and {} batches are kept", kept.len(), all.len());
    Ok(())
}

/// The tables of the release that knows most.
fn keep_tables(tables: &str) -> io::Result<()> {
    let path = golden::folder().join("tables.txt");
    let before = fs::read_to_string(&path).unwrap_or_default();
    if tables.lines().count() >= before.lines().count() {
        fs::create_dir_all(golden::folder())?;
        fs::write(path, tables)?;
    }
    Ok(())
}

/// The numbers in a program's name: its version.
fn number_of(writer: &str) -> Vec<u32> {
    writer
        .split(['-', '.'])
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// The samples as the peers read and write them.
fn sample_lines() -> String {
    samples::records()
        .iter()
        .map(|record| samples::line_of(record) + "\n")
        .collect()
}
