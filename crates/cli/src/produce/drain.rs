//! After the input: waiting for acknowledgements, but not for ever.

use std::time::Duration;

use wolff::client::MetadataError;
use wolff::{Client, HoldUp, PartitionId, Producer};

use super::neighbours::{self, Neighbour};
use super::refusals::Refusals;
use super::summary::{Drained, EndOfInput, Left};
use crate::args::SendingArgs;
use crate::console;
use crate::exit::Exit;
use crate::stop::Stop;

/// Time to wait when nobody watches.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// For ever, in a way that can be added to a clock.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Time that records in transit may still take after the first request to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Time that the last request about the topic may take.
const LAST_QUESTION: Duration = Duration::from_secs(1);

/// Waits until all that was accepted has come to its end, the time is over, or somebody asks to
/// stop.
pub(super) async fn drain(
    producer: &Producer,
    client: &Client,
    args: &SendingArgs,
    end: &EndOfInput,
    stop: &Stop,
) -> Drained {
    let timeout = match &args.drain_timeout {
        Some(timeout) => timeout.0,
        None if console::is_watched() => FOR_EVER,
        None => DEFAULT_TIMEOUT,
    };
    if !matches!(end, EndOfInput::Asked) {
        tokio::select! {
            biased;
            () = stop.asked() => {}
            flushed = producer.flush(timeout) => return match flushed {
                Ok(()) => Drained::All,
                Err(_) => Drained::TimedOut(timeout),
            },
        }
    }
    let last_words = async {
        // Nobody is there, and what is on disk can wait.
        let is_hopeless = args.queue_dir.is_some() && !is_anybody_there(producer, client).await;
        let grace = if is_hopeless { Duration::ZERO } else { GRACE };
        producer.flush(grace).await
    };
    tokio::select! {
        biased;
        () = stop.asked_again() => Drained::Interrupted,
        flushed = last_words => match flushed {
            Ok(()) => Drained::All,
            Err(_) => Drained::Interrupted,
        },
    }
}

/// True if a broker responds. That no partition is connected says little of a producer that has
/// just begun.
async fn is_anybody_there(producer: &Producer, client: &Client) -> bool {
    if producer.stats().connected_partitions > 0 {
        return true;
    }
    let looked = tokio::time::timeout(GRACE, client.check_connectivity()).await;
    matches!(looked, Ok(Ok(())))
}

/// Why records are left, if some are.
pub(super) async fn waits_for(
    producer: &Producer,
    client: &Client,
    drained: Drained,
    refusals: &Refusals,
) -> String {
    let topic = producer.topic();
    let question = async {
        if producer.partition_count().is_none() {
            return match client.topic(topic).await {
                Ok(_) => None,
                Err(error) => Some(about_topic(topic, &error)),
            };
        }
        if producer.stats().connected_partitions > 0 {
            return None;
        }
        let hosts = client.check_connectivity().await.err()?;
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        Some(format!("no broker can be reached: {}", hosts.join("; ")))
    };
    let answer = match drained {
        Drained::All => return String::new(),
        _ => tokio::time::timeout(LAST_QUESTION, question).await,
    };
    match (answer, drained) {
        (Ok(Some(why)), _) => why,
        (Err(_), _) => match producer.hold_up(None) {
            Some(HoldUp::NoMetadata(error)) => about_topic(topic, &error),
            _ => with_reason("no broker answers", producer, client, refusals),
        },
        (_, Drained::TimedOut(timeout)) => {
            let what = format!("no acknowledgement within {timeout:?}");
            with_reason(&what, producer, client, refusals)
        }
        _ => with_reason(
            "stopped before the acknowledgement",
            producer,
            client,
            refusals,
        ),
    }
}

/// Words for a topic of which nothing is known.
fn about_topic(topic: &str, error: &MetadataError) -> String {
    match error {
        MetadataError::Topic { code, .. } => format!("topic {topic:?}: {code}"),
        error => error.to_string(),
    }
}

/// Adds what is known: the last refusals of brokers, why the leader of a partition could not be
/// reached or gave no response, or which brokers owe one.
fn with_reason(what: &str, producer: &Producer, client: &Client, refusals: &Refusals) -> String {
    let count = producer.partition_count().unwrap_or_default();
    let held_up = |partition| {
        let words = match producer.hold_up(Some(partition))? {
            HoldUp::NotConnected(error) => error.to_string(),
            HoldUp::Unanswered(failure) => console::WithCauses(&*failure).to_string(),
            // Those are summed up over all partitions.
            _ => return None,
        };
        Some(format!("partition {partition}: {words}"))
    };
    let silent = || {
        let (broker, silent_for) = client.silent_brokers().into_iter().next()?;
        let silent_for = Duration::from_millis(silent_for.as_millis().try_into().ok()?);
        Some(format!(
            "{broker} is connected, and owes a response for {silent_for:?}"
        ))
    };
    let mut partitions = (0_i32..).take(count).map(PartitionId);
    let other = partitions.find_map(held_up).or_else(silent);
    let reasons: Vec<_> = refusals.words().into_iter().chain(other).collect();
    match reasons.is_empty() {
        true => what.to_owned(),
        false => format!("{what}: {}", reasons.join("; ")),
    }
}

/// Stops the producer; what could not be closed is named.
pub(super) async fn stop(producer: &Producer) {
    if let Err(error) = producer.stop(Duration::ZERO).await {
        for error in &error.errors {
            console::warn(format_args!("{}", console::WithCauses(error)));
        }
    }
}

/// Stopped before anything was read: what counts is what earlier runs have left.
pub(super) async fn stopped_at_once(args: &SendingArgs) -> Exit {
    match left_on_disk(args).await {
        Some(records) if records > 0 => {
            console::warn(format_args!(
                "stopped before anything was read; {records} records of earlier runs are in the queue"
            ));
            Exit::LeftInQueue
        }
        _ => {
            console::warn("stopped before anything was read");
            Exit::Done
        }
    }
}

/// Records that are left: of this run, as the producer counts them, and of earlier ones, which only
/// the disk knows. The producer has stopped.
pub(super) async fn records_left(args: &SendingArgs, drained: Drained, own: u64) -> Left {
    if matches!(drained, Drained::All) {
        return Left::new(own, None);
    }
    if let Some(base) = args.queue_dir.clone() {
        let looking = move || neighbours::has_queues(&base);
        let is_there = tokio::task::spawn_blocking(looking).await;
        if own > 0 && matches!(is_there, Ok(false)) {
            return Left::vanished(own);
        }
    }
    Left::new(own, left_on_disk(args).await)
}

/// Backlogs that other producers have left in the same directory.
pub(super) async fn neighbours(args: &SendingArgs) -> Vec<Neighbour> {
    let Some(directory) = args.queue_dir.clone() else {
        return Vec::new();
    };
    let (client_id, topic) = (args.connection.client_id.clone(), args.topic.clone());
    let counting = move || neighbours::backlogs(&directory, &client_id, &topic);
    tokio::task::spawn_blocking(counting)
        .await
        .unwrap_or_default()
}

/// None: there is no queue on disk, or it cannot be read.
async fn left_on_disk(args: &SendingArgs) -> Option<u64> {
    let directory = args.queue_dir.clone()?;
    let (client_id, topic) = (args.connection.client_id.clone(), args.topic.clone());
    let counting = move || wolff::records_left(&directory, &client_id, &topic);
    match tokio::task::spawn_blocking(counting).await.ok()? {
        Ok(records) => Some(records),
        Err(error) => {
            console::warn(format_args!(
                "the records left in the queue cannot be counted: {}",
                console::WithCauses(&error)
            ));
            None
        }
    }
}
