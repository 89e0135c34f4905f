//! The first contact: silent hosts, hosts that are no use, and addresses that lead nowhere, each
//! named as what it is.

use std::io::Read as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use wolff::client::codec::{ApiKey, BrokerId};
use wolff_testbroker::Fault;

use crate::support::{cluster, produce, run, values, wolff};

/// A port that accepts and says nothing.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream.unwrap());
        }
    });
    address
}

/// A port that closes each connection at its first byte.
fn closing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _byte = stream.unwrap().read(&mut [0; 1]);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_host_after_three_silent_ones_is_found() {
    let cluster = cluster(1).await;
    let hosts = [silent(), silent(), silent(), cluster.bootstrap()].join(",");
    let start = Instant::now();
    run(&mut wolff(["metadata", "--brokers", &hosts]), "").code(0);
    assert!(start.elapsed() < Duration::from_secs(10));
    run(&mut wolff(["topic", "list", "--brokers", &hosts]), "").code(0);
}

/// Hosts that take connections and say nothing, and hosts that shake hands and then hang.
#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_host_among_99_silent_ones_is_found_within_the_first_look() {
    let (hanging, healthy) = (cluster(1).await, cluster(1).await);
    hanging.inject(Fault::hold().api(ApiKey::METADATA).always());
    let mut hosts: Vec<_> = (0..98).map(|_| silent()).collect();
    hosts.extend([hanging.bootstrap(), healthy.bootstrap()]);
    let hosts = hosts.join(",");
    // The first look has 3 s, after which these commands end with 2.
    run(&mut wolff(["metadata", "--brokers", &hosts]), "").code(0);
    run(&mut wolff(["topic", "list", "--brokers", &hosts]), "").code(0);
    run(&mut produce(&hosts), "line\n").code(0);
    assert_eq!(values(&healthy, 0), [b"line"]);
}

#[test]
fn a_host_that_closes_at_the_first_byte_is_told_as_that_and_not_as_wrong_usage() {
    let address = closing();
    let ended = run(&mut wolff(["metadata", "--brokers", &address]), "").code(2);
    let ended = ended.says([&address, "closed the connection", "ApiVersions"]);
    assert!(!ended.stderr.contains("SASL"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_shakes_hands_and_then_hangs_is_told_as_that_and_hides_no_healthy_one() {
    let (hanging, healthy) = (cluster(1).await, cluster(1).await);
    hanging.inject(Fault::hold().api(ApiKey::METADATA).always());
    let brokers = hanging.bootstrap();
    let ended = run(&mut wolff(["topic", "list", "--brokers", &brokers]), "").code(2);
    let ended = ended.says([
        &format!("{brokers}: connected, and no response to a request yet"),
        "is up",
    ]);
    assert!(!ended.stderr.contains("ulimit"), "{}", ended.stderr);
    let brokers = [brokers, healthy.bootstrap()].join(",");
    let start = Instant::now();
    run(&mut wolff(["topic", "list", "--brokers", &brokers]), "").code(0);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn only_hosts_that_were_tried_are_named() {
    let (refused, silent) = ("127.0.0.1:1", silent());
    let hosts = format!("{refused},{silent}");
    run(&mut wolff(["metadata", "--brokers", &hosts]), "")
        .code(2)
        .says([&format!("{refused}: connection refused"), &silent]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_an_advertised_address_that_leads_nowhere_and_the_setting() {
    let cluster = cluster(1).await;
    let brokers = cluster.bootstrap();
    cluster.advertise(BrokerId(1), "127.0.0.1", 1).unwrap();
    let check = ["metadata", "--check", "--brokers", &brokers];
    let ended = run(&mut wolff(check), "").code(2);
    for words in [
        &format!("{brokers}: fine"),
        &format!("127.0.0.1:1, which {brokers} names for broker 1: connection refused"),
        "advertised.listeners of broker 1",
    ] {
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
    let check = ["metadata", "--check", "--json", "--brokers", &brokers];
    let ended = run(&mut wolff(check), "").code(2);
    let checked: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(checked[0]["is_fine"], true);
    assert_eq!(checked[0]["advertised"][0]["is_fine"], false);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_read_are_wrong_usage_and_slow_ones_are_waited_for() {
    let cluster = cluster(1).await;
    let brokers = cluster.bootstrap();
    let secured = |flags: &[&str]| {
        let mut command = wolff(["metadata", "--brokers", &brokers]);
        command
            .args(["--security-protocol", "sasl_plaintext"])
            .args(["--allow-unencrypted-password", "--sasl-mechanism"])
            .args(flags);
        run(&mut command, "")
    };
    let plain = [
        "plain",
        "--username",
        "u",
        "--password-file",
        "/no/such/file",
    ];
    secured(&plain)
        .code(1)
        .says(["/no/such/file cannot be read", "check --brokers"]);
    // The listener takes no SASL, which is seen only after the token is there.
    secured(&["oauthbearer", "--token-command", "sleep 4; echo token"])
        .code(1)
        .says(["takes no SASL"]);
}
