//! A4, A5: how the client dials, and what it says first.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use wolff_client::codec::messages::{ApiVersionsRequest, InitProducerIdRequest};
use wolff_client::codec::{ApiKey, Message as _, PartitionId};
use wolff_client::{Client, ConnectionFailure, HostReason, SocketOptions};
use wolff_testbroker::{Cluster, Fault};

use crate::impatience::{client_of, cluster, in_time, leader};
use crate::relay::Relay;

const P0: PartitionId = PartitionId(0);

#[tokio::test]
async fn a4_time_limits_client_id_socket_options_ipv6_and_all_addresses_of_a_name() {
    let cluster = cluster(1, 1).await;
    let relay = Relay::to(cluster.bootstrap()).await;
    let mut socket = SocketOptions::default();
    assert!(socket.nodelay && socket.keepalive.is_some());
    socket.send_buffer_bytes = Some(64 * 1024);
    socket.receive_buffer_bytes = Some(64 * 1024);
    socket.bind_address = Some("127.0.0.2".parse().unwrap());
    let client = client_of(relay.address.to_string())
        .client_id("a4")
        .socket(socket)
        .build()
        .unwrap();
    client.check_connectivity().await.unwrap();
    assert_eq!(relay.peers()[0].ip().to_string(), "127.0.0.2");
    for (header, _) in relay.requests() {
        assert_eq!(header.client_id.as_deref(), Some("a4"));
    }

    // A name, whatever else it stands for; and an IPv6 literal, where the machine has IPv6.
    let port = cluster.addresses()[&1.into()].port();
    let named = client_of(format!("localhost:{port}")).build().unwrap();
    in_time(named.check_connectivity()).await.unwrap();
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let six: SocketAddr = "[::1]:0".parse().unwrap();
        let only_six = Cluster::builder().listen(six).start().await.unwrap();
        assert!(only_six.bootstrap().starts_with("[::1]:"));
        let client = client_of(only_six.bootstrap()).build().unwrap();
        client.check_connectivity().await.unwrap();
    }

    // The time to connect, of somebody who takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let limit = Duration::from_millis(200);
    let client = Client::builder([address]).connect_timeout(limit);
    let errors = in_time(client.build().unwrap().check_connectivity()).await;
    let reason = errors.unwrap_err().remove(0).reason;
    assert!(
        matches!(reason, HostReason::TimedOut { after, .. } if after == limit),
        "{reason}"
    );
    // The time for an answer.
    let client = client_of(cluster.bootstrap()).request_timeout(limit);
    let client = client.build().unwrap();
    let connection = leader(&client, P0).await.connection;
    cluster.inject(Fault::hold().api(ApiKey::INIT_PRODUCER_ID));
    let question = InitProducerIdRequest::default();
    let error = in_time(connection.request(&question)).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error}");
    assert!(matches!(
        connection.closed().await,
        ConnectionFailure::TimedOut { after, .. } if after == limit
    ));
}

#[tokio::test]
async fn a5_versions_are_negotiated_by_each_connection_or_not_asked_for_at_all() {
    // Whatever version of the question a broker knows.
    for newest in 0..=4 {
        let builder = Cluster::builder().versions(ApiKey::API_VERSIONS, 0..=newest);
        let cluster = builder
            .versions(ApiKey::METADATA, 4..=5)
            .topic("t", 1)
            .start()
            .await
            .unwrap();
        let relay = Relay::to(cluster.bootstrap()).await;
        let client = client_of(relay.address.to_string()).build().unwrap();
        client.cluster().await.unwrap();
        let requests = relay.requests();
        let (first, body) = &requests[0];
        assert_eq!(
            (first.api_key, first.api_version),
            (ApiKey::API_VERSIONS, 4)
        );
        let asked = ApiVersionsRequest::decode(body, 4).unwrap();
        assert_eq!(&*asked.client_software_name, "wolff");
        assert_eq!(&*asked.client_software_version, env!("CARGO_PKG_VERSION"));
        // The newest that both sides know.
        let (last, _) = requests.last().unwrap();
        assert_eq!((last.api_key, last.api_version), (ApiKey::METADATA, 5));
    }

    let cluster = Cluster::builder()
        .versions(ApiKey::METADATA, 4..=13)
        .topic("t", 1);
    let cluster = cluster.start().await.unwrap();
    let relay = Relay::to(cluster.bootstrap()).await;
    let client = client_of(relay.address.to_string())
        .query_api_versions(false)
        .build()
        .unwrap();
    client.cluster().await.unwrap();
    let connection = client.any_connection().await.unwrap();
    let version = connection.version::<wolff_client::codec::messages::ProduceRequest>();
    assert_eq!(version, Ok(3));
    let requests = relay.requests();
    let told: Vec<_> = requests
        .iter()
        .map(|(header, _)| (header.api_key, header.api_version))
        .collect();
    assert_eq!(told, [(ApiKey::METADATA, 4)]);
}
