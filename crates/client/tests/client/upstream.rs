//! The test cases of the Erlang original that concern its client, each under its name there; what
//! only Erlang has (hot upgrades, supervisors) is not here.
//!
//! From `wolff_tests`, `wolff_supervised_tests`, `wolff_client_SUITE`, `wolff_dynamic_topics_SUITE`
//! and kafka_protocol's `kpro_connection_tests` and `kpro_lib_tests`. Its `ssl` and `ssl_test` with
//! each kind of SNI are among the tests of TLS.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use wolff_client::codec::messages::{InitProducerIdRequest, MetadataResponse};
use wolff_client::codec::{ApiKey, ErrorCode, PartitionId};
use wolff_client::{
    Client, ConnectError, ConnectionStrategy, Credentials, CredentialsFile, Endpoint, HostReason,
    MetadataError, Registry, Sasl, SecurityProtocol, SocketOptions,
};
use wolff_testbroker::{Cluster, Fault, Proxy, Sasl as Users, SaslMechanism};

use crate::impatience::{client_of, cluster, in_time, leader};

const P0: PartitionId = PartitionId(0);

const PASSWORD: &str = "s3ntinel-of-upstream";

const STRATEGIES: [ConnectionStrategy; 2] = [
    ConnectionStrategy::PerPartition,
    ConnectionStrategy::PerBroker,
];

#[tokio::test]
async fn metadata_connection_restart_is_noticed_by_the_next_check_and_none_is_left_after_the_client()
 {
    let cluster = cluster(1, 1).await;
    let proxy = Proxy::builder(cluster.bootstrap()).start().await.unwrap();
    let client = client_of(proxy.bootstrap()).build().unwrap();
    client.check_connectivity().await.unwrap();
    let connection = client.any_connection().await.unwrap();
    proxy.reset_connections();
    in_time(connection.closed()).await;
    in_time(client.check_connectivity()).await.unwrap();
    assert_eq!(proxy.stats().connections_accepted, 2);
    drop(client);
    in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
}

#[tokio::test]
async fn metadata_connection_restart2_is_noticed_by_who_wants_a_leader() {
    let cluster = cluster(1, 1).await;
    let builder = client_of(cluster.bootstrap());
    let client = builder.build().unwrap();
    let first = leader(&client, P0).await;
    for _ in 0..3 {
        let metadata = client.any_connection().await.unwrap();
        cluster.kill(1).await.unwrap();
        cluster.revive(1).await.unwrap();
        in_time(metadata.closed()).await;
        client.mark_stale("t");
        let again = leader(&client, P0).await;
        assert!(!again.connection.is_closed());
    }
    assert!(first.connection.is_closed());
}

#[tokio::test]
async fn check_connectivity_says_yes_no_and_that_a_topic_is_unknown() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    assert_eq!(client.check_connectivity().await, Ok(()));
    assert_eq!(client.topic_exists("t").await, Ok(true));
    assert_eq!(client.topic_exists("nothing").await, Ok(false));
    let no_hosts: [&str; 0] = [];
    let error = Client::builder(no_hosts).build().unwrap_err();
    assert!(error.to_string().contains("bootstrap"), "{error}");
    client.close().await;
    let refused = client.check_connectivity().await.unwrap_err();
    assert_eq!(refused[0].reason, HostReason::ClientClosed);
}

#[tokio::test]
async fn fail_to_connect_all_has_a_reason_for_each_host_that_a_person_reads() {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = refusing.local_addr().unwrap();
    drop(refusing);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = silent.local_addr().unwrap();
    let client = Client::builder([format!("{refused},{slow},no-such-host.invalid:9092")])
        .connect_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let errors = in_time(client.check_connectivity()).await.unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (wanted, why) in [
        (refused.to_string(), "refused"),
        (slow.to_string(), "timed out after 200ms"),
        ("no-such-host.invalid:9092".to_owned(), "name not found"),
    ] {
        let about = said.iter().find(|said| said.starts_with(&wanted));
        assert!(about.unwrap().contains(why), "{said:?}");
    }
    let failed = client.topic("t").await.unwrap_err();
    assert!(matches!(failed, MetadataError::Unreachable(_)), "{failed}");
}

