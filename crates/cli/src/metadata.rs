//! `wolff metadata`: who the cluster is.

use serde::Serialize;
use wolff::Client;

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

#[derive(Serialize)]
struct Checked {
    host: String,
    is_fine: bool,
    reason: Option<String>,
}

/// Shows brokers and topics, or what is wrong with each host.
pub(crate) async fn run(args: &MetadataArgs) -> Result<Exit, Failure> {
    let client = args.connection.client()?;
    if args.check {
        return check(&client, args.json).await;
    }
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
        console::print_json(&described)?;
    } else {
        show(described)?;
    }
    Ok(Exit::Done)
}

async fn check(client: &Client, is_json: bool) -> Result<Exit, Failure> {
    let checked: Vec<_> = client
        .probe_hosts()
        .await
        .into_iter()
        .map(|(host, outcome)| Checked {
            host: host.to_string(),
            is_fine: outcome.is_ok(),
            reason: outcome.err().map(|reason| reason.to_string()),
        })
        .collect();
    let are_fine = checked.iter().all(|host| host.is_fine);
    if is_json {
        console::print_json(&checked)?;
    } else {
        for Checked { host, reason, .. } in &checked {
            let outcome = reason.as_deref().unwrap_or("fine");
            console::print(format_args!("{host}: {outcome}"))?;
        }
    }
    Ok(if are_fine { Exit::Done } else { Exit::Failed })
}

fn show(described: Described) -> Result<(), Failure> {
    let unknown = || "unknown".to_owned();
    console::print(format_args!(
        "cluster {}, {} topics with {} partitions",
        described.cluster_id.unwrap_or_else(unknown),
        described.topics,
        described.partitions
    ))?;
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
    console::print(table)
}
