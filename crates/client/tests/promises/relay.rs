//! Between a client and a broker, to see what the client says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wolff_client::codec::{FrameSplitter, RequestHeader, decode_request_header};

/// A port that leads to the broker.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<(RequestHeader, Bytes)>>>,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Relay {
    pub(crate) async fn to(broker: String) -> Self {
        Self::listening("127.0.0.1:0", broker).await
    }

    pub(crate) async fn listening(on: &str, broker: String) -> Self {
        let listener = TcpListener::bind(on).await.unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            peers: Arc::default(),
        };
        let (requests, peers) = (Arc::clone(&relay.requests), Arc::clone(&relay.peers));
        tokio::spawn(async move {
            while let Ok((client, peer)) = listener.accept().await {
                peers.lock().unwrap().push(peer);
                let Ok(broker) = TcpStream::connect(&broker).await else {
                    continue;
                };
                tokio::spawn(carry(client, broker, Arc::clone(&requests)));
            }
        });
        relay
    }

    /// Every request so far, with its body.
    pub(crate) fn requests(&self) -> Vec<(RequestHeader, Bytes)> {
        self.requests.lock().unwrap().clone()
    }

    /// Where connections came from.
    pub(crate) fn peers(&self) -> Vec<SocketAddr> {
        self.peers.lock().unwrap().clone()
    }
}

async fn carry(
    client: TcpStream,
    broker: TcpStream,
    requests: Arc<Mutex<Vec<(RequestHeader, Bytes)>>>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let back = tokio::spawn(async move {
        let _ended = tokio::io::copy(&mut from_broker, &mut to_client).await;
    });
    let splitter = FrameSplitter::new(1 << 20);
    let mut received = BytesMut::new();
    let mut piece = BytesMut::with_capacity(4_096);
    while from_client
        .read_buf(&mut piece)
        .await
        .is_ok_and(|count| count > 0)
    {
        received.extend_from_slice(&piece);
        while let Some(frame) = splitter.next_frame(&mut received).unwrap() {
            let (header, body) = decode_request_header(&frame).unwrap();
            requests.lock().unwrap().push((header, body));
        }
        to_broker.write_all(&piece).await.unwrap();
        piece.clear();
    }
    back.abort();
}