#[tokio::test]
async fn bad_host_is_an_error_and_no_crash() {
    let client = client_of("no-such-host.invalid:9092".to_owned())
        .build()
        .unwrap();
    let errors = in_time(client.check_connectivity()).await.unwrap_err();
    assert!(matches!(errors[0].reason, HostReason::NameNotFound(_)));
    let error = client.leader_connection("t", P0).await.unwrap_err();
    assert!(matches!(error, ConnectError::Metadata(_)), "{error}");
}

#[tokio::test]
async fn leader_restart_leaves_as_many_leaders_in_both_strategies() {
    for strategy in STRATEGIES {
        // With one replica nobody takes over.
        let builder = Cluster::builder().brokers(2).replication_factor(1);
        let cluster = builder.topic("t", 4).start().await.unwrap();
        let client = client_of(cluster.bootstrap())
            .connection_strategy(strategy)
            .build()
            .unwrap();
        let before = client.topic("t").await.unwrap();
        cluster.kill(2).await.unwrap();
        client.mark_stale("t");
        let during = client.topic("t").await.unwrap();
        assert_eq!(during.partitions.len(), before.partitions.len());
        for partition in 0..4 {
            let has_leader = cluster.leader("t", partition).unwrap().0 == 1.into();
            let outcome = client.leader_connection("t", PartitionId(partition)).await;
            assert_eq!(outcome.is_ok(), has_leader, "{strategy:?} {partition}");
        }
        cluster.revive(2).await.unwrap();
        for partition in 0..4 {
            leader(&client, PartitionId(partition)).await;
        }
    }
}

#[tokio::test]
async fn client_restart_and_client_restart_2_find_every_partition_again() {
    for partitions in [1, 2] {
        let cluster = cluster(1, partitions).await;
        for _ in 0..2 {
            let client = client_of(cluster.bootstrap())
                .connection_strategy(ConnectionStrategy::PerBroker)
                .build()
                .unwrap();
            for partition in 0..partitions {
                let leader = leader(&client, PartitionId(partition)).await;
                let request = InitProducerIdRequest::default();
                leader.connection.request(&request).await.unwrap();
            }
            client.close().await;
            in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
        }
    }
}

#[tokio::test]
async fn producers_init_failure_a_client_that_is_closed_meanwhile_tells_who_waits() {
    let cluster = cluster(1, 1).await;
    let held = cluster.inject(Fault::hold().api(ApiKey::METADATA));
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.leader_connection("t", P0).await }
    });
    in_time(cluster.wait_for(|stats| stats.hits(held) == 1)).await;
    client.close().await;
    let error = in_time(waiting).await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Metadata(MetadataError::ClientClosed) | ConnectError::ClientClosed
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn non_existing_topic_and_start_producers_with_dead_client_are_errors_and_leak_nothing() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let error = client.leader_connection("nothing", P0).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Metadata(MetadataError::Topic { code, .. })
                if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        ),
        "{error:?}"
    );
    client.close().await;
    assert!(client.leader_connection("t", P0).await.is_err());
    drop(client);
    in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
}

#[tokio::test]
async fn different_producers_same_topic_share_connections_until_the_last_one_leaves() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let one = leader(&client, P0).await;
    let two = leader(&client, P0).await;
    assert_eq!(cluster.stats().connections_open(), 2);
    drop(one);
    let request = InitProducerIdRequest::default();
    two.connection.request(&request).await.unwrap();
    assert_eq!(cluster.stats().connections_open(), 2);
    drop(two);
    // What is left asks for metadata.
    in_time(cluster.wait_for(|stats| stats.connections_open() == 1)).await;
}

