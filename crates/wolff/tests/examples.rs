//! Each example does what it says, against the embedded broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests run in the real world")]
#![allow(dead_code, reason = "the `main` of an example is not called here")]

use wolff_testbroker::{Cluster, ClusterBuilder};

#[path = "../examples/callback.rs"]
mod callback;
#[path = "../examples/disk_queue.rs"]
mod disk_queue;
#[path = "../examples/receipts.rs"]
mod receipts;
#[path = "../examples/shared_budget.rs"]
mod shared_budget;
#[path = "../examples/sync.rs"]
mod sync;
#[path = "../examples/threads.rs"]
mod threads;
#[cfg(feature = "tls")]
#[path = "../examples/tls_scram.rs"]
mod tls_scram;

const TOPIC: &str = "events";
const PARTITIONS: i32 = 3;

fn cluster() -> ClusterBuilder {
    Cluster::builder().topic(TOPIC, PARTITIONS)
}

fn records(cluster: &Cluster) -> usize {
    let records = |partition| cluster.records(TOPIC, partition).unwrap().len();
    (0..PARTITIONS).map(records).sum()
}

#[tokio::test]
async fn sync_sends_each_record() {
    let cluster = cluster().start().await.unwrap();
    sync::run(&cluster.bootstrap(), TOPIC).await.unwrap();
    assert_eq!(records(&cluster), 3);
}

#[tokio::test]
async fn callback_counts_all_ends() {
    let cluster = cluster().start().await.unwrap();
    callback::run(&cluster.bootstrap(), TOPIC).await.unwrap();
    assert_eq!(records(&cluster), 1_000);
}

#[tokio::test]
async fn receipts_are_all_acknowledged() {
    let cluster = cluster().start().await.unwrap();
    receipts::run(&cluster.bootstrap(), TOPIC).await.unwrap();
    assert_eq!(records(&cluster), 300);
}

#[tokio::test]
async fn disk_queue_runs_twice_in_one_directory() {
    let cluster = cluster().start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    for expected in [100, 200] {
        disk_queue::run(&cluster.bootstrap(), TOPIC, directory.path())
            .await
            .unwrap();
        assert_eq!(records(&cluster), expected);
    }
}

#[tokio::test]
async fn shared_budget_has_two_producers_send() {
    let cluster = cluster().start().await.unwrap();
    shared_budget::run(&cluster.bootstrap(), TOPIC)
        .await
        .unwrap();
    assert_eq!(records(&cluster), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_send_without_a_runtime_of_their_own() {
    let cluster = cluster().start().await.unwrap();
    let brokers = cluster.bootstrap();
    let example =
        std::thread::spawn(move || threads::run(&brokers, TOPIC).map_err(|e| e.to_string()));
    let joined = tokio::task::spawn_blocking(|| example.join());
    joined.await.unwrap().unwrap().unwrap();
    assert_eq!(records(&cluster), 400);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_scram_trusts_the_authority_and_logs_in() {
    use wolff_testbroker::{CertificateAuthority, Sasl, SaslMechanism, TlsListener};

    let authority = CertificateAuthority::new("examples").unwrap();
    let server = authority.server(&["127.0.0.1", "localhost"]).unwrap();
    let cluster = cluster()
        .tls(TlsListener::new(&server).unwrap())
        .sasl(Sasl::new([SaslMechanism::ScramSha512]).user("alice", "wonderland"))
        .start()
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (ca, password) = (
        directory.path().join("ca.pem"),
        directory.path().join("password"),
    );
    std::fs::write(&ca, authority.certificate_pem()).unwrap();
    std::fs::write(&password, "wonderland").unwrap();
    tls_scram::run(&cluster.bootstrap(), TOPIC, &ca, "alice", &password)
        .await
        .unwrap();
    assert_eq!(records(&cluster), 1);
}
