//! The proxy, as a client behind it sees it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use wolff_codec::messages::{
    ApiVersionsRequest, DescribeClusterRequest, InitProducerIdRequest, MetadataRequest,
};
use wolff_codec::{ApiKey, response_correlation_id};
use wolff_testbroker::{Cluster, Conditions, Direction, Proxy, ProxyFault};

use crate::client::{Client, produce_request, values};
use crate::fixture::batch;

use Direction::{ToBroker, ToClient};

/// Beyond this a test is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

async fn cluster() -> Cluster {
    Cluster::builder()
        .brokers(2)
        .topic("orders", 2)
        .start()
        .await
        .unwrap()
}

async fn in_front_of(cluster: &Cluster) -> Proxy {
    Proxy::builder(cluster.bootstrap()).start().await.unwrap()
}

/// A client of the first bootstrap server.
async fn client_of(proxy: &Proxy) -> Client {
    let bootstrap = proxy.bootstrap();
    Client::connect_to(bootstrap.split(',').next().unwrap()).await
}

/// Waits for the end of a socket: by a reset, or in an orderly way, which is the answer's content.
async fn end_of(stream: &mut TcpStream) -> Result<(), std::io::ErrorKind> {
    let mut nowhere = Vec::new();
    let read = stream.read_to_end(&mut nowhere);
    let count = timeout(PATIENCE, read).await.unwrap();
    count.map(drop).map_err(|error| error.kind())
}

/// A proxy in front of an echo, for what has nothing to do with Kafka.
async fn in_front_of_an_echo() -> (Proxy, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    let proxy = Proxy::builder(upstream).start().await.unwrap();
    let mut stream = TcpStream::connect(proxy.bootstrap()).await.unwrap();
    // It is accepted now, and meets no fault that comes later.
    assert_eq!(echo(&mut stream).await, HELLO);
    (proxy, stream)
}

/// Bytes that are no frame of Kafka's, so that they pass as they come.
const HELLO: &[u8] = b"\x16hello, echo!";

async fn echo(stream: &mut TcpStream) -> Vec<u8> {
    stream.write_all(HELLO).await.unwrap();
    let mut answer = vec![0; HELLO.len()];
    let read = stream.read_exact(&mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn clients_are_told_that_brokers_are_where_the_proxy_is() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let mut client = client_of(&proxy).await;
    let fronts: Vec<String> = proxy.bootstrap().split(',').map(str::to_owned).collect();
    for version in [4, 8, 9, 13] {
        let metadata = client.request(&MetadataRequest::default(), version).await;
        let brokers = metadata.brokers.iter();
        let told: Vec<String> = brokers
            .map(|broker| format!("{}:{}", broker.host, broker.port))
            .collect();
        assert_eq!(told, fronts);
    }
    let described = client.request(&DescribeClusterRequest::default(), 1).await;
    let port = i32::from(proxy.front(&upstream(&cluster, 2)).unwrap().port());
    assert_eq!(described.brokers[1].port, port);
}

/// A broker's own address.
fn upstream(cluster: &Cluster, broker: i32) -> String {
    cluster.addresses()[&broker.into()].to_string()
}

#[tokio::test]
async fn brokers_that_were_not_bootstrap_servers_get_a_port_when_they_are_first_named() {
    let cluster = cluster().await;
    let proxy = Proxy::builder(upstream(&cluster, 1)).start().await.unwrap();
    let mut client = client_of(&proxy).await;
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    let second = &metadata.brokers[1];
    assert_ne!(
        i32::from(cluster.addresses()[&2.into()].port()),
        second.port
    );
    let mut other = Client::connect_to(format!("{}:{}", second.host, second.port)).await;
    other.request(&MetadataRequest::default(), 9).await;
    assert_eq!(proxy.stats().connections_accepted, 2);
    let asked = |broker| cluster.stats().brokers[&broker].requests[&ApiKey::METADATA];
    assert_eq!([1.into(), 2.into()].map(asked), [1, 1]);
}

#[tokio::test]
async fn hints_at_a_new_leader_lead_through_the_proxy() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    cluster.move_leader("orders", 0, 2).unwrap();
    let mut client = client_of(&proxy).await;
    let request = produce_request("orders", 0, batch(&["a"]));
    let answer = client.request(&request, 12).await;
    let port = i32::from(proxy.front(&upstream(&cluster, 2)).unwrap().port());
    assert_eq!(answer.node_endpoints[0].port, port);
}