#[tokio::test]
async fn last_and_mid_partition_missing_in_metadata_response_are_known_as_before_and_found_again() {
    for missing in [1, 2] {
        let cluster = cluster(2, 3).await;
        let client = client_of(cluster.bootstrap()).build().unwrap();
        let before = client.topic("t").await.unwrap();
        let missing = PartitionId(missing);
        let hole = cluster.inject(Fault::hole_in_metadata("t", missing).always());
        client.mark_stale("t");
        let holed = client.topic("t").await.unwrap();
        assert_eq!(holed.partitions.len(), before.partitions.len(), "{missing}");
        assert!(cluster.stats().hits(hole) > 0);
        cluster.remove_fault(hole);
        client.mark_stale("t");
        let leader = leader(&client, missing).await;
        assert_eq!(leader.broker, cluster.leader("t", missing).unwrap().0);
    }
}

#[tokio::test]
async fn topic_recreate_is_seen_by_the_topics_new_id() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let before = leader(&client, P0).await.topic_id;
    cluster.delete_topic("t").unwrap();
    client.mark_stale("t");
    assert!(client.topic("t").await.is_err());
    cluster.create_topic("t", 1).unwrap();
    let after = leader(&client, P0).await.topic_id;
    assert_ne!(before, after);
    assert_eq!(after, cluster.topic_id("t").unwrap());
}

#[tokio::test]
async fn t_check_topic_exists_trigger_auto_creation() {
    let cluster = Cluster::builder().auto_create_topics(true).start();
    let cluster = cluster.await.unwrap();
    let client = client_of(cluster.bootstrap())
        .allow_auto_topic_creation(true)
        .build()
        .unwrap();
    assert_eq!(in_time(client.topic_exists("new")).await, Ok(true));
    assert_eq!(cluster.topics().len(), 1);
}

#[tokio::test]
async fn t_recv_leader_connection_normal() {
    let cluster = cluster(3, 3).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    for partition in 0..3 {
        let leader = client
            .leader_connection("t", PartitionId(partition))
            .await
            .unwrap();
        assert!(!leader.connection.is_closed());
        assert_eq!(leader.broker, cluster.leader("t", partition).unwrap().0);
    }
}

#[tokio::test]
async fn t_recv_leader_connection_with_auto_create_retry_success_and_retry_timeout() {
    let auto_create = |timeout| {
        move |cluster: &Cluster| {
            client_of(cluster.bootstrap())
                .allow_auto_topic_creation(true)
                .metadata_timeout(timeout)
                .build()
                .unwrap()
        }
    };
    let willing = Cluster::builder().auto_create_topics(true).start();
    let willing = willing.await.unwrap();
    let client = auto_create(Duration::from_secs(20))(&willing);
    in_time(client.leader_connection("new", P0)).await.unwrap();

    let unwilling = Cluster::builder().start().await.unwrap();
    let timeout = Duration::from_millis(200);
    let client = auto_create(timeout)(&unwilling);
    let start = Instant::now();
    let error = in_time(client.leader_connection("new", P0)).await;
    assert!(start.elapsed() >= timeout / 2);
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::Metadata(_)), "{error:?}");
}

#[tokio::test]
async fn t_reconnect_on_recent_disconnect_gives_only_connections_that_live() {
    for strategy in STRATEGIES {
        let cluster = cluster(2, 4).await;
        // Metadata is fresh for longer than the test lasts.
        let client = client_of(cluster.bootstrap())
            .connection_strategy(strategy)
            .min_metadata_refresh_interval(Duration::from_secs(3600))
            .build()
            .unwrap();
        let mut leaders = Vec::new();
        for partition in 0..4 {
            leaders.push(leader(&client, PartitionId(partition)).await);
        }
        cluster.kill(2).await.unwrap();
        for lost in leaders.iter().filter(|leader| leader.broker == 2.into()) {
            in_time(lost.connection.closed()).await;
        }
        for partition in 0..4 {
            let leader = leader(&client, PartitionId(partition)).await;
            assert_eq!(leader.broker, 1.into());
            assert!(!leader.connection.is_closed());
        }
    }
}

