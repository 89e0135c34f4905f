//! `wolff metadata`: who the cluster is.

use serde::Serialize;

use crate::args::MetadataArgs;
use crate::exit::{Exit, Failure};
use crate::table::Table;
use crate::{connect, console};

#[derive(Serialize)]
struct Described {
    cluster_id: Option<String>,
    controller: Option<i32>,
    brokers: Vec<Broker>,
    topics: usize,
    partitions: usize,
}

#[derive(Serialize)]
struct Broker {
    id: i32,
    address: Option<String>,
    rack: Option<String>,
}

/// Shows brokers and topics.
pub(crate) async fn run(args: &MetadataArgs) -> Result<Exit, Failure> {
    let client = args.connection.client()?;
    connect::require(&client).await?;
    let failure = |error| Failure::failed(format!("the cluster cannot be asked: {error}"));
    let cluster = client.cluster().await.map_err(failure)?;
    let topics = client.topics().await.map_err(failure)?;
    let brokers = cluster.brokers.iter().map(|broker| Broker {
        id: broker.id.0,
        address: broker.address.as_ref().map(ToString::to_string),
        rack: broker.rack.as_ref().map(ToString::to_string),
    });
    let described = Described {
        cluster_id: cluster.cluster_id.as_ref().map(ToString::to_string),
        controller: cluster.controller.map(|broker| broker.0),
        brokers: brokers.collect(),
        topics: topics.len(),
        partitions: topics.iter().map(|topic| topic.partitions.len()).sum(),
    };
    if args.json {
        console::print_json(&described);
    } else {
        show(described);
    }
    Ok(Exit::Done)
}

fn show(described: Described) {
    let unknown = || "unknown".to_owned();
    console::print(format_args!(
        "cluster {}, {} topics with {} partitions",
        described.cluster_id.unwrap_or_else(unknown),
        described.topics,
        described.partitions
    ));
    let mut table = Table::new(["broker", "address", "rack", "role"]);
    for broker in described.brokers {
        let is_controller = described.controller == Some(broker.id);
        table.row([
            broker.id.to_string(),
            broker
                .address
                .unwrap_or_else(|| "not advertised".to_owned()),
            broker.rack.unwrap_or_default(),
            if is_controller {
                "controller".to_owned()
            } else {
                String::new()
            },
        ]);
    }
    console::print(table);
}