#[tokio::test]
async fn everything_else_passes_byte_by_byte() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let mut client = client_of(&proxy).await;
    let mut direct = Client::connect(&cluster, 1).await;
    let direct_answer = direct.request(&ApiVersionsRequest::default(), 4).await;
    assert_eq!(
        client.request(&ApiVersionsRequest::default(), 4).await,
        direct_answer
    );
    client.produce("orders", 0, batch(&["a", "b"])).await;
    assert_eq!(values(&cluster, "orders", 0), ["a", "b"]);
    let stats = proxy.stats();
    assert_eq!(
        (
            stats.requests(ApiKey::PRODUCE),
            stats.responses(ApiKey::PRODUCE)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn latency_and_jitter_keep_the_order() {
    let (proxy, mut stream) = in_front_of_an_echo().await;
    let line = Conditions::default()
        .latency(Duration::from_millis(30))
        .jitter(Duration::from_millis(30));
    proxy.set_all_conditions(line);
    let start = Instant::now();
    let text: Vec<u8> = (0..=255).cycle().take(2000).collect();
    let text = [&b"\x16"[..], &text].concat();
    for piece in text.chunks(100) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert_eq!(answer, text);
}

#[tokio::test]
async fn bandwidth_is_a_ceiling() {
    let (proxy, mut stream) = in_front_of_an_echo().await;
    let line = Conditions::default().bytes_per_second(100_000);
    proxy.set_conditions(ToBroker, line);
    let text = vec![0x16; 20_000];
    let start = Instant::now();
    stream.write_all(&text).await.unwrap();
    let mut answer = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    // The last piece of 1,000 bytes leaves after 190 ms.
    assert!(start.elapsed() >= Duration::from_millis(185));
}

#[tokio::test]
async fn frames_arrive_in_slices() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    proxy.set_all_conditions(Conditions::default().slice_bytes(1));
    let mut client = client_of(&proxy).await;
    let metadata = client.request(&MetadataRequest::default(), 9).await;
    assert_eq!(metadata.topics[0].partitions.len(), 2);
}

#[tokio::test]
async fn a_stalled_line_heals() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let mut client = client_of(&proxy).await;
    client.request(&MetadataRequest::default(), 9).await;
    proxy.set_conditions(ToBroker, Conditions::default().stalled(true));
    let sent = client.send(&MetadataRequest::default(), 9).await;
    // Another connection to the broker itself shows that time passes.
    let mut direct = Client::connect(&cluster, 1).await;
    direct.request(&ApiVersionsRequest::default(), 4).await;
    assert_eq!(cluster.stats().requests(ApiKey::METADATA), 1);
    proxy.set_conditions(ToBroker, Conditions::default());
    let frame = client.receive().await.unwrap();
    assert_eq!(response_correlation_id(&frame).unwrap(), sent);
}

#[tokio::test]
async fn a_connection_is_closed_or_reset_after_so_many_bytes() {
    let (proxy, _stream) = in_front_of_an_echo().await;
    for (fault, expected) in [
        (ProxyFault::close_after(ToBroker, 5), Ok(())),
        (
            ProxyFault::reset_after(ToBroker, 5),
            Err(std::io::ErrorKind::ConnectionReset),
        ),
    ] {
        let before = proxy.stats();
        let fault = proxy.inject(fault);
        let mut stream = TcpStream::connect(proxy.bootstrap()).await.unwrap();
        stream.write_all(HELLO).await.unwrap();
        assert_eq!(end_of(&mut stream).await, expected);
        let stats = proxy.stats();
        assert_eq!(stats.hits(fault), 1);
        assert_eq!(stats.bytes_to_broker - before.bytes_to_broker, 5);
    }
    let mut stream = TcpStream::connect(proxy.bootstrap()).await.unwrap();
    assert_eq!(echo(&mut stream).await, HELLO);
}

#[tokio::test]
async fn a_half_open_connection_is_closed_for_the_broker_and_silent_for_the_client() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let mut client = client_of(&proxy).await;
    client.request(&MetadataRequest::default(), 9).await;
    proxy.half_open_connections();
    let closed = cluster.wait_for(|stats| stats.connections_open() == 0);
    timeout(PATIENCE, closed).await.unwrap();
    client.send(&MetadataRequest::default(), 9).await;
    assert_eq!(proxy.stats().connections_open, 1);
    drop(client);
    let closed = proxy.wait_for(|stats| stats.connections_open == 0);
    timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(cluster.stats().requests(ApiKey::METADATA), 1);
}

