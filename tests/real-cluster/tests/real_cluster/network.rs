//! A bad network in front of the nodes, also where it sees nothing but TLS.

use std::sync::Arc;
use std::time::Duration;

use wolff_client::codec::messages::MetadataRequest;
use wolff_client::{Address, Client, Dial, DialFuture, HostReason, IoFailure, Sasl, TcpDialer};
use wolff_testbroker::{Conditions, Direction, Proxy, ProxyFault};

use crate::load::{Load, P0, leader};
use crate::nodes::{Listener, Nodes, credentials, in_time};
use crate::stream::Stream;

fn line() -> Conditions {
    Conditions::default()
        .latency(Duration::from_millis(2))
        .jitter(Duration::from_millis(3))
        .slice_bytes(61)
}

/// Goes to the proxy instead of the node: in TLS no proxy can change the addresses that brokers
/// tell.
#[derive(Debug)]
struct Detour {
    proxy: Arc<Proxy>,
    tcp: TcpDialer,
}

impl Dial for Detour {
    fn dial<'a>(&'a self, address: &'a Address) -> DialFuture<'a> {
        Box::pin(async move {
            // In plaintext it has put its own addresses already.
            let front = self.proxy.front(&address.to_string());
            let front = front.map_or_else(
                || address.clone(),
                |front| Address::new(&front.ip().to_string(), front.port()),
            );
            self.tcp.dial(&front).await
        })
    }
}

async fn proxied(nodes: &Nodes, listener: Listener) -> (Arc<Proxy>, Client) {
    let addresses = nodes.addresses(listener).join(",");
    let proxy = Proxy::builder(addresses).seed(5).start().await.unwrap();
    let proxy = Arc::new(proxy);
    let detour = Detour {
        proxy: Arc::clone(&proxy),
        tcp: TcpDialer::default(),
    };
    let mut builder = nodes.client(listener).dialer(detour);
    if listener == Listener::SaslTls {
        builder = builder.sasl(Sasl::scram_sha_512(credentials()));
    }
    (proxy, builder.build().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_sliced_and_reset_lines_lose_nothing_in_plaintext_tls_and_sasl() {
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    for listener in [Listener::Plaintext, Listener::Tls, Listener::SaslTls] {
        let (proxy, client) = proxied(&nodes, listener).await;
        proxy.set_all_conditions(line());
        in_time(client.check_connectivity()).await.unwrap();

        // One connection: nothing is lost or exchanged on it.
        let topic = nodes.topic("network-load", 1).await;
        let mut load = Load::new(&client, &topic).await;
        load.run_for(Duration::from_secs(1)).await.unwrap();
        assert!(load.finish(&nodes).await > 0);

        // Many connections, one after the other: reset while records are on their way, also in the
        // middle of an answer.
        let topic = nodes.topic("network-stream", 1).await;
        let mut stream = Stream::start(&client, &topic).await;
        for bytes in [7_000, 9_500] {
            proxy.inject(ProxyFault::reset_after(Direction::ToClient, bytes));
            stream.flows().await;
            proxy.reset_connections();
            stream.flows().await;
        }
        let metadata = in_time(client.any_connection()).await.unwrap();
        proxy.reset_connections();
        in_time(metadata.closed()).await;
        in_time(client.cluster()).await.unwrap();
        // A connection that was reset is lost when the client notices it.
        let question = MetadataRequest::default();
        let answered = async {
            loop {
                let again = leader(&client, &topic, P0).await;
                match again.connection.request(&question).await {
                    Ok(_) => break,
                    Err(error) => assert!(error.is_connection_lost(), "{error}"),
                }
            }
        };
        in_time(answered).await;
        let records = stream.finish(&nodes).await;
        let connections = proxy.stats().connections_accepted;
        assert!(connections >= 6, "{connections}");
        println!("{listener:?}: {records} records over {connections} connections");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tls_handshake_that_is_reset_anywhere_is_told_and_survived() {
    let Some(nodes) = Nodes::in_peace().await else {
        return;
    };
    let (proxy, client) = proxied(&nodes, Listener::Tls).await;
    let mut told = 0;
    for bytes in (1..1_500).step_by(250) {
        let fault = proxy.inject(ProxyFault::reset_after(Direction::ToClient, bytes).always());
        let outcomes = in_time(client.probe_hosts()).await;
        for (_, outcome) in outcomes {
            if let Err(reason) = outcome {
                let is_told = matches!(
                    &reason,
                    HostReason::Tls(_)
                        | HostReason::ClosedInHandshake
                        | HostReason::Io(IoFailure { .. })
                );
                assert!(is_told, "{reason}");
                told += 1;
            }
        }
        proxy.remove_fault(fault);
    }
    assert!(told > 0);
    for (host, outcome) in in_time(client.probe_hosts()).await {
        assert_eq!(outcome, Ok(()), "{host}");
    }
}
