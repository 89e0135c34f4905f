//! `wolff topic` and `wolff metadata`.

use serde_json::json;
use wolff_testbroker::Cluster;

use crate::support::{run, wolff};

async fn start() -> (Cluster, String) {
    let cluster = Cluster::builder()
        .brokers(2)
        .cluster_id("here")
        .topic("old", 3)
        .start()
        .await
        .unwrap();
    let brokers = cluster.bootstrap();
    (cluster, brokers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_once() {
    let (cluster, brokers) = start().await;
    let create = |name| {
        let mut command = wolff([
            "topic",
            "create",
            "--brokers",
            &brokers,
            "--partitions",
            "4",
            name,
        ]);
        command.args([
            "--replication-factor",
            "2",
            "--config",
            "max.message.bytes=5000",
        ]);
        run(&mut command, "")
    };
    create("new").code(0);
    assert!(
        cluster
            .topics()
            .iter()
            .any(|(name, partitions)| **name == *"new" && *partitions == 4)
    );
    create("new").code(2).says(["\"new\" exists already"]);
    let mut command = wolff([
        "topic",
        "create",
        "--brokers",
        &brokers,
        "--replication-factor",
        "9",
        "x",
    ]);
    run(&mut command, "")
        .code(2)
        .says(["\"x\" cannot be created", "REPLICATION"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_and_described() {
    let (_cluster, brokers) = start().await;
    let json = |args: &[&str]| {
        let mut command = wolff(args);
        run(command.args(["--brokers", &brokers, "--json"]), "")
            .code(0)
            .json()
    };
    assert_eq!(
        json(&["topic", "list"]),
        json!([{"topic": "old", "partitions": 3}])
    );
    let described = json(&["topic", "describe", "old"]);
    assert_eq!(described["topic"], "old");
    let partitions = described["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 3);
    assert!(
        partitions
            .iter()
            .all(|partition| partition["leader"].is_i64() && partition["error"].is_null())
    );
    let ended = run(
        &mut wolff(["topic", "describe", "--brokers", &brokers, "old"]),
        "",
    )
    .code(0);
    assert!(
        ended.stdout.contains("partition  leader"),
        "{}",
        ended.stdout
    );
    let mut command = wolff(["topic", "describe", "--brokers", &brokers, "gone"]);
    run(&mut command, "")
        .code(1)
        .says(["\"gone\" does not exist"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_shows_the_brokers() {
    let (_cluster, brokers) = start().await;
    let mut command = wolff(["metadata", "--brokers", &brokers, "--json"]);
    let json = run(&mut command, "").code(0).json();
    assert_eq!(json["cluster_id"], "here");
    assert_eq!(
        (&json["topics"], &json["partitions"]),
        (&json!(1), &json!(3))
    );
    let addresses: Vec<_> = json["brokers"].as_array().unwrap().iter().collect();
    let expected: Vec<_> = brokers.split(',').collect();
    assert_eq!(
        addresses
            .iter()
            .map(|broker| broker["address"].as_str().unwrap())
            .collect::<Vec<_>>(),
        expected
    );
    let ended = run(&mut wolff(["metadata", "--brokers", &brokers]), "").code(0);
    assert!(
        ended.stdout.contains("cluster here") && ended.stdout.contains("controller"),
        "{}",
        ended.stdout
    );
}

#[test]
fn without_a_broker_there_is_nothing_to_show() {
    for args in [
        &["topic", "list"][..],
        &["topic", "describe", "t"],
        &["metadata"],
        &["topic", "create", "t"],
    ] {
        let mut command = wolff(args);
        run(command.args(["--brokers", "127.0.0.1:1"]), "")
            .code(2)
            .says(["127.0.0.1:1", "connection refused"]);
    }
}
