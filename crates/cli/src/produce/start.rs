//! From flags to a running producer.

use std::path::Path;
use std::time::Duration;

use wolff::client::MetadataError;
use wolff::{Client, CompressionLevel, ErrorCode, Producer, ProducerConfig, StartError};

use super::drain;
use crate::args::{PartitionerName, SendingArgs};
use crate::connect::{self, Patience, Reached};
use crate::console::{self, WithCauses};
use crate::exit::Failure;

/// With the queue in memory, each partition holds this much at least before reading the input
/// pauses.
const MEMORY_QUEUE_BYTES: u64 = 8 * 1024 * 1024;

/// Time that the request for the reason why a topic cannot be used may take.
const LAST_QUESTION: Duration = Duration::from_secs(1);

/// Advice about a queue directory that cannot be used.
const ANOTHER_DIRECTORY: &str = "nothing was accepted; mend this, or choose another --queue-dir";

/// Starts the producer. Nobody has to answer; but if somebody does, the topic must be there.
pub(super) async fn start(args: &SendingArgs, client: &Client) -> Result<Producer, Failure> {
    let mut config = config(args);
    if let Some(path) = &args.queue_dir {
        std::fs::create_dir_all(path).map_err(|error| {
            Failure::usage(format!(
                "cannot use the queue directory {}: {error}",
                path.display()
            ))
            .advice(ANOTHER_DIRECTORY)
        })?;
    }
    let patience = match args.queue_dir {
        Some(_) => Patience::Queues,
        None => Patience::Asks,
    };
    let reached = connect::look(client, patience).await?;
    let is_reached = matches!(reached, Reached::Yes);
    if let Reached::NotYet(reason) = reached {
        let place = match &args.queue_dir {
            Some(path) => path.display().to_string(),
            None => "memory".to_owned(),
        };
        console::warn(format_args!(
            "no broker can be reached yet: {reason}; records are queued in {place} until one answers"
        ));
        // It has been waited for already.
        config.start_timeout = Duration::from_millis(1);
    }
    let started = Producer::builder(client, args.topic.as_str())
        .config(config)
        .start()
        .await;
    let producer = started.map_err(|error| failure(args, &error))?;
    if is_reached && producer.partition_count().is_none() {
        warn_of_missing_topic(args, client).await;
    }
    if let (PartitionerName::Fixed(partition), Some(count)) =
        (args.partitioner, producer.partition_count())
        && usize::try_from(partition).is_ok_and(|partition| partition >= count)
    {
        drain::stop(&producer).await;
        return Err(Failure::usage(format!(
            "--partitioner {partition}: topic {:?} has {count} partitions, 0 to {}",
            args.topic,
            count.saturating_sub(1)
        )));
    }
    Ok(producer)
}

/// Says why records are queued although a broker answers.
async fn warn_of_missing_topic(args: &SendingArgs, client: &Client) {
    let question = client.topic(args.topic.as_str());
    let Ok(Err(MetadataError::Topic { code, .. })) =
        tokio::time::timeout(LAST_QUESTION, question).await
    else {
        return;
    };
    let brokers = args.connection.brokers();
    let place = args.queue_dir.as_deref().unwrap_or(Path::new("memory"));
    let what = if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
        format!(
            "topic {:?} does not exist on the cluster at {brokers}",
            args.topic
        )
    } else {
        format!("topic {:?} cannot be used yet: {code}", args.topic)
    };
    console::warn_advised(
        format_args!(
            "{what}; records are queued in {} until it can be used",
            place.display()
        ),
        format_args!("to create it: {}", create_command(args)),
    );
}

fn create_command(args: &SendingArgs) -> String {
    format!(
        "wolff topic create --brokers {} --partitions 6 {}",
        args.connection.brokers(),
        args.topic
    )
}

fn config(args: &SendingArgs) -> ProducerConfig {
    let mut config = ProducerConfig::default();
    config.replayq_dir.clone_from(&args.queue_dir);
    config.required_acks = args.acks.into();
    config.max_batch_bytes = usize::try_from(args.max_batch_bytes).unwrap_or(usize::MAX);
    config.max_linger = Duration::from_millis(args.linger_ms.into());
    config.compression = args.compression.into();
    config.compression_level = CompressionLevel::default();
    config.partitioner = args.partitioner.into();
    if args.queue_dir.is_none() {
        // A pipe has patience, memory has an end: enough for the window to be full, and no more.
        let window = u64::from(args.max_batch_bytes).saturating_mul(8);
        config.replayq_max_total_bytes = MEMORY_QUEUE_BYTES.max(window);
    }
    config
}

fn failure(args: &SendingArgs, error: &StartError) -> Failure {
    let brokers = args.connection.brokers();
    let what = WithCauses(error).to_string();
    match error {
        StartError::UnknownTopic { topic } => Failure::usage(format!(
            "topic {topic:?} does not exist on the cluster at {brokers}"
        ))
        .advice(format!("create it: {}", create_command(args))),
        StartError::Queue { .. } | StartError::Directory { .. } => {
            Failure::usage(what).advice(ANOTHER_DIRECTORY)
        }
        _ => Failure::usage(what),
    }
}