#[tokio::test]
async fn a_black_hole_keeps_both_sides_open_until_the_client_goes() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let fault = proxy.inject(ProxyFault::black_hole_after(ToBroker, 0));
    let mut client = client_of(&proxy).await;
    client.send(&MetadataRequest::default(), 9).await;
    let mut direct = client_of(&proxy).await;
    direct.request(&MetadataRequest::default(), 9).await;
    let stats = proxy.stats();
    assert_eq!((stats.hits(fault), stats.connections_open), (1, 2));
    assert_eq!(cluster.stats().connections_open(), 2);
    assert_eq!(cluster.stats().requests(ApiKey::METADATA), 1);
    drop(client);
    let closed = proxy.wait_for(|stats| stats.connections_open == 1);
    timeout(PATIENCE, closed).await.unwrap();
}

#[tokio::test]
async fn one_bit_is_turned() {
    let (proxy, _stream) = in_front_of_an_echo().await;
    proxy.inject(ProxyFault::flip_bit(ToClient, 1, 0));
    let mut stream = TcpStream::connect(proxy.bootstrap()).await.unwrap();
    assert_eq!(echo(&mut stream).await, b"\x16iello, echo!");
    assert_eq!(echo(&mut stream).await, HELLO);
}

#[tokio::test]
async fn open_connections_are_closed_and_reset_at_once() {
    let (proxy, mut stream) = in_front_of_an_echo().await;
    proxy.close_connections();
    assert_eq!(end_of(&mut stream).await, Ok(()));
    let mut stream = TcpStream::connect(proxy.bootstrap()).await.unwrap();
    echo(&mut stream).await;
    proxy.reset_connections();
    assert_eq!(
        end_of(&mut stream).await,
        Err(std::io::ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn responses_are_dropped_doubled_and_delayed_by_number_and_api() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let api = ApiKey::INIT_PRODUCER_ID;
    let delay = Duration::from_millis(50);
    proxy.inject(ProxyFault::drop_response().api(api));
    proxy.inject(ProxyFault::duplicate_response().api(api).skip(1));
    proxy.inject(ProxyFault::delay_response(delay).api(api).skip(2));
    let mut client = client_of(&proxy).await;
    let request = InitProducerIdRequest::default();
    client.send(&request, 4).await;
    client.request(&MetadataRequest::default(), 9).await;

    let second = client.send(&request, 4).await;
    for _ in 0..2 {
        let frame = client.receive().await.unwrap();
        assert_eq!(response_correlation_id(&frame).unwrap(), second);
    }
    let start = Instant::now();
    client.request(&request, 4).await;
    assert!(start.elapsed() >= delay);
    assert_eq!(cluster.stats().responses(api), 3);
}

#[tokio::test]
async fn a_connection_is_killed_after_the_request_was_applied() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    let kill = ProxyFault::kill_after_applying().api(ApiKey::PRODUCE);
    let fault = proxy.inject(kill.upstream(upstream(&cluster, 1)));
    let mut client = client_of(&proxy).await;
    let request = produce_request("orders", 0, batch(&["a"]));
    assert_eq!(client.try_request(&request, 9).await, None);
    assert_eq!(proxy.stats().hits(fault), 1);
    assert_eq!(values(&cluster, "orders", 0), ["a"]);
}

#[tokio::test]
async fn a_broker_that_is_down_resets_its_clients() {
    let cluster = cluster().await;
    let proxy = in_front_of(&cluster).await;
    cluster.kill(1).await.unwrap();
    let first = proxy.front(&upstream(&cluster, 1)).unwrap();
    let mut stream = TcpStream::connect(first).await.unwrap();
    assert!(end_of(&mut stream).await.is_err());
    cluster.revive(1).await.unwrap();
    let mut client = client_of(&proxy).await;
    client.request(&MetadataRequest::default(), 9).await;
}

#[tokio::test]
async fn a_dropped_proxy_takes_its_ports_and_connections_with_it() {
    let (proxy, mut stream) = in_front_of_an_echo().await;
    let address = proxy.bootstrap();
    drop(proxy);
    let _ = end_of(&mut stream).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_proxy_in_front_of_nothing_is_refused() {
    let error = Proxy::builder(" , ").start().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
