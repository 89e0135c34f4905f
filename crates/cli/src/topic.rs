//! `wolff topic`: create, list, describe.

use std::time::Duration;

use serde::Serialize;
use wolff::ErrorCode;
use wolff::client::{AdminError, MetadataError, NewTopic, TopicMetadata};

use crate::args::{CreateTopicArgs, DescribeTopicArgs, ListTopicsArgs, TopicCommand};
use crate::exit::{Exit, Failure};
use crate::table::Table;
use crate::{connect, console};

/// Time that the controller may wait for the brokers to have heard of a new topic.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs one of the commands.
pub(crate) async fn run(command: &TopicCommand) -> Result<Exit, Failure> {
    match command {
        TopicCommand::Create(args) => create(args).await,
        TopicCommand::List(args) => list(args).await,
        TopicCommand::Describe(args) => describe(args).await,
    }
}

async fn create(args: &CreateTopicArgs) -> Result<Exit, Failure> {
    let client = args.connection.client()?;
    connect::require(&client).await?;
    let mut topic = NewTopic::new(&args.topic);
    topic.partitions = args.partitions;
    topic.replication_factor = args.replication_factor;
    topic.configs.clone_from(&args.configs);
    match client.create_topic(&topic, CREATION_TIMEOUT).await {
        Ok(()) => {
            console::print(format_args!("topic {:?} is created", args.topic))?;
            Ok(Exit::Done)
        }
        Err(AdminError::Refused {
            code: ErrorCode::TOPIC_ALREADY_EXISTS,
            ..
        }) => Err(Failure::failed(format!(
            "topic {:?} exists already",
            args.topic
        ))),
        Err(error) => {
            let what = format!("topic {:?} cannot be created: {error}", args.topic);
            Err(Failure::failed(what))
        }
    }
}

#[derive(Serialize)]
struct ListedTopic<'a> {
    topic: &'a str,
    partitions: usize,
}

async fn list(args: &ListTopicsArgs) -> Result<Exit, Failure> {
    let client = args.connection.client()?;
    connect::require(&client).await?;
    let topics = client
        .topics()
        .await
        .map_err(|error| failure("the topics", &error))?;
    let listed: Vec<_> = topics
        .iter()
        .filter(|topic| args.internal || !topic.is_internal)
        .map(|topic| ListedTopic {
            topic: &topic.name,
            partitions: topic.partitions.len(),
        })
        .collect();
    if args.json {
        console::print_json(&listed)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["topic", "partitions"]);
    for topic in &listed {
        table.row([topic.topic.to_owned(), topic.partitions.to_string()]);
    }
    console::print_lines(&table)?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct DescribedTopic<'a> {
    topic: &'a str,
    topic_id: String,
    partitions: Vec<DescribedPartition>,
}

#[derive(Serialize)]
struct DescribedPartition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> From<&'a TopicMetadata> for DescribedTopic<'a> {
    fn from(topic: &'a TopicMetadata) -> Self {
        let partitions = topic.partitions.iter().map(|partition| DescribedPartition {
            partition: partition.partition.0,
            leader: partition.leader.map(|broker| broker.0),
            leader_epoch: partition.leader_epoch.0,
            error: (!partition.error.is_ok()).then(|| partition.error.to_string()),
        });
        Self {
            topic: &topic.name,
            topic_id: topic.topic_id.to_string(),
            partitions: partitions.collect(),
        }
    }
}

async fn describe(args: &DescribeTopicArgs) -> Result<Exit, Failure> {
    let client = args.connection.client()?;
    connect::require(&client).await?;
    let topic = client
        .topic(&args.topic)
        .await
        .map_err(|error| match error {
            MetadataError::Topic {
                code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ..
            } => Failure::usage(format!("topic {:?} does not exist", args.topic))
                .advice("wolff topic list shows those that do; wolff topic create makes one"),
            error => failure("the topic", &error),
        })?;
    let described = DescribedTopic::from(&*topic);
    if args.json {
        console::print_json(&described)?;
        return Ok(Exit::Done);
    }
    console::print(format_args!(
        "topic {} id {}",
        described.topic, described.topic_id
    ))?;
    let mut table = Table::new(["partition", "leader", "leader epoch", "state"]);
    for partition in described.partitions {
        table.row([
            partition.partition.to_string(),
            partition
                .leader
                .map_or_else(|| "none".to_owned(), |id| id.to_string()),
            partition.leader_epoch.to_string(),
            partition.error.unwrap_or_else(|| "ok".to_owned()),
        ]);
    }
    console::print_lines(&table)?;
    Ok(Exit::Done)
}

fn failure(what: &str, error: &MetadataError) -> Failure {
    Failure::failed(format!("{what} cannot be looked up: {error}"))
}
