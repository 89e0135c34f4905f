//! `wolff broker`: the embedded broker as a process.

use std::error::Error;

use wolff_testbroker::Cluster;

use crate::args::BrokerArgs;
use crate::console;
use crate::exit::{Exit, Failure};
use crate::stop::Stop;

/// Serves until it is asked to stop.
pub(crate) async fn run(args: &BrokerArgs, stop: &Stop) -> Result<Exit, Failure> {
    let mut builder = Cluster::builder()
        .listen(args.listen)
        .auto_create_topics(args.auto_create_topics)
        .retention_bytes(args.retention_bytes);
    for topic in &args.topics {
        builder = builder.topic(topic.name.as_str(), topic.partitions);
    }
    let cluster = builder.start().await.map_err(|error| {
        let cause = error
            .source()
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        Failure::usage(format!("the broker cannot start: {error}{cause}"))
    })?;
    console::print(format_args!("listening on {}", cluster.bootstrap()))?;
    for (name, partitions) in cluster.topics() {
        console::print(format_args!("topic {name} with {partitions} partitions"))?;
    }
    console::say("topics are in memory and gone when this stops; Ctrl-C stops it");
    stop.asked().await;
    Ok(Exit::Done)
}