#[tokio::test]
async fn t_unknown_topic_expire_is_found_once_it_is_there() {
    let cluster = cluster(1, 1).await;
    let client = client_of(cluster.bootstrap()).build().unwrap();
    assert_eq!(client.topic_exists("late").await, Ok(false));
    cluster.create_topic("late", 2).unwrap();
    let found = async {
        while client.topic_exists("late").await != Ok(true) {
            tokio::task::yield_now().await;
        }
    };
    in_time(found).await;
    assert_eq!(client.topic("late").await.unwrap().partitions.len(), 2);
}

#[tokio::test]
async fn t_topic_add_remove_leaves_no_connection_behind() {
    let cluster = Cluster::builder().topic("a", 2).topic("b", 2).start();
    let cluster = cluster.await.unwrap();
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let mut connections = Vec::new();
    for topic in ["a", "b"] {
        for partition in 0..2 {
            let partition = PartitionId(partition);
            connections.push(client.leader_connection(topic, partition).await.unwrap());
        }
    }
    assert_eq!(cluster.stats().connections_open(), 5);
    client.forget_topic("a");
    assert!(client.known_topic("a").is_none());
    connections.drain(..2);
    in_time(cluster.wait_for(|stats| stats.connections_open() == 3)).await;
    assert!(client.leader_connection("nothing", P0).await.is_err());
    drop(connections);
    in_time(cluster.wait_for(|stats| stats.connections_open() == 1)).await;
}

#[tokio::test]
async fn t_fail_to_fetch_initial_metadata_is_told_and_works_later() {
    let cluster = cluster(1, 1).await;
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    cluster.inject(Fault::error(code).api(ApiKey::METADATA).topic("t"));
    let client = client_of(cluster.bootstrap()).build().unwrap();
    let error = client.topic("t").await.unwrap_err();
    assert!(
        matches!(error, MetadataError::Topic { code: told, .. } if told == code),
        "{error:?}"
    );
    leader(&client, P0).await;
}

#[tokio::test]
async fn supervised_client_is_ensured_once_and_stopped_cleanly() {
    let cluster = cluster(1, 1).await;
    let registry = Registry::new();
    for _ in 0..2 {
        let client = registry
            .ensure("client", || client_of(cluster.bootstrap()))
            .unwrap();
        leader(&client, P0).await;
    }
    assert_eq!(registry.names(), ["client"]);
    assert!(registry.stop_and_delete("client").await);
    assert!(!registry.stop_and_delete("client").await);
    in_time(cluster.wait_for(|stats| stats.connections_open() == 0)).await;
}

/// A cluster that lets `alice` in, and a way to be her.
async fn with_sasl(lifetime: Duration) -> (Cluster, impl Fn(Sasl) -> Client) {
    let users = Users::new([SaslMechanism::Plain, SaslMechanism::ScramSha512]);
    let users = users.user("alice", PASSWORD).session_lifetime(lifetime);
    let cluster = Cluster::builder().sasl(users).start().await.unwrap();
    let bootstrap = format!("SASL_PLAINTEXT://{}", cluster.bootstrap());
    let client = move |sasl: Sasl| {
        let builder = client_of(bootstrap.clone());
        let builder = builder.sasl(sasl.allow_unencrypted_secrets());
        builder.build().unwrap()
    };
    (cluster, client)
}

#[tokio::test]
async fn sasl_and_sasl_file_are_let_in() {
    let (_cluster, client) = with_sasl(Duration::from_secs(3600)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("alice\n{PASSWORD}\n")).unwrap();
    for sasl in [
        Sasl::plain(Credentials::new("alice", PASSWORD)),
        Sasl::scram_sha_512(Credentials::new("alice", PASSWORD)),
        Sasl::plain(CredentialsFile::new(file.path())),
        Sasl::scram_sha_512(CredentialsFile::new(file.path())),
    ] {
        client(sasl).check_connectivity().await.unwrap();
    }
}

