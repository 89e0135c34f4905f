//! From flags to a running producer.

use std::time::Duration;

use wolff::{Client, CompressionLevel, Producer, ProducerConfig, StartError};

use super::drain;
use crate::args::{PartitionerName, SendingArgs};
use crate::connect::{self, Reached};
use crate::console::{self, WithCauses};
use crate::exit::Failure;

/// With the queue in memory, each partition holds this much at least before reading the input pauses.
const MEMORY_QUEUE_BYTES: u64 = 8 * 1024 * 1024;

/// Starts the producer. Nobody has to answer; but if somebody does, the topic must be there.
pub(super) async fn start(args: &SendingArgs, client: &Client) -> Result<Producer, Failure> {
    let mut config = config(args);
    if let Reached::NotYet(reason) = connect::look(client).await? {
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
        StartError::UnknownTopic { topic } => {
            Failure::usage(format!("topic {topic:?} does not exist on the cluster at {brokers}")).advice(
                format!("create it: wolff topic create --brokers {brokers} --partitions 6 {topic}"),
            )
        }
        StartError::Queue { .. } | StartError::Directory { .. } => Failure::usage(what)
            .advice("nothing was accepted, and what is in the directory is as it was; mend this, or choose another --queue-dir"),
        _ => Failure::usage(what),
    }
}
