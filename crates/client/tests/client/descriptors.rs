//! Metadata of a process that has no descriptor left for a further connection: what can be learnt
//! is learnt on the connections to leaders.

#![cfg(target_os = "linux")]
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use wolff_client::codec::{ApiKey, BrokerId, PartitionId};
use wolff_client::{Address, Client, LeaderConnection};
use wolff_testbroker::{Cluster, Fault};

const BOOTSTRAP: &str = "WOLFF_TEST_BOOTSTRAP";
const NAME: &str = "descriptors::a_leader_that_moves_is_found_although_there_is_no_descriptor_left";
const P0: PartitionId = PartitionId(0);

/// The failure of the connection for metadata while there is no descriptor left.
const WAYS: [fn() -> Fault; 2] = [Fault::hold, Fault::drop_request];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_moves_is_found_although_there_is_no_descriptor_left() {
    if let Ok(bootstrap) = std::env::var(BOOTSTRAP) {
        return look_for_the_leader(&bootstrap).await;
    }
    for way in WAYS {
        let cluster = Cluster::builder().brokers(3).topic("t", 3);
        let cluster = cluster.start().await.unwrap();
        let program = std::env::current_exe().unwrap();
        let line = format!(
            "ulimit -n 48; exec '{}' --exact {NAME} --nocapture",
            program.display()
        );
        let mut child = Command::new("/bin/sh")
            .args(["-c", &line])
            .env(BOOTSTRAP, cluster.bootstrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = move |key: &str| loop {
            let line = said.next().unwrap_or_else(|| panic!("ended before {key}"));
            if let Some((_, value)) = line.unwrap().split_once(key) {
                return value.to_owned();
            }
        };
        let asked = said("metadata is asked of ");
        let is_asked =
            |(_, address): &(&BrokerId, &std::net::SocketAddr)| address.to_string() == asked;
        let (asked, _) = cluster.addresses().iter().find(is_asked).unwrap();
        cluster.inject(way().broker(*asked).api(ApiKey::METADATA).always());
        let (before, _) = cluster.leader("t", P0).unwrap();
        let ids = cluster.addresses().keys();
        let after = ids.copied().find(|id| *id != before).unwrap();
        cluster.move_leader("t", P0, after).unwrap();
        child.stdin.take().unwrap().write_all(b"moved\n").unwrap();
        assert_eq!(said("the leader is "), after.to_string());
        assert!(child.wait().unwrap().success());
    }
}

/// The other process: it has a connection to each leader and one for metadata, and then as many
/// files open as it may.
async fn look_for_the_leader(bootstrap: &str) {
    // A silent broker is not given up before the test: its descriptor does not become free either.
    let client = Client::builder([bootstrap])
        .metadata_timeout(Duration::from_secs(120))
        .min_metadata_refresh_interval(Duration::from_millis(50))
        .build()
        .unwrap();
    let mut leaders: Vec<LeaderConnection> = Vec::new();
    for partition in [0, 1, 2].map(PartitionId) {
        leaders.push(client.leader_connection("t", partition).await.unwrap());
    }
    let asked: Address = client.any_connection().await.unwrap().address().clone();
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    println!("metadata is asked of {asked}");
    std::io::stdin().lines().next().unwrap().unwrap();

    // It is still in use: no descriptor becomes free by that.
    let before = leaders[0].broker;
    client.mark_stale("t");
    let looking = async {
        loop {
            // What becomes free is taken at once, as by whoever waits for a connection.
            files.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
            match client.leader_connection("t", P0).await {
                Ok(leader) if leader.broker != before => return leader.broker,
                _ => client.mark_stale("t"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(15), looking).await;
    println!("the leader is {}", found.unwrap());
}
