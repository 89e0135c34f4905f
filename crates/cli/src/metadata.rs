//! `wolff metadata`: who the cluster is.

use std::collections::BTreeSet;

use serde::Serialize;
use wolff::Client;
use wolff::client::AdvertisedBroker;

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
    advertised: Vec<Advertised>,
}

#[derive(Serialize)]
struct Advertised {
    broker: i32,
    address: Option<String>,
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
        .examine_hosts()
        .await
        .into_iter()
        .map(|report| Checked {
            host: report.host.to_string(),
            is_fine: report.outcome.is_ok(),
            reason: report.outcome.err().map(|reason| reason.to_string()),
            advertised: report.brokers.iter().map(advertised).collect(),
        })
        .collect();
    let are_fine = checked.iter().all(|host| {
        let mut advertised = host.advertised.iter();
        host.is_fine && advertised.all(|broker| broker.is_fine)
    });
    if is_json {
        console::print_json(&checked)?;
    } else {
        for checked in &checked {
            let Checked { host, reason, .. } = checked;
            let outcome = reason.as_deref().unwrap_or("fine");
            console::print(format_args!("{host}: {outcome}"))?;
        }
        // Each broker once, by the first host that names it.
        let mut named = BTreeSet::new();
        for Checked {
            host, advertised, ..
        } in &checked
        {
            for broker in advertised.iter().filter(|broker| !broker.is_fine) {
                if named.insert((broker.broker, broker.address.clone())) {
                    print_unreachable(host, broker)?;
                }
            }
        }
    }
    Ok(if are_fine { Exit::Done } else { Exit::Failed })
}

fn advertised(broker: &AdvertisedBroker) -> Advertised {
    Advertised {
        broker: broker.id.0,
        address: broker.address.as_ref().map(ToString::to_string),
        is_fine: broker.address.is_some() && broker.outcome.is_ok(),
        reason: match &broker.outcome {
            Err(reason) => Some(reason.to_string()),
            Ok(()) if broker.address.is_none() => Some("no host or no port".to_owned()),
            Ok(()) => None,
        },
    }
}

/// Names the host that was given, the address that was advertised, and the setting of the broker
/// that decides it.
fn print_unreachable(host: &str, broker: &Advertised) -> Result<(), Failure> {
    let id = broker.broker;
    let reason = broker.reason.as_deref().unwrap_or("unknown");
    let what = match &broker.address {
        Some(address) => format!("{address}, which {host} names for broker {id}: {reason}"),
        None => format!("{host} names no usable address for broker {id}: {reason}"),
    };
    console::print_advised(
        what,
        format_args!("producers connect there: see advertised.listeners of broker {id}"),
    )
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
    console::print_lines(&table)
}
