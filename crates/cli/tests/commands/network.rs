//! Access to brokers, by flags.

use wolff::PartitionId;

use wolff_testbroker::{Direction, Proxy, ProxyFault};

use crate::support::{TOPIC, assert_numbered, cluster, numbered, produce, run, values, wolff};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_reached_at_another_address_than_its_own() {
    let cluster = cluster(1).await;
    let map = format!("kafka.internal:9092={}", cluster.bootstrap());
    let mut metadata = wolff(["metadata", "--brokers", "kafka.internal:9092"]);
    run(metadata.args(["--map-address", &map]), "").code(0);
    let ended = run(
        wolff(["metadata", "--brokers", "a:1"]).args(["--map-address", "kafka=localhost:1"]),
        "",
    );
    ended.code(1).says(["HOST:PORT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_held_down_or_not_asked_for() {
    let cluster = cluster(1).await;
    let brokers = cluster.bootstrap();
    for flags in [
        &[
            "--max-api-version",
            "Produce=3",
            "--max-api-version",
            "metadata=4",
        ][..],
        &["--no-api-versions"],
        &[
            "--address-family",
            "ipv4",
            "--max-connections-per-broker",
            "1",
        ],
    ] {
        run(produce(&brokers).args(flags), "line\n").code(0);
    }
    let end = cluster.high_watermark(TOPIC, PartitionId(0)).unwrap();
    assert_eq!(end.0, 3);
    let mut unknown = produce(&brokers);
    let ended = run(unknown.args(["--max-api-version", "Prodce=3"]), "");
    ended.code(1).says(["no API of Kafka"]);
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named() {
    let mut metadata = wolff(["metadata", "--brokers", "kafka.internal:9092"]);
    let ended = run(metadata.args(["--proxy", "socks5://127.0.0.1:1"]), "");
    ended.code(2).says(["127.0.0.1:1", "proxy", "refused"]);
    let mut metadata = wolff(["metadata", "--brokers", "kafka.internal:9092"]);
    let ended = run(
        metadata.args(["--proxy", "http://me:s3cret@127.0.0.1:1"]),
        "",
    );
    ended.code(1).says(["--proxy-user"]);
    let mut metadata = wolff(["metadata", "--brokers", "kafka.internal:9092"]);
    metadata.env_remove("WOLFF_PROXY_PASSWORD");
    let proxy = ["--proxy", "http://127.0.0.1:1", "--proxy-user", "me"];
    run(metadata.args(proxy), "")
        .code(1)
        .says(["WOLFF_PROXY_PASSWORD"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_dropped_while_in_use_costs_the_request_timeout_and_no_record() {
    let cluster = cluster(1).await;
    let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
    let swallowed = ProxyFault::black_hole_after(Direction::ToBroker, 1_000);
    proxy.inject(swallowed.times(2));
    let mut command = produce(&proxy.bootstrap());
    command.args([
        "--request-timeout",
        "2",
        "--tcp-user-timeout",
        "5",
        "--json",
    ]);
    let ended = run(&mut command, numbered(1_000)).code(0);
    assert_eq!(ended.count("acked"), 1_000);
    assert_numbered(&values(&cluster, 0), 1_000);
    assert_eq!(cluster.stats().records(), 1_000, "each once");
    ended.says(["no response to ", "no answer to Produce within 2s"]);
    for wrong in [["--request-timeout", "0"], ["--request-timeout", "-1"]] {
        run(produce("127.0.0.1:1").args(wrong), "").code(1);
    }
}

/// More partitions than descriptors: connections are shared.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn more_partitions_than_descriptors_share_connections() {
    let cluster = cluster(200).await;
    let lines: String = (0..4_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    let wolff = env!("CARGO_BIN_EXE_wolff");
    let brokers = cluster.bootstrap();
    let line = format!(
        "ulimit -n 64; exec {wolff} produce --brokers {brokers} --topic {TOPIC} --drain-timeout 40 --partitioner roundrobin --json"
    );
    let ended = run(
        std::process::Command::new("/bin/sh").args(["-c", &line]),
        lines,
    );
    let ended = ended.code(0);
    assert_eq!(ended.count("acked"), 4_000);
    assert_eq!(cluster.stats().records(), 4_000);
}

#[test]
fn an_address_of_another_family_is_not_used() {
    let mut metadata = wolff(["metadata", "--brokers", "127.0.0.1:1"]);
    let ended = run(metadata.args(["--address-family", "ipv6"]), "");
    ended.code(2).says(["no IPv6 address"]);
}
