//! Brokers through proxies and at other addresses than they advertise.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use wolff_client::{
    Address, Client, Credentials, HostReason, MetadataError, ProxyDialer, ProxyProtocol,
    RemapDialer,
};

use crate::peer::{Listener, Network, Peer};

const PASSWORD: &str = "s3ntinel-proxy";

/// A client behind a proxy, and where the proxy is dialled.
fn behind(protocol: ProxyProtocol, has_password: bool, broker: &str) -> (Client, Listener) {
    let network = Network::default();
    let listener = network.listen("proxy");
    let mut dialer = ProxyDialer::new(network, protocol, Address::new("proxy", 9092));
    if has_password {
        dialer = dialer.with_credentials(Credentials::new("user", PASSWORD));
    }
    assert!(!format!("{dialer:?}").contains(PASSWORD));
    let client = Client::builder([broker]).dialer(dialer).build().unwrap();
    (client, listener)
}

async fn expect(stream: &mut DuplexStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(got, bytes);
}

fn said(error: MetadataError) -> String {
    let MetadataError::Unreachable(mut hosts) = error else {
        panic!("{error}")
    };
    let error = hosts.remove(0);
    assert!(matches!(error.reason, HostReason::Proxy { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_broker_is_reached_through_socks5_by_name_and_by_address() {
    for (broker, wire) in [
        ("kafka:9092", b"\x03\x05kafka\x23\x84".to_vec()),
        ("10.0.0.1:1", vec![1, 10, 0, 0, 1, 0, 1]),
        ("[::1]:1", [&[4][..], &[0; 15], &[1, 0, 1]].concat()),
    ] {
        let (client, mut listener) = behind(ProxyProtocol::Socks5, true, broker);
        let proxy = async {
            let mut stream = listener.accept_stream().await;
            expect(&mut stream, &[5, 2, 0, 2]).await;
            stream.write_all(&[5, 2]).await.unwrap();
            expect(&mut stream, b"\x01\x04user\x0es3ntinel-proxy").await;
            stream.write_all(&[1, 0]).await.unwrap();
            expect(&mut stream, &[&[5, 1, 0][..], &wire].concat()).await;
            stream
                .write_all(b"\x05\0\0\x03\x04name\0\x01")
                .await
                .unwrap();
            let mut peer = Peer::over(stream);
            peer.shake_hands().await;
            peer
        };
        let (connection, _peer) = tokio::join!(client.any_connection(), proxy);
        assert_eq!(connection.unwrap().address().to_string(), broker);
    }
}

#[tokio::test]
async fn a_broker_is_reached_through_http_connect() {
    let (client, mut listener) = behind(ProxyProtocol::HttpConnect, true, "kafka");
    let proxy = async {
        let mut stream = listener.accept_stream().await;
        expect(
            &mut stream,
            b"CONNECT kafka:9092 HTTP/1.1\r\nHost: kafka:9092\r\nUser-Agent: wolff\r\n\
              Proxy-Authorization: Basic dXNlcjpzM250aW5lbC1wcm94eQ==\r\n\r\n",
        )
        .await;
        stream
            .write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
            .await
            .unwrap();
        let mut peer = Peer::over(stream);
        peer.shake_hands().await;
        peer
    };
    let (connection, _peer) = tokio::join!(client.any_connection(), proxy);
    assert_eq!(connection.unwrap().address().to_string(), "kafka:9092");
}

#[tokio::test]
async fn a_proxy_that_does_not_open_the_tunnel_is_named_with_its_reason() {
    use ProxyProtocol::{HttpConnect, Socks5};
    for (protocol, answer, words) in [
        (Socks5, &b"\x05\xff"[..], "none of the ways to authenticate"),
        (
            Socks5,
            b"\x05\0\x05\x05\0\x01\0\0\0\0\0\0",
            "connection refused",
        ),
        (Socks5, b"HTTP/1.1 400 Bad Request", "does not speak SOCKS5"),
        (Socks5, b"\x05", "closed the connection"),
        (
            HttpConnect,
            b"HTTP/1.1 407 No\r\n\r\n",
            "wants a user's name",
        ),
        (
            HttpConnect,
            b"HTTP/1.1 503 Busy\x1b[2J\r\n\r\n",
            "503 Busy[2J",
        ),
        (HttpConnect, b"SSH-2.0-x\r\n\r\n", "does not speak HTTP"),
        (HttpConnect, b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (HttpConnect, &[b'x'; 20_000], "end of its answer"),
    ] {
        let (client, mut listener) = behind(protocol, false, "kafka");
        let proxy = async {
            let mut stream = listener.accept_stream().await;
            let _closed_early = stream.write_all(answer).await;
            stream
        };
        let (outcome, _stream) = tokio::join!(client.any_connection(), async {
            let mut stream = proxy.await;
            let _half_closed = stream.shutdown().await;
            stream
        });
        let said = said(outcome.unwrap_err());
        assert!(
            said.starts_with("kafka:9092: the proxy proxy:9092 "),
            "{said}"
        );
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_map_leads_to_other_addresses_and_errors_name_the_broker() {
    let network = Network::default();
    let mut here = network.listen("here");
    let map = [
        (Address::new("inner", 9092), Address::new("here", 9092)),
        (Address::new("gone", 9092), Address::new("nowhere", 9092)),
    ];
    let dialer = RemapDialer::new(network, map);
    let client = Client::builder(["inner"])
        .dialer(dialer.clone())
        .build()
        .unwrap();
    let (connection, _peer) = tokio::join!(client.any_connection(), here.accept_ready());
    assert_eq!(connection.unwrap().address().to_string(), "inner:9092");
    let client = Client::builder(["gone"]).dialer(dialer).build().unwrap();
    let said = client.any_connection().await.unwrap_err().to_string();
    assert!(said.contains("gone:9092: connection refused"), "{said}");
}