#[tokio::test]
async fn read_sasl_file_that_is_not_there_or_has_a_bad_format_is_told_without_what_is_in_it() {
    let (_cluster, client) = with_sasl(Duration::from_secs(3600)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), PASSWORD).unwrap();
    for (path, words) in [
        (PathBuf::from("/no/such/file"), "cannot be read"),
        (file.path().to_owned(), "must hold the user's name"),
    ] {
        let client = client(Sasl::plain(CredentialsFile::new(&path)));
        let told = client.check_connectivity().await.unwrap_err();
        let told = told[0].to_string();
        assert!(told.contains(words), "{told}");
        assert!(told.contains(path.to_str().unwrap()), "{told}");
        assert!(!told.contains(PASSWORD));
    }
}

#[tokio::test]
async fn sasl_callback_authenticates_again_and_again_where_sessions_last_51_ms() {
    let (cluster, client) = with_sasl(Duration::from_millis(51)).await;
    let callback = || std::future::ready(Ok(Credentials::new("alice", PASSWORD)));
    let client = client(Sasl::plain(callback));
    client.any_connection().await.unwrap();
    in_time(cluster.wait_for(|stats| stats.reauthentications() >= 5)).await;
    assert_eq!(cluster.stats().expired_sessions(), 0);
}

#[tokio::test]
async fn conn_timeout_leaks_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(silent.local_addr().unwrap().to_string())
        .connect_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let errors = in_time(client.check_connectivity()).await.unwrap_err();
    assert!(matches!(errors[0].reason, HostReason::TimedOut { .. }));
    let (mut stream, _) = silent.accept().await.unwrap();
    let mut asked = Vec::new();
    // The question for versions, then the end: nothing is left open.
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut asked);
    assert!(in_time(read).await.unwrap() > 0);
}

#[tokio::test]
async fn no_api_version_query_and_extra_sock_opts_are_honoured() {
    let cluster = cluster(1, 1).await;
    let mut options = SocketOptions::default();
    options.receive_buffer_bytes = Some(32 * 1024);
    options.bind_address = Some("127.0.0.1".parse().unwrap());
    let client = client_of(cluster.bootstrap())
        .query_api_versions(false)
        .socket(options)
        .build()
        .unwrap();
    leader(&client, P0).await;
    assert_eq!(cluster.stats().requests(ApiKey::API_VERSIONS), 0);
}

#[test]
fn parse_endpoints_takes_every_form() {
    use SecurityProtocol::{Plaintext, SaslPlaintext, SaslSsl, Ssl};
    for (text, protocol, host, port) in [
        ("host", None, "host", 9092),
        ("host:1234", None, "host", 1234),
        ("PLAINTEXT://host:1234", Some(Plaintext), "host", 1234),
        ("SSL://host:1234", Some(Ssl), "host", 1234),
        (
            "SASL_PLAINTEXT://host:1234",
            Some(SaslPlaintext),
            "host",
            1234,
        ),
        ("SASL_SSL://host", Some(SaslSsl), "host", 9092),
        ("[::1]:1234", None, "::1", 1234),
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.protocol, protocol, "{text}");
        assert_eq!(endpoint.address.host(), host, "{text}");
        assert_eq!(endpoint.address.port(), port, "{text}");
    }
    let client = Client::builder(["a:1,b:2 c", "d:4\ne"]).build().unwrap();
    let hosts: Vec<String> = client.bootstrap().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["a:1", "b:2", "c:9092", "d:4", "e:9092"]);
}

#[tokio::test]
async fn metadata_of_every_topic_keeps_errors_apart() {
    let cluster = Cluster::builder().topic("good", 1).topic("bad", 1).start();
    let cluster = cluster.await.unwrap();
    cluster.inject(
        Fault::edit_answer(|answer: &mut MetadataResponse| {
            let topics = answer.topics.iter_mut();
            for topic in topics.filter(|topic| topic.name.as_deref() == Some("bad")) {
                topic.error_code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
            }
        })
        .always(),
    );
    let client = client_of(cluster.bootstrap()).build().unwrap();
    assert!(client.topic("good").await.is_ok());
    let error = client.topic("bad").await;
    assert!(
        matches!(error, Err(MetadataError::Topic { .. })),
        "{error:?}"
    );
    assert_eq!(client.topics().await.unwrap().len(), 1);
}
